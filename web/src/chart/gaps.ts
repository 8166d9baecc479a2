// Gaps among bars: the slots that stay empty, and where a band is drawn. Pure.

import { dayNumber } from '../format.ts'
import type { Bar, Gap } from '../messages.ts'

/** A place on the time axis: with a bar, or empty because of a gap. */
export interface Slot {
  start: number
  end: number
  bar: Bar | null
}

/** A chart wide of emptiness says no more than this many empty slots do. */
const MOST_EMPTY = 240

/**
 * The bars with empty slots where a gap left none. `length` of a bar in milliseconds, null where the calendar decides (then
 * nothing is added). Only within a day: nobody trades at night. `now` ends gaps that are still open.
 */
export function slots(bars: readonly Bar[], gaps: readonly Gap[], length: number | null, now: number): Slot[] {
  const result: Slot[] = []
  for (let place = 0; place < bars.length; place++) {
    const bar = bars[place]!
    const before = bars[place - 1]
    if (before !== undefined && length !== null && before.end < bar.start) {
      result.push(...empty(before.end, bar.start, gaps, length, now))
    }
    result.push({ start: bar.start, end: bar.end, bar })
  }
  const last = bars.at(-1)
  if (last !== undefined && length !== null) result.push(...empty(last.end, now, gaps, length, now))
  return result
}

function empty(from: number, to: number, gaps: readonly Gap[], length: number, now: number): Slot[] {
  const touching = gaps.filter((gap) => gap.from < to && (gap.to ?? now) > from)
  if (touching.length === 0 || dayNumber(from) !== dayNumber(to)) return []
  const result: Slot[] = []
  for (let start = from; start + length <= to && result.length < MOST_EMPTY; start += length) {
    const end = start + length
    if (touching.some((gap) => gap.from < end && (gap.to ?? now) > start)) result.push({ start, end, bar: null })
  }
  return result
}

/** A gap in places of the time axis: 2.5 is in the middle between the slots 2 and 3. */
export interface Band {
  from: number
  to: number
  gap: Gap
}

/** Where the bands of gaps begin and end; gaps outside of all slots are left out. */
export function bands(axis: readonly Slot[], gaps: readonly Gap[], now: number): Band[] {
  const first = axis[0]
  if (first === undefined) return []
  const inside = gaps.filter((gap) => (gap.to ?? now) > first.start)
  return inside.map((gap) => ({ from: placeAt(axis, gap.from), to: placeAt(axis, gap.to ?? now), gap }))
}

/** The place of an instant; a slot reaches from half a place before its number to half a place behind. */
function placeAt(axis: readonly Slot[], at: number): number {
  let low = 0
  let high = axis.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (axis[middle]!.start <= at) low = middle + 1
    else high = middle
  }
  if (low === 0) return -0.5
  const slot = axis[low - 1]!
  return low - 1.5 + Math.min(1, (at - slot.start) / (slot.end - slot.start))
}
