// The watchlist itself: which instruments, in which order, and what follows from that.

import { computed, effect, signal } from '@preact/signals'
import { searchInstruments, sparklines } from '../api.ts'
import { instrument, learn, learnTokens } from '../instruments.ts'
import { connection, watch } from '../live.ts'
import { change, changePercent, quote } from '../quotes.ts'
import { remembered } from '../settings.ts'
import { moved, ordered, type Sort } from './order.ts'

/** The server watches no more for one client. */
const MOST = 1_000
/** A list that is sorted by what moves is sorted again this often. */
const SORT_MS = 1_000
const SPARK_MS = 30_000

/** What a first visitor sees, as far as it is listed: indices, the futures on them, shares that trade most. */
const FIRST = [
  'NSE:NIFTY', 'NSE:BANKNIFTY', 'BSE:SENSEX', 'NSE:FINNIFTY', 'NSE:INDIA VIX', 'NSE:RELIANCE', 'NSE:HDFCBANK', 'NSE:ICICIBANK',
  'NSE:INFY', 'NSE:TCS', 'NSE:SBIN', 'NSE:BHARTIARTL', 'NSE:ITC', 'NSE:LT', 'NSE:AXISBANK', 'NFO:NIFTY FUT', 'NFO:BANKNIFTY FUT',
] // prettier-ignore

const isTokens = (value: unknown): boolean =>
  Array.isArray(value) && value.length <= MOST && value.every((token) => Number.isInteger(token) && token > 0)

/** In the user's own order. */
export const tokens = remembered<number[]>('watchlist', [], isTokens)
export const sort = remembered<Sort>(
  'sort',
  { column: null, descending: false },
  (value) => typeof value === 'object' && value !== null && 'column' in value && 'descending' in value,
)
/** Closes of today, by token. */
export const sparks = signal<ReadonlyMap<number, number[]>>(new Map())

const sortedAt = signal(0)

/** In the order that is shown. */
export const shown = computed(() => {
  void sortedAt.value
  const rows = tokens.value.map((token) => {
    // not a dependency: else every tick would sort
    const state = quote(token).peek()
    return {
      token,
      symbol: instrument(token).value?.symbol ?? '',
      last_price: state?.last_price ?? null,
      change: change(state),
      change_percent: changePercent(state),
      volume: state?.volume ?? null,
      open_interest: state?.open_interest ?? null,
    }
  })
  return ordered(rows, sort.value)
})

export function add(token: number): void {
  if (!tokens.value.includes(token) && tokens.value.length < MOST) tokens.value = [...tokens.value, token]
}

export function remove(token: number): void {
  tokens.value = tokens.value.filter((other) => other !== token)
}

/** Only in the user's own order: a sorted list would put it back. */
export function move(token: number, step: number): void {
  if (sort.value.column === null) tokens.value = moved(tokens.value, token, step)
}

/** Watches what is in the list, and `also` (the one that is shown). */
export function follow(also: () => number | null): void {
  effect(() => {
    const extra = also()
    const wanted = extra === null || tokens.value.includes(extra) ? tokens.value : [...tokens.value, extra]
    watch(wanted.slice(0, MOST))
  })
  effect(() => {
    const wanted = tokens.value
    if (connection.value.state === 'open') void refresh(wanted)
  })
  setInterval(() => {
    if (sort.value.column !== null && sort.value.column !== 'symbol') sortedAt.value++
  }, SORT_MS)
  setInterval(() => {
    if (!document.hidden && connection.value.state === 'open') void refreshSparks(tokens.value)
  }, SPARK_MS)
}

/** The list of a first visitor. */
export async function begin(): Promise<void> {
  if (tokens.value.length > 0) return
  const answers = await Promise.allSettled(FIRST.map(first))
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  learn(found)
  const fresh = found.map((one) => one.instrument_token)
  if (tokens.value.length === 0) tokens.value = [...new Set(fresh)]
}

async function first(name: string) {
  const [exchange, words] = name.split(':') as [string, string]
  const found = await searchInstruments(words, 10)
  const symbol = words.split(' ')[0]
  const future = words.endsWith(' FUT')
  const fits = found.filter(
    (one) =>
      one.exchange === exchange &&
      (future
        ? one.instrument_type === 'FUT' && one.name === symbol
        : one.symbol === words || one.tradingsymbol === words),
  )
  if (future) fits.sort((left, right) => (left.expiry ?? '').localeCompare(right.expiry ?? ''))
  return fits.slice(0, 1)
}

async function refresh(wanted: readonly number[]): Promise<void> {
  try {
    await learnTokens(wanted)
  } catch {
    // names come with the next connection; until then a row shows its token
  }
  await refreshSparks(wanted)
}

async function refreshSparks(wanted: readonly number[]): Promise<void> {
  if (wanted.length === 0) return
  try {
    sparks.value = await sparklines(wanted)
  } catch {
    // the old ones stay; the next turn asks again
  }
}
