// The instrument in focus: its newest packet and the trades before it, for depth and time and sales.

import { signal } from '@preact/signals'
import { ticks } from './api.ts'
import { parseTime } from './format.ts'
import { focus, listen } from './live.ts'
import type { LiveTick } from './messages.ts'

/** A line of time and sales. */
export interface Trade {
  at: number
  price: number
  /** Quantity of the last trade, or how far the running total went where that is more. */
  quantity: number
  /** Against the trade before. */
  direction: number
  key: number
}

const MOST_TRADES = 300

/** The newest packet; null until there is one. */
export const newest = signal<LiveTick | null>(null)
/** Newest first. */
export const trades = signal<readonly Trade[]>([])

let focused: number | null = null
let waiting: LiveTick[] = []
let scheduled = false
let total: number | null = null
let keys = 0

listen({
  ticks(ticks) {
    waiting.push(...ticks)
    // a hidden tab draws nothing: what would not be shown any more need not wait
    if (waiting.length > 2 * MOST_TRADES) waiting = waiting.slice(-MOST_TRADES)
    if (scheduled) return
    scheduled = true
    requestAnimationFrame(flush)
  },
  reopened: () => (total = null),
})

/** Shows this instrument from now on. */
export function focusOn(token: number | null): void {
  if (focused === token) return
  focused = token
  waiting = []
  total = null
  newest.value = null
  trades.value = []
  focus(token)
  if (token !== null) void begin(token)
}

async function begin(token: number): Promise<void> {
  try {
    const before = await ticks(token, 200)
    if (focused !== token) return
    const old = history(before.map((tick) => ({ ...tick, at: parseTime(tick.timestamp) })))
    const oldest = trades.value.at(-1)?.at ?? Infinity
    trades.value = [...trades.value, ...old.filter((trade) => trade.at < oldest)].slice(0, MOST_TRADES)
  } catch {
    // time and sales begin with what comes live
  }
}

/** Trades among ticks of history, newest first: where the running total, or an index's value, went on. */
function history(rows: { at: number; last_price: number; last_traded_quantity: number; volume: number }[]): Trade[] {
  const result: Trade[] = []
  for (let place = 0; place + 1 < rows.length; place++) {
    const [row, before] = [rows[place]!, rows[place + 1]!]
    const traded = row.volume - before.volume
    if (row.volume > 0 ? traded <= 0 : row.last_price === before.last_price) continue
    const quantity = Math.max(row.last_traded_quantity, traded, 0)
    const direction = Math.sign(row.last_price - before.last_price)
    result.push({ at: row.at, price: row.last_price, quantity, direction, key: keys++ })
  }
  return result
}

function flush(): void {
  scheduled = false
  const fresh: Trade[] = []
  for (const tick of waiting) {
    const trade = traded(tick, fresh[0] ?? trades.value[0])
    if (trade !== null) fresh.unshift(trade)
  }
  newest.value = waiting.at(-1) ?? newest.value
  waiting = []
  if (fresh.length > 0) trades.value = [...fresh, ...trades.value].slice(0, MOST_TRADES)
}

function traded(tick: LiveTick, before: Trade | undefined): Trade | null {
  const more = total === null ? 0 : tick.v - total
  const first = total === null
  total = Math.max(tick.v, total ?? 0)
  if (tick.s === true || (tick.v > 0 ? more <= 0 : before?.price === tick.p) || (first && tick.v > 0)) return null
  const direction = before === undefined ? 0 : Math.sign(tick.p - before.price)
  return { at: tick.xt || tick.t, price: tick.p, quantity: Math.max(tick.q, more), direction, key: keys++ }
}
