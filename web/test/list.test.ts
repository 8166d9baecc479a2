import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoff } from '../src/backoff.ts'
import { limits } from '../src/chain/limits.ts'
import { moved, ordered, pressed, type Sort, type Sortable } from '../src/market/order.ts'
import type { Chain } from '../src/messages.ts'
import { hashOf, parseRoute, type Route } from '../src/routes.ts'

const row = (token: number, symbol: string, volume: number | null): Sortable => ({
  ...{ token, symbol, volume, last_price: null, change: null, change_percent: null, open_interest: null },
})
const rows = [row(1, 'INFY', 5), row(2, 'ACC', null), row(3, 'TCS', 9), row(4, 'ITC', 5)]

test('a list sorts by a column; what has no value comes last, equals stay', () => {
  assert.deepEqual(ordered(rows, { column: 'volume', descending: true }), [3, 1, 4, 2])
  assert.deepEqual(ordered(rows, { column: 'volume', descending: false }), [1, 4, 3, 2])
  assert.deepEqual(ordered(rows, { column: 'symbol', descending: false }), [2, 1, 4, 3])
  assert.deepEqual(ordered(rows, { column: null, descending: false }), [1, 2, 3, 4])
})

test('the third press of a column gives back the own order', () => {
  let sort: Sort = { column: null, descending: false }
  const seen = [1, 2, 3].map(() => (sort = pressed(sort, 'volume')))
  assert.deepEqual(seen, [
    { column: 'volume', descending: true },
    { column: 'volume', descending: false },
    { column: null, descending: false },
  ])
})

test('a row moves, and not beyond the ends', () => {
  assert.deepEqual(moved([1, 2, 3], 3, -1), [1, 3, 2])
  assert.deepEqual(moved([1, 2, 3], 1, -1), [1, 2, 3])
  assert.deepEqual(moved([1, 2, 3], 9, 1), [1, 2, 3])
})

test('addresses come back as the views that they name', () => {
  const routes: Route[] = [
    { page: 'market', instrument: null },
    { page: 'market', instrument: 408065 },
    { page: 'chain', underlying: null, expiry: null },
    { page: 'chain', underlying: 'M&M', expiry: '2026-11-24' },
    { page: 'pipeline' },
  ]
  for (const route of routes) assert.deepEqual(parseRoute(hashOf(route)), route)
  for (const wrong of ['', '#', '#/nowhere', '#/market/abc', '#/market/-5', '#/market/%']) {
    assert.deepEqual(parseRoute(wrong), { page: 'market', instrument: null })
  }
})

test('attempts to connect become rarer, up to ten seconds', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 20].map((attempt) => backoff(attempt, 0.5)),
    [250, 500, 1_000, 2_000, 10_000],
  )
  assert.deepEqual([backoff(1, 0), backoff(1, 1)], [200, 300])
})

test('bars of a chain are measured by its largest, volatilities by those near the money', () => {
  const leg = (open_interest: number, implied_volatility: number | null) => ({ open_interest, implied_volatility })
  const strikes = [
    { strike: 100, call: leg(50, 0.1), put: null },
    { strike: 110, call: leg(200, 0.2), put: leg(10, null) },
  ]
  const scale = limits({ at_the_money: 100, strikes } as unknown as Chain)
  assert.equal(scale.openInterest, 200)
  assert.deepEqual([0.1, 0.2, null].map(scale.volatilityShare), [0.1, 1, 0])
})
