// The newest state of each watched instrument.
//
// What enters: rows of `quotes` messages, up to fifty times a second. What leaves: one signal an instrument, set at most once a
// frame of the screen. What never happens here: a state older than the one it replaces.

import { batch, signal, type Signal } from '@preact/signals'

export interface Quote {
  instrument_token: number
  /** Receive time, Unix milliseconds. */
  timestamp: number
  last_price: number
  /** Of the session before; 0: not known. */
  close_price: number
  volume: number
  open_interest: number
  bid: number
  ask: number
  open: number
  high: number
  low: number
}

const quotes = new Map<number, Signal<Quote | null>>()
/** What came since the last frame. */
const pending = new Map<number, number[]>()
let fields: readonly string[] = []
let scheduled = false

/** The newest state; null until there is one. */
export function quote(token: number): Signal<Quote | null> {
  let found = quotes.get(token)
  if (found === undefined) {
    found = signal<Quote | null>(null)
    quotes.set(token, found)
  }
  return found
}

/** A new connection says its fields anew. */
export function forgetFields(): void {
  fields = []
}

export function accept(named: readonly string[] | undefined, rows: readonly number[][]): void {
  if (named !== undefined) fields = named
  const place = fields.indexOf('instrument_token')
  if (place < 0) return
  for (const row of rows) pending.set(row[place]!, row)
  if (scheduled) return
  scheduled = true
  // in a hidden tab no frame comes, and `pending` holds one row an instrument
  requestAnimationFrame(flush)
}

function flush(): void {
  scheduled = false
  batch(() => {
    for (const [token, row] of pending) quote(token).value = named(row)
  })
  pending.clear()
}

function named(row: readonly number[]): Quote {
  const result: Record<string, number> = {}
  fields.forEach((field, place) => (result[field] = row[place] ?? 0))
  return result as unknown as Quote
}

/** Change from the close before; null without one. */
export function change(quote: Quote | null): number | null {
  return quote === null || quote.close_price === 0 ? null : quote.last_price - quote.close_price
}

export function changePercent(quote: Quote | null): number | null {
  const difference = change(quote)
  return difference === null ? null : (difference / quote!.close_price) * 100
}
