import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Seam, countedAt } from '../src/chart/seam.ts'
import type { Bar, LiveTick } from '../src/messages.ts'

const MINUTE = 60_000
const OPEN = Date.UTC(2026, 10, 20, 3, 45)

function bar(start: number, part: Partial<Bar> = {}): Bar {
  const price = { open: 100, high: 100, low: 100, close: 100 }
  const rest = { session: 'regular', volume: 10, open_interest: 0, vwap: 100, tick_count: 1, complete: true }
  return { start, end: start + MINUTE, ...price, ...rest, gap_seconds: 0, source: 'ticks', ...part }
}

function tick(t: number, p: number, v: number, part: Partial<LiveTick> = {}): LiveTick {
  return { t, xt: 0, p, q: 1, v, oi: 0, a: 0, o: 0, h: 0, l: 0, c: 0, ...part }
}

/** Minutes by brute force over all ticks: what /v1/bars answers once everything is stored. */
function bars(ticks: readonly LiveTick[], until: number): Bar[] {
  const result: Bar[] = []
  let total = 0
  for (const one of ticks.filter(({ t }) => t <= until)) {
    const start = OPEN + Math.floor((one.t - OPEN) / MINUTE) * MINUTE
    let last = result.at(-1)
    if (last?.start !== start) {
      last = bar(start, { open: one.p, high: one.p, low: one.p, volume: 0, tick_count: 0, vwap: null })
      result.push(last)
    }
    Object.assign(last, { high: Math.max(last.high, one.p), low: Math.min(last.low, one.p), close: one.p })
    last.volume += one.v - total
    last.tick_count++
    total = one.v
  }
  return result
}

/** Repeatable numbers, 0 to 1. */
function random(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

const values = ({ start, open, high, low, close, volume }: Bar) => ({ start, open, high, low, close, volume })

test('history runs into live ticks without a step, whatever the store lags', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const draw = random(seed)
    const ticks: LiveTick[] = []
    let [at, price, volume] = [OPEN, 100, 0]
    while (ticks.length < 400) {
      at += Math.ceil(draw() * 3_000)
      price += Math.round((draw() - 0.5) * 4)
      volume += Math.floor(draw() * 3)
      ticks.push(tick(at, price, volume))
    }
    const lag = 200 + draw() * 1_500
    const joined = Math.floor(100 + draw() * 200)
    const seam = new Seam(MINUTE)
    seam.settle(bars(ticks, ticks[joined]!.t - lag), ticks[joined]!.t)
    for (let place = joined; place < ticks.length; place++) {
      const one = ticks[place]!
      seam.fold(one)
      // now and then the last bars are asked for again, as the store has them by then
      if (place === joined + 1 || draw() < 0.1) seam.settle(bars(ticks, one.t - lag).slice(-5), one.t)
    }
    // at the end, once stored, history says what is right
    const all = bars(ticks, Infinity)
    const settled = seam.bars.filter((one) => one.end + 4_000 < ticks.at(-1)!.t).map(values)
    seam.settle(all.slice(-5), ticks.at(-1)!.t + 10 * MINUTE)
    assert.deepEqual(seam.bars.map(values), all.map(values), `seed ${seed}`)
    // and before that no price was wrong in a bar that had been over for a while
    for (const [place, one] of settled.slice(0, -5).entries())
      assert.deepEqual(one, values(all[place]!), `seed ${seed}`)
  }
})

test('the newest bar moves with each tick, its volume by how far the total went', () => {
  const seam = new Seam(MINUTE)
  seam.fold(tick(OPEN + 1_000, 101, 510))
  seam.settle([bar(OPEN, { volume: 30 })], OPEN + 1_500)
  assert.equal(seam.fold(tick(OPEN + 2_000, 99, 515)), 'moved')
  assert.deepEqual(values(seam.bars[0]!), { start: OPEN, open: 100, high: 100, low: 99, close: 99, volume: 35 })
  assert.equal(seam.fold(tick(OPEN + MINUTE, 102, 522)), 'rolled')
  assert.deepEqual(values(seam.bars[1]!), {
    start: OPEN + MINUTE,
    open: 102,
    high: 102,
    low: 102,
    close: 102,
    volume: 7,
  })
})

test('an empty minute has no bar', () => {
  const seam = new Seam(MINUTE)
  seam.settle([bar(OPEN)], OPEN + 1_000)
  assert.equal(seam.fold(tick(OPEN + 3 * MINUTE + 5, 100, 11)), 'rolled')
  assert.deepEqual(
    seam.bars.map(({ start }) => start),
    [OPEN, OPEN + 3 * MINUTE],
  )
})

