// The intervals that the chart offers, each with its key.

export interface Interval {
  /** As REST takes it. */
  name: string
  /** Its length; null where the calendar decides. */
  milliseconds: number | null
}

const SECOND = 1000
const MINUTE = 60 * SECOND

/** By key 1 to 9. */
export const INTERVALS: readonly Interval[] = [
  { name: '1s', milliseconds: SECOND },
  { name: '5s', milliseconds: 5 * SECOND },
  { name: '15s', milliseconds: 15 * SECOND },
  { name: '1m', milliseconds: MINUTE },
  { name: '5m', milliseconds: 5 * MINUTE },
  { name: '15m', milliseconds: 15 * MINUTE },
  { name: '1h', milliseconds: 60 * MINUTE },
  { name: '1d', milliseconds: null },
  { name: '1w', milliseconds: null },
]

export function intervalNamed(name: string | null): Interval {
  return INTERVALS.find((interval) => interval.name === name) ?? INTERVALS[3]!
}
