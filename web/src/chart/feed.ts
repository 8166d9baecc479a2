// The bars of one instrument and interval: history, live ticks, gaps.
//
// What enters: a token, an interval. What leaves: calls of `changed` with what to draw again. What never happens here: two
// questions to /v1/bars at once; one that is due while another is under way is asked after it.

import { bars, gaps } from '../api.ts'
import { connection, listen, now } from '../live.ts'
import type { Gap, LiveTick } from '../messages.ts'
import type { Interval } from './intervals.ts'
import { Seam, SETTLED_MS } from './seam.ts'

const FIRST_BARS = 600
const OLDER_BARS = 1_000
/** The server gives no more. */
const MOST_BARS = 5_000
/** The last bars again, beside those that are still open: the server may have some that we do not. */
const LAST_BARS = 5
/** While the last word is not heard of a bar that ended, it is asked for so often. */
const AGAIN_MS = 5_000
/** Bars of a second would else be asked for more often than they are stored. */
const ASK_EVERY_MS = 1_000
const GAPS = 500
const GAPS_EVERY_MS = 5_000

export interface Change {
  /** The place of the first bar that changed; all from there on did. */
  from: number
  /** Places moved, or gaps changed: everything is to be drawn anew. */
  anew: boolean
}

export class Feed {
  readonly seam: Seam
  gaps: readonly Gap[] = []
  /** No older bars exist. */
  fromBegin = false
  /** Why there are no bars. */
  fault: string | null = null
  loaded = false

  readonly #stop = new AbortController()
  readonly #unlisten: () => void
  readonly #gapTimer: ReturnType<typeof setInterval>
  #askTimer: ReturnType<typeof setTimeout> | undefined
  #askedAt = -Infinity
  #wanted = 0
  #asking = false
  #older = false

  constructor(
    readonly token: number,
    readonly interval: Interval,
    readonly changed: (change: Change) => void,
  ) {
    this.seam = new Seam(interval.milliseconds)
    this.#unlisten = listen({
      ticks: (ticks, skipped) => this.#fold(ticks, skipped),
      reopened: () => {
        this.#ask(FIRST_BARS)
        void this.#askGaps()
      },
    })
    this.#ask(FIRST_BARS)
    void this.#askGaps()
    this.#gapTimer = setInterval(() => void this.#askGaps(), GAPS_EVERY_MS)
  }

  stop(): void {
    this.#stop.abort()
    this.#unlisten()
    clearTimeout(this.#askTimer)
    clearInterval(this.#gapTimer)
  }

  /** Older bars than those that are here. */
  async loadOlder(): Promise<void> {
    const first = this.seam.bars[0]
    if (first === undefined || this.fromBegin || this.#older) return
    this.#older = true
    try {
      const question = { instrument: this.token, interval: this.interval.name, before: first.start, limit: OLDER_BARS }
      const older = await bars(question, this.#stop.signal)
      const count = this.seam.prepend(older)
      this.fromBegin = older.length < OLDER_BARS
      if (count > 0) {
        this.changed({ from: 0, anew: true })
        void this.#askGaps()
      }
    } catch {
      // scrolling on asks again
    } finally {
      this.#older = false
    }
  }

  #fold(ticks: readonly LiveTick[], skipped: number): void {
    const before = this.seam.bars.length
    let rolled = false
    let ask = skipped > 0
    for (const tick of ticks) {
      const folded = this.seam.fold(tick)
      rolled ||= folded === 'rolled'
      ask ||= folded === 'ask'
    }
    if (rolled) setTimeout(() => this.#ask(LAST_BARS), SETTLED_MS)
    if (ask) this.#ask(Math.max(LAST_BARS, skipped > 0 ? FIRST_BARS : 0))
    this.changed({ from: Math.max(0, before - 1), anew: false })
  }

  #ask(count: number): void {
    if (this.#stop.signal.aborted) return
    this.#wanted = Math.max(this.#wanted, count)
    if (this.#asking || this.#askTimer !== undefined) return
    const wait = Math.max(0, this.#askedAt + ASK_EVERY_MS - performance.now())
    this.#askTimer = setTimeout(() => void this.#question(), wait)
  }

  async #question(): Promise<void> {
    const count = Math.min(MOST_BARS, Math.max(this.#wanted, this.seam.open + LAST_BARS))
    this.#askTimer = undefined
    this.#wanted = 0
    this.#asking = true
    this.#askedAt = performance.now()
    const askedAt = now()
    try {
      const question = { instrument: this.token, interval: this.interval.name, limit: count }
      const answer = await bars(question, this.#stop.signal)
      if (!this.loaded) {
        // once more when what is under way to ClickHouse now is there
        setTimeout(() => this.#ask(LAST_BARS), SETTLED_MS)
        this.fromBegin = answer.length < count
      }
      const from = this.seam.settle(answer, askedAt)
      const anew = !this.loaded || this.fault !== null
      this.loaded = true
      this.fault = null
      this.changed({ from, anew })
      // the newest one is open as long as it runs
      if (this.seam.open > 1) setTimeout(() => this.#ask(LAST_BARS), AGAIN_MS)
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.fault = (error as Error).message
      this.changed({ from: this.seam.bars.length, anew: false })
      if (connection.value.state === 'open') setTimeout(() => this.#ask(FIRST_BARS), 2 * ASK_EVERY_MS)
    } finally {
      this.#asking = false
      if (this.#wanted > 0) this.#ask(this.#wanted)
    }
  }

  async #askGaps(): Promise<void> {
    if (connection.peek().state === 'lost') return
    const first = this.seam.bars[0]
    try {
      const from = first?.start ?? now() - 86_400_000
      const found = await gaps({ instrument: this.token, from, limit: GAPS }, this.#stop.signal)
      const same = found.length === this.gaps.length && found.every((gap, at) => alike(gap, this.gaps[at]!))
      this.gaps = found
      if (!same || found.some((gap) => gap.to === null)) this.changed({ from: 0, anew: true })
    } catch {
      // the next turn asks again
    }
  }
}

const alike = (left: Gap, right: Gap): boolean =>
  left.from === right.from && left.to === right.to && left.cause === right.cause
