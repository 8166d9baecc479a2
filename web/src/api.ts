// REST: one function a question. What never happens here: a request to another host.

import { signal } from '@preact/signals'
import type { Bar, Chain, Coverage, Gap, Instrument, Tick, Underlying } from './messages.ts'

/** True once the server wanted a token that the page does not have. */
export const tokenWanted = signal(false)

/** What the server says is wrong, and what to do. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

type Parameters = Record<string, string | number | null | undefined>

async function get<Answer>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<Answer> {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) query.set(name, String(value))
  }
  const text = query.toString()
  const url = `/v1/${path}${text === '' ? '' : `?${text}`}`
  const response = await fetch(url, { signal: signal ?? null, headers: { accept: 'application/json' } })
  if (response.ok) return (await response.json()) as Answer
  if (response.status === 401) tokenWanted.value = true
  throw await fault(response)
}

async function fault(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string } }
    return new ApiError(response.status, error.code, error.message)
  } catch {
    return new ApiError(response.status, 'unreadable', `The server answered ${response.status}.`)
  }
}

export async function searchInstruments(q: string, limit: number, signal?: AbortSignal): Promise<Instrument[]> {
  return (await get<{ instruments: Instrument[] }>('instruments', { q, limit }, signal)).instruments
}

/** Those of the tokens that mean something today. */
export async function instrumentsOf(tokens: readonly number[]): Promise<Instrument[]> {
  const result: Instrument[] = []
  for (const part of parts(tokens, 200)) {
    const answer = await get<{ instruments: Instrument[] }>('instruments', { instruments: part.join(',') })
    result.push(...answer.instruments)
  }
  return result
}

export interface BarsQuestion {
  instrument: number
  interval: string
  /** Unix milliseconds, exclusive: only bars that begin before. */
  before?: number
  limit: number
}

export async function bars(question: BarsQuestion, signal?: AbortSignal): Promise<Bar[]> {
  const { before, ...rest } = question
  const window = before === undefined ? {} : { to: instant(before) }
  return (await get<{ bars: Bar[] }>('bars', { ...rest, ...window }, signal)).bars
}

export async function ticks(instrument: number, limit: number, signal?: AbortSignal): Promise<Tick[]> {
  return (await get<{ ticks: Tick[] }>('ticks', { instrument, limit }, signal)).ticks
}

/** Closes of today by token. */
export async function sparklines(tokens: readonly number[]): Promise<Map<number, number[]>> {
  const result = new Map<number, number[]>()
  for (const part of parts(tokens, 200)) {
    const query = { instruments: part.join(',') }
    const answer = await get<{ sparklines: Record<string, number[]> }>('sparklines', query)
    for (const [token, closes] of Object.entries(answer.sparklines)) result.set(Number(token), closes)
  }
  return result
}

export async function underlyings(): Promise<Underlying[]> {
  return (await get<{ underlyings: Underlying[] }>('underlyings')).underlyings
}

export function chain(underlying: string, expiry: string, signal?: AbortSignal): Promise<Chain> {
  return get('chain', { underlying, expiry }, signal)
}

export interface GapsQuestion {
  instrument?: number
  from?: number
  to?: number
  limit: number
}

export async function gaps(question: GapsQuestion, signal?: AbortSignal): Promise<Gap[]> {
  const window = {
    from: question.from === undefined ? undefined : instant(question.from),
    to: question.to === undefined ? undefined : instant(question.to),
  }
  return (await get<{ gaps: Gap[] }>('gaps', { ...question, ...window }, signal)).gaps
}

export async function coverage(limit: number, signal?: AbortSignal): Promise<Coverage[]> {
  return (await get<{ rows: Coverage[] }>('coverage', { limit }, signal)).rows
}

/** Trades the token for a cookie; false: the server does not know it. */
export async function openSession(token: string): Promise<boolean> {
  const body = JSON.stringify({ token })
  const headers = { 'content-type': 'application/json' }
  return (await fetch('/v1/session', { method: 'POST', headers, body })).ok
}

/** India's time, as the command line takes it. */
function instant(unixMs: number): string {
  const date = new Date(unixMs + 19_800_000)
  return date.toISOString().slice(0, 23).replace('T', ' ')
}

function parts(tokens: readonly number[], size: number): number[][] {
  const result: number[][] = []
  for (let from = 0; from < tokens.length; from += size) result.push(tokens.slice(from, from + size))
  return result
}
