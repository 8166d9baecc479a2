// The seam between history and live ticks.
//
// What enters: answers of /v1/bars, live ticks of one instrument. What leaves: bars without a step where one becomes the other.
// What never happens here: a bar of history changed by a tick after it was settled; what /v1/bars says wins.

import type { Bar, LiveTick } from '../messages.ts'

/** Exchange times count while they are this near to the receive time (docs/bars.md). */
const TRUSTED_MS = 600_000
/** ClickHouse has a tick about a second after its socket; a bar that ended longer ago is settled. */
export const SETTLED_MS = 2_000

/** When a tick counts. */
export function countedAt(tick: LiveTick): number {
  return tick.xt > 0 && Math.abs(tick.t - tick.xt) <= TRUSTED_MS ? tick.xt : tick.t
}

/** And under load it may have it later: only what is asked for so long after a bar's end is the last word. */
const FINAL_MS = 15_000

/** What a tick did to the bars. */
export type Folded =
  /** Nothing: a cached value, or too late for the newest bar. */
  | 'nothing'
  /** The newest bar moved. */
  | 'moved'
  /** A bar ended and another began: ask /v1/bars for the last ones. */
  | 'rolled'
  /** Only /v1/bars can say in which bar it is. */
  | 'ask'

export class Seam {
  /** Oldest first. */
  readonly bars: Bar[] = []
  /** The running total with which the newest bar began, as well as it is known. */
  #base: number | null = null
  /** The newest running total. */
  #total: number | null = null
  /** When the newest tick counted, and its price. */
  #newest: { at: number; price: number } | null = null

  /** The end of the newest bar of which the last word was heard. */
  #finalUntil = 0

  /** `length` of a bar in milliseconds; null where the calendar decides. */
  constructor(readonly length: number | null) {}

  fold(tick: LiveTick): Folded {
    const last = this.bars.at(-1)
    const at = countedAt(tick)
    if (tick.s === true) return 'nothing'
    if (last === undefined) {
      this.#note(at, tick)
      return 'ask'
    }
    if (at < last.start) return 'nothing'
    if (at < last.end) {
      this.#note(at, tick)
      extend(last, tick)
      this.#addVolume(last)
      return 'moved'
    }
    if (this.length === null) {
      this.#note(at, tick)
      return 'ask'
    }
    this.#base = this.#total
    this.#note(at, tick)
    const start = last.end + Math.floor((at - last.end) / this.length) * this.length
    const bar = begun(start, start + this.length, tick, last)
    this.bars.push(bar)
    this.#addVolume(bar)
    return 'rolled'
  }

  /**
   * Takes an answer of /v1/bars that was asked for at `askedAt`. From its first bar on it replaces what is here; only the bars
   * that were not settled then keep what live ticks have added. Gives the place of the first bar that changed.
   */
  settle(answer: readonly Bar[], askedAt: number): number {
    const first = answer[0]
    if (first === undefined) return this.bars.length
    const from = this.#placeOf(first.start)
    const ours = this.bars.splice(from)
    const newest = answer[answer.length - 1]!
    for (const bar of answer) {
      const live = ours.find((our) => our.start === bar.start)
      const settled = bar.end + SETTLED_MS <= askedAt
      this.bars.push(live === undefined || settled ? { ...bar } : this.#merged(bar, live))
      if (bar.end + FINAL_MS <= askedAt) this.#finalUntil = Math.max(this.#finalUntil, bar.end)
    }
    // bars that only live ticks know yet
    this.bars.push(...ours.filter((our) => our.start >= newest.end))
    this.#rebase(newest)
    const changed = this.bars.findIndex((bar, place) => place >= from && !alike(bar, ours[place - from]))
    return changed < 0 ? this.bars.length : changed
  }

  /** How many of the newest bars have to be asked for, so that the last word is heard of each. */
  get open(): number {
    let place = this.bars.length
    while (place > 0 && this.bars[place - 1]!.end > this.#finalUntil) place--
    return this.bars.length - place
  }

  /** Older bars, as /v1/bars gave them. Gives how many were new. */
  prepend(older: readonly Bar[]): number {
    const first = this.bars[0]
    const fresh = first === undefined ? [...older] : older.filter((bar) => bar.start < first.start)
    this.bars.unshift(...fresh)
    return fresh.length
  }

  #note(at: number, tick: LiveTick): void {
    if (this.#newest === null || at >= this.#newest.at) this.#newest = { at, price: tick.p }
    // a total below the highest is a packet that came late; below half of it counting began anew
    if (this.#total === null || tick.v > this.#total || tick.v < this.#total / 2) this.#total = tick.v
  }

  #addVolume(bar: Bar): void {
    if (this.#base === null || this.#total === null) return
    bar.volume = Math.max(bar.volume, this.#total - this.#base)
  }

  /** The newest bar of history tells where counting began: at most at the newest total less what it counted. */
  #rebase(newest: Bar): void {
    const last = this.bars.at(-1)
    if (last === undefined || last.start !== newest.start || this.#total === null) return
    const base = this.#total - newest.volume
    this.#base = this.#base === null ? base : Math.min(this.#base, base)
    this.#addVolume(last)
  }

  #merged(bar: Bar, live: Bar): Bar {
    const newest = this.#newest
    const ticked = newest !== null && newest.at >= bar.start && newest.at < bar.end
    return {
      ...bar,
      high: Math.max(bar.high, live.high),
      low: Math.min(bar.low, live.low),
      close: ticked ? newest.price : bar.close,
      volume: Math.max(bar.volume, live.volume),
      open_interest: live.open_interest || bar.open_interest,
    }
  }

  #placeOf(start: number): number {
    let place = this.bars.length
    while (place > 0 && this.bars[place - 1]!.start >= start) place--
    return place
  }
}

function alike(bar: Bar, other: Bar | undefined): boolean {
  return other !== undefined && (Object.keys(bar) as (keyof Bar)[]).every((name) => bar[name] === other[name])
}

function extend(bar: Bar, tick: LiveTick): void {
  bar.high = Math.max(bar.high, tick.p)
  bar.low = Math.min(bar.low, tick.p)
  bar.close = tick.p
  if (tick.oi > 0) bar.open_interest = tick.oi
  bar.tick_count++
}

function begun(start: number, end: number, tick: LiveTick, before: Bar): Bar {
  return {
    start,
    end,
    session: before.session,
    open: tick.p,
    high: tick.p,
    low: tick.p,
    close: tick.p,
    volume: 0,
    open_interest: tick.oi > 0 ? tick.oi : before.open_interest,
    vwap: null,
    tick_count: 1,
    complete: false,
    gap_seconds: 0,
    source: 'ticks',
  }
}
