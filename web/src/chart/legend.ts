// What a bar holds, in words.

import { day, duration, price, time, whole } from '../format.ts'
import { now } from '../live.ts'
import type { Bar } from '../messages.ts'

/** The bar under the crosshair, else the newest one. */
export interface Under {
  bar: Bar
  vwap: number | null
}

export function legend({ bar, vwap }: Under, decimals: number) {
  const values: [string, string][] = [
    ['O', price(bar.open, decimals)],
    ['H', price(bar.high, decimals)],
    ['L', price(bar.low, decimals)],
    ['C', price(bar.close, decimals)],
  ]
  if (bar.volume > 0) values.push(['Vol', whole(bar.volume)])
  if (vwap !== null) values.push(['VWAP', price(vwap, decimals)])
  if (bar.open_interest > 0) values.push(['OI', whole(bar.open_interest)])
  const long = bar.end - bar.start > 23 * 3_600_000
  return {
    when: long ? day(bar.start) : `${day(bar.start)} ${time(bar.start)}`,
    values,
    missing: missing(bar),
    way: bar.close >= bar.open ? 'up' : 'down',
  }
}

/** What a bar that is over lacks, in words. */
export function missing(bar: Bar): string | null {
  if (bar.complete || bar.end > now()) return null
  return bar.gap_seconds > 0 ? `incomplete: a gap of ${duration(bar.gap_seconds * 1000)}` : 'incomplete'
}