test('cached values and late ticks change nothing', () => {
  const seam = new Seam(MINUTE)
  seam.settle([bar(OPEN)], OPEN)
  assert.equal(seam.fold(tick(OPEN + 5, 500, 11, { s: true })), 'nothing')
  assert.equal(seam.fold(tick(OPEN - 5, 500, 11)), 'nothing')
  assert.equal(seam.bars[0]!.high, 100)
})

test('what is settled wins over what ticks said, what is not keeps their range', () => {
  const seam = new Seam(MINUTE)
  seam.settle([bar(OPEN)], OPEN)
  seam.fold(tick(OPEN + 100, 140, 20))
  seam.settle([bar(OPEN, { high: 110 })], OPEN + MINUTE)
  assert.equal(seam.bars[0]!.high, 140)
  seam.settle([bar(OPEN, { high: 110 })], OPEN + 2 * MINUTE)
  assert.equal(seam.bars[0]!.high, 110)
})

test('a bar is asked for until an answer came long after its end', () => {
  const seam = new Seam(MINUTE)
  seam.settle([bar(OPEN - MINUTE), bar(OPEN)], OPEN + 20_000)
  assert.equal(seam.open, 1)
  seam.fold(tick(OPEN + MINUTE, 100, 11))
  seam.fold(tick(OPEN + 2 * MINUTE, 100, 12))
  assert.equal(seam.open, 3)
  // soon after the end of the second one: the store may lag
  assert.equal(seam.settle([bar(OPEN), bar(OPEN + MINUTE)], OPEN + 2 * MINUTE + 5_000), 2)
  assert.equal(seam.open, 2)
  seam.settle([bar(OPEN + MINUTE, { high: 107 })], OPEN + 2 * MINUTE + 15_000)
  assert.deepEqual([seam.open, seam.bars[2]!.high], [1, 107])
})

test('an answer that says nothing new changes nothing', () => {
  const seam = new Seam(MINUTE)
  const answer = [bar(OPEN), bar(OPEN + MINUTE)]
  seam.settle(answer, OPEN + 3 * MINUTE)
  assert.equal(seam.settle(answer, OPEN + 4 * MINUTE), 2)
  assert.equal(seam.settle([answer[0]!, bar(OPEN + MINUTE, { close: 1 })], OPEN + 4 * MINUTE), 1)
})

test('a bar that history does not know goes, unless it is newer than history', () => {
  const seam = new Seam(MINUTE)
  seam.settle([bar(OPEN)], OPEN)
  seam.fold(tick(OPEN + MINUTE, 1, 11))
  seam.fold(tick(OPEN + 2 * MINUTE, 1, 12))
  seam.settle([bar(OPEN)], OPEN + 3 * MINUTE)
  assert.equal(seam.bars.length, 3)
  seam.settle([bar(OPEN), bar(OPEN + 2 * MINUTE)], OPEN + 9 * MINUTE)
  assert.deepEqual(
    seam.bars.map(({ start }) => start),
    [OPEN, OPEN + 2 * MINUTE],
  )
})

test('older bars come before, each once', () => {
  const seam = new Seam(MINUTE)
  seam.settle([bar(OPEN + 2 * MINUTE)], OPEN)
  assert.equal(seam.prepend([bar(OPEN), bar(OPEN + MINUTE), bar(OPEN + 2 * MINUTE)]), 2)
  assert.deepEqual(
    seam.bars.map(({ start }) => start),
    [OPEN, OPEN + MINUTE, OPEN + 2 * MINUTE],
  )
})

test('where the calendar decides, only history begins a bar', () => {
  const seam = new Seam(null)
  assert.equal(seam.fold(tick(OPEN, 1, 1)), 'ask')
  seam.settle([bar(OPEN)], OPEN)
  assert.equal(seam.fold(tick(OPEN + MINUTE, 1, 1)), 'ask')
  assert.equal(seam.bars.length, 1)
})

test("a tick counts by the exchange's time while that is near", () => {
  assert.equal(countedAt(tick(OPEN + 700, 1, 1, { xt: OPEN })), OPEN)
  assert.equal(countedAt(tick(OPEN, 1, 1, { xt: OPEN - 600_001 })), OPEN)
  assert.equal(countedAt(tick(OPEN, 1, 1)), OPEN)
})
