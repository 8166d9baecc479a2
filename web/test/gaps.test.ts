import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bands, slots } from '../src/chart/gaps.ts'
import { dayVwap } from '../src/chart/vwap.ts'
import type { Bar, Gap } from '../src/messages.ts'

const MINUTE = 60_000
const OPEN = Date.UTC(2026, 10, 20, 3, 45)

const bar = (minute: number, part: Partial<Bar> = {}): Bar => ({
  start: OPEN + minute * MINUTE,
  end: OPEN + (minute + 1) * MINUTE,
  session: 'regular',
  ...{ open: 100, high: 100, low: 100, close: 100, volume: 1, open_interest: 0, vwap: 100, tick_count: 1 },
  ...{ complete: true, gap_seconds: 0, source: 'ticks', ...part },
})
const gap = (from: number, to: number | null): Gap => ({
  from: OPEN + from * MINUTE,
  to: to === null ? null : OPEN + to * MINUTE,
  ...{ cause: 'silent', socket: 0, instruments: 0, detail: '' },
})
const starts = (result: ReturnType<typeof slots>) =>
  result.map(({ start, bar }) => [(start - OPEN) / MINUTE, bar !== null])

test('a gap leaves empty slots, a quiet minute none', () => {
  const bars = [bar(0), bar(3), bar(5)]
  const now = OPEN + 5.5 * MINUTE
  assert.deepEqual(starts(slots(bars, [gap(1.5, 2.2)], MINUTE, now)), [
    [0, true],
    [1, false],
    [2, false],
    [3, true],
    [5, true],
  ])
})

test('an open gap goes on until now', () => {
  assert.deepEqual(starts(slots([bar(0)], [gap(0.5, null)], MINUTE, OPEN + 3.2 * MINUTE)), [
    [0, true],
    [1, false],
    [2, false],
  ])
})

test('a gap over a night or a year makes no desert', () => {
  const later = bar(24 * 60)
  assert.equal(slots([bar(0), later], [gap(1, 24 * 60)], MINUTE, later.end).length, 2)
  assert.ok(slots([bar(0), bar(700)], [gap(1, 700)], MINUTE, bar(700).end).length < 250)
})

test('bands lie where their instants are', () => {
  const bars = [bar(0), bar(1), bar(2)]
  const now = OPEN + 3 * MINUTE
  const axis = slots(bars, [], MINUTE, now)
  const [inside, open, before] = bands(axis, [gap(0.5, 1.25), gap(2, null), gap(-9, 1)], now)
  // the middle of slot 0 is place 0; a quarter into slot 1 is a quarter behind its left edge at 0.5
  assert.deepEqual([inside!.from, inside!.to], [0, 0.75])
  assert.deepEqual([open!.from, open!.to], [1.5, 2.5])
  assert.deepEqual([before!.from, before!.to], [-0.5, 0.5])
  assert.equal(bands(axis, [gap(-9, -8)], now).length, 0)
})

test('VWAP begins anew each day, and not in the middle of one', () => {
  const next = 24 * 60
  const bars = [
    bar(0, { vwap: 10, volume: 1 }),
    bar(1, { vwap: 20, volume: 3 }),
    bar(next, { vwap: null, high: 9, low: 3, close: 6, volume: 2 }),
    bar(next + 1, { vwap: 12, volume: 4 }),
  ]
  assert.deepEqual(dayVwap(bars, true), [10, 17.5, 6, 10])
  assert.deepEqual(dayVwap(bars, false), [null, null, 6, 10])
  assert.deepEqual(dayVwap([bar(0, { volume: 0 })], true), [null])
})
