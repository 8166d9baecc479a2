// The oracle and Kite's client agree on the real payloads; what the client has wrong is wrong as we think.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { KiteTicker } from 'kiteconnect'
import { expectedTick } from './expected.js'
import { REPOSITORY } from './processes.js'
import { message } from './wire.js'

const fixture = (name) => readFileSync(join(REPOSITORY, 'tests/data', name))

function parse (payload) {
  const ticker = new KiteTicker({ api_key: 'key', access_token: 'token', reconnect: false })
  const bytes = payload.buffer.slice(payload.byteOffset, payload.byteOffset + payload.length)
  return JSON.parse(JSON.stringify(ticker.parseBinary(bytes)))
}

function container (...bodies) {
  const parts = bodies.flatMap((body) => [Buffer.from([body.length >> 8, body.length & 255]), body])
  return Buffer.concat([Buffer.from([bodies.length >> 8, bodies.length & 255]), ...parts])
}

function ltp (segment, raw) {
  const body = Buffer.alloc(8)
  body.writeUInt32BE(1594 * 256 + segment, 0)
  body.writeInt32BE(raw, 4)
  return body
}

test('real messages', () => {
  const base64 = (name) => container(Buffer.from(fixture(name).toString(), 'base64'))
  const messages = [base64('mocks_ticker_quote.packet'), base64('mocks_ticker_full.packet')]
  for (const payload of messages) assert.deepEqual(parse(payload), message(payload).map(expectedTick))
})

test('divisors, and the one that the client has wrong', () => {
  for (const [segment, raw, price] of [[1, 157370, 1573.7], [3, 845025000, 84.5025], [6, 845025, 84.5025], [7, 573400, 5734]]) {
    assert.equal(parse(container(ltp(segment, raw)))[0].last_price, price)
  }
  const nco = container(ltp(12, 85730000))
  const [packet] = message(nco)
  assert.equal(packet.values.last_price / packet.divisor, 8573)
  assert.equal(parse(nco)[0].last_price, 857300, 'known wrong in 5.3.0: NCO is divided by 100')
})

test('prices below zero are right, quantities from 2^31 on are known wrong', () => {
  assert.equal(parse(container(ltp(7, -376300)))[0].last_price, -3763)
  const body = Buffer.alloc(44)
  body.writeUInt32BE(408065, 0)
  body.writeUInt32BE(3_000_000_000, 16)
  const payload = container(body)
  assert.equal(message(payload)[0].values.volume, 3_000_000_000)
  assert.equal(parse(payload)[0].volume_traded, 3_000_000_000 - 2 ** 32)
})
