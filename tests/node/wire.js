// Kite's binary messages, read by a table of offsets from the documents: the oracle. It shares no code with Tickhouse and
// none with the client. https://kite.trade/docs/connect/v3/websocket/

import { readFileSync } from 'node:fs'

export const SEGMENTS = { 1: 'NSE', 2: 'NFO', 3: 'CDS', 4: 'BSE', 5: 'BFO', 6: 'BCD', 7: 'MCX', 9: 'INDICES', 12: 'NCO' }
const DIVISORS = { 3: 10_000_000, 6: 10_000, 12: 10_000 }

const QUOTE = {
  last_price: 4, last_traded_quantity: 8, average_traded_price: 12, volume: 16, total_buy_quantity: 20,
  total_sell_quantity: 24, open: 28, high: 32, low: 36, close: 40
}
const INDEX = { last_price: 4, high: 8, low: 12, open: 16, close: 20, net_change: 24 }
const LAYOUTS = {
  8: { last_price: 4 },
  28: INDEX,
  32: { ...INDEX, exchange_timestamp: 28 },
  44: QUOTE,
  184: { ...QUOTE, last_trade_time: 44, oi: 48, oi_day_high: 52, oi_day_low: 56, exchange_timestamp: 60 }
}
const SIGNED = new Set(['last_price', 'average_traded_price', 'open', 'high', 'low', 'close', 'net_change'])
const MODES = { 8: 'ltp', 28: 'quote', 44: 'quote', 32: 'full', 184: 'full' }

/** The packet of one body, in raw integers. */
export function packet (body) {
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const values = {}
  for (const [name, offset] of Object.entries(LAYOUTS[body.length])) {
    values[name] = SIGNED.has(name) ? view.getInt32(offset) : view.getUint32(offset)
  }
  const levels = []
  for (let at = 64; at < body.length; at += 12) {
    levels.push({ quantity: view.getUint32(at), price: view.getInt32(at + 4), orders: view.getUint16(at + 8) })
  }
  const token = view.getUint32(0)
  const segment = token & 0xff
  return {
    token, segment, length: body.length, mode: MODES[body.length], divisor: DIVISORS[segment] ?? 100, values,
    bids: levels.slice(0, 5), asks: levels.slice(5)
  }
}

/** The packets of one binary message. */
export function message (payload) {
  const packets = []
  let at = 2
  for (let left = payload.readUInt16BE(0); left > 0; left--) {
    const length = payload.readUInt16BE(at)
    packets.push(packet(payload.subarray(at + 2, at + 2 + length)))
    at += 2 + length
  }
  if (at !== payload.length) throw new Error(`${payload.length - at} bytes follow the last packet`)
  return packets
}

/** The lines of a simulator's ledger; frames carry their `decoded` packets. */
export function ledger (path) {
  return readFileSync(path, 'utf8').split('\n').filter(Boolean).map((text) => {
    const line = JSON.parse(text)
    return line.kind === 'frame' ? { ...line, decoded: message(Buffer.from(line.b64, 'base64')) } : line
  })
}
