import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as format from '../src/format.ts'

test('digits are grouped as India does', () => {
  // the browser's own rules are the oracle
  const oracle = new Intl.NumberFormat('en-IN', { maximumFractionDigits: 0 })
  for (const value of [0, 9, 999, 1_000, 99_999, 100_000, 1_234_567, 12_345_678, 987_654_321, 12_345_678_901]) {
    assert.equal(format.whole(value), oracle.format(value))
    assert.equal(format.price(value + 0.25), `${oracle.format(value)}.25`)
  }
  assert.equal(format.whole(-1_234_567), '−12,34,567')
})

test('changes have a sign, nothing has none', () => {
  assert.equal(format.signed(1234.5), '+1,234.50')
  assert.equal(format.signed(-0.05), '−0.05')
  assert.equal(format.signed(0), '0.00')
  assert.equal(format.signed(-0.001), '0.00')
})

test('tick sizes say how many decimals', () => {
  assert.deepEqual([0.05, 0.01, 1, 0.0025, 0.0001, 0].map(format.decimals), [2, 2, 2, 4, 4, 2])
})

test('quantities are short in lakh and crore', () => {
  assert.deepEqual([99_999, 123_456, 2_500_000, 45_600_000, 12_340_000_000, -123_456].map(format.short), [
    '99,999',
    '1.23 L',
    '25.0 L',
    '4.56 Cr',
    '1,234 Cr',
    '−1.23 L',
  ])
})

test("times are India's, and come back", () => {
  const open = Date.UTC(2026, 10, 20, 3, 45, 0, 7)
  assert.equal(format.time(open, true), '09:15:00.007')
  assert.equal(format.day(open), '20 Nov 2026')
  assert.equal(format.parseTime('2026-11-20 09:15:00.007'), open)
  // 23:59:59.999 and midnight of India
  const midnight = Date.UTC(2026, 10, 20, 18, 30)
  assert.equal(format.dayNumber(midnight) - format.dayNumber(midnight - 1), 1)
})

test('lengths of time', () => {
  assert.deepEqual([850, 1_500, 12_000, 60_000, 185_000, 7_800_000, 273_600_000].map(format.duration), [
    '850 ms',
    '1.5 s',
    '12 s',
    '1 min',
    '3 min 5 s',
    '2 h 10 min',
    '3 d 4 h',
  ])
})

test('sizes', () => {
  assert.deepEqual([512, 1_400, 1_400_000_000].map(format.bytes), ['512 B', '1.4 kB', '1.4 GB'])
})
