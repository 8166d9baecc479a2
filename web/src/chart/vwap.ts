// The volume-weighted average price since the day's opening.

import { dayNumber } from '../format.ts'
import type { Bar } from '../messages.ts'

/**
 * One value a bar, null where nothing was traded that day so far. Bars of the first day count only when `fromBegin` says that
 * no older ones exist: half a day's average is none. Bars without a price of their own (live ones) count with the mean of high,
 * low and close, as docs/bars.md does.
 */
export function dayVwap(bars: readonly Bar[], fromBegin: boolean): (number | null)[] {
  let today: number | null = null
  let known = fromBegin
  let value = 0
  let volume = 0
  return bars.map((bar) => {
    const number = dayNumber(bar.start)
    if (number !== today) {
      known ||= today !== null
      today = number
      value = 0
      volume = 0
    }
    value += (bar.vwap ?? (bar.high + bar.low + bar.close) / 3) * bar.volume
    volume += bar.volume
    return known && volume > 0 ? value / volume : null
  })
}
