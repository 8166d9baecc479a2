// Kite's own WebSocket client, unmodified, on the simulator: every packet kind, values equal to the ledger.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { expectedTick } from './expected.js'
import { startSimulator } from './processes.js'
import { SEGMENTS, ledger } from './wire.js'

const PER_SEGMENT = 24

/** Some tokens of each segment of the master. */
async function choose (root) {
  const answer = await fetch(`http://${root}/instruments`)
  const bytes = Buffer.from(await answer.arrayBuffer())
  // fetch has undone the encoding; a server that sends the file as gzip without saying so is read too
  const csv = (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString()
  const bySegment = {}
  for (const line of csv.trim().split('\n').slice(1)) {
    const token = Number(line.split(',')[0])
    const segment = SEGMENTS[token & 0xff]
    bySegment[segment] ??= []
    if (bySegment[segment].length < PER_SEGMENT) bySegment[segment].push(token)
  }
  assert.deepEqual(Object.keys(bySegment).sort(), Object.values(SEGMENTS).sort())
  return Object.values(bySegment).flat()
}

async function runTicker (plan) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('ticker-client.js', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => { output += text })
  child.stdin.end(JSON.stringify(plan))
  const [status] = await once(child, 'close')
  assert.equal(status, 0, output.slice(-2000))
  return output.split('\n').filter(Boolean).map((line) => JSON.parse(line))
}

test('every packet kind has the values of the ledger', { timeout: 90_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tickhouse-node-'))
  const simulator = await startSimulator(directory)
  try {
    const tokens = await choose(simulator.root)
    const modes = {
      ltp: tokens.filter((_, index) => index % 3 === 0),
      full: tokens.filter((_, index) => index % 3 === 2)
    }
    const said = await runTicker({ root: `ws://${simulator.root}/`, tokens, modes, messages: 100, seconds: 30 })
    const { status, output } = await simulator.stop()
    assert.equal(status, 0, output)

    const ticks = said.filter((line) => line.ticks).map((line) => line.ticks)
    const frames = ledger(simulator.ledger).filter((line) => line.kind === 'frame' && line.c === 1)
    // the client closed first, so it has read a beginning of what was sent
    assert.ok(ticks.length >= 100 && frames.length >= ticks.length, `${ticks.length} of ${frames.length}`)
    const kinds = new Set()
    ticks.forEach((got, number) => {
      const sent = frames[number].decoded
      assert.deepEqual(got, sent.map(expectedTick), `message ${number + 1}`)
      for (const { segment, length } of sent) kinds.add(`${SEGMENTS[segment]} ${length}`)
    })
    const expected = Object.values(SEGMENTS).flatMap((name) =>
      (name === 'INDICES' ? [8, 28, 32] : [8, 44, 184]).map((length) => `${name} ${length}`))
    assert.deepEqual([...kinds].sort(), expected.sort())
  } finally {
    await simulator.stop()
    rmSync(directory, { recursive: true })
  }
})
