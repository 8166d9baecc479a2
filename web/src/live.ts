// The live connection: one WebSocket that comes back by itself.
//
// What enters: what the views want (instruments to watch, one in focus). What leaves: quotes into quotes.ts, ticks and Health to
// who listens. What never happens here: a queue; what came while a view was not drawn is replaced by what is newer.

import { signal } from '@preact/signals'
import { backoff } from './backoff.ts'
import type { Health, LiveTick, ServerMessage } from './messages.ts'
import { accept, forgetFields } from './quotes.ts'

export type Connection =
  | { state: 'connecting' }
  | { state: 'open' }
  /** `since` and `retryAt` in this machine's Unix milliseconds. */
  | { state: 'lost'; since: number; retryAt: number; attempt: number }

export const connection = signal<Connection>({ state: 'connecting' })
export const health = signal<Health | null>(null)
export const serverVersion = signal('')
/** What the server refused last. */
export const refused = signal<string | null>(null)
/** How far the server's clock is ahead of this machine's, in milliseconds. */
let ahead = 0

/** The server's time, Unix milliseconds. */
export function now(): number {
  return Date.now() + ahead
}

/** Health comes every second; a connection that is silent for so long is dead, whatever TCP thinks. */
const SILENT_MS = 6_000

export interface FocusListener {
  /** Newest last. `skipped`: the server left so many out before them. */
  ticks(ticks: readonly LiveTick[], skipped: number): void
  /** A connection was opened anew: what happened between is not known. */
  reopened(): void
}

let socket: WebSocket | null = null
let watched: readonly number[] = []
let focused: number | null = null
const listeners = new Set<FocusListener>()
let attempt = 0
let lostSince = 0
let opened = 0
let heardAt = 0
let retry: ReturnType<typeof setTimeout> | undefined

export function watch(tokens: readonly number[]): void {
  watched = tokens
  say({ op: 'watch', instruments: tokens })
}

export function focus(token: number | null): void {
  if (focused === token) return
  focused = token
  say({ op: 'focus', instrument: token })
}

/** Ticks of the instrument in focus from now on; the result ends it. */
export function listen(listener: FocusListener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Connects, and from then on by itself. */
export function connect(): void {
  open()
  setInterval(() => {
    if (socket?.readyState === WebSocket.OPEN && performance.now() - heardAt > SILENT_MS) lost(socket)
  }, 1000)
  addEventListener('online', retryNow)
}

/** Does not wait for the next attempt. */
export function retryNow(): void {
  if (connection.value.state !== 'lost') return
  clearTimeout(retry)
  open()
}

function open(): void {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
  const opening = new WebSocket(`${scheme}://${location.host}/v1/live`)
  socket = opening
  heardAt = performance.now()
  opening.onmessage = (event) => {
    if (socket === opening) take(JSON.parse(String(event.data)) as ServerMessage)
  }
  opening.onclose = () => lost(opening)
}

function say(wish: object): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wish))
}

function lost(closed: WebSocket): void {
  if (socket !== closed) return
  socket = null
  closed.close()
  if (connection.value.state !== 'lost') lostSince = Date.now()
  attempt++
  const wait = backoff(attempt, Math.random())
  connection.value = { state: 'lost', since: lostSince, retryAt: Date.now() + wait, attempt }
  retry = setTimeout(open, wait)
}

function take(message: ServerMessage): void {
  heardAt = performance.now()
  switch (message.type) {
    case 'hello':
      return greeted(message.now, message.version)
    case 'quotes':
      return accept(message.fields, message.rows)
    case 'ticks':
      if (message.instrument === focused) for (const one of listeners) one.ticks(message.ticks, message.skipped)
      return
    case 'health':
      health.value = message.health
      return
    case 'error':
      refused.value = message.message
  }
}

function greeted(serverNow: number, version: string): void {
  ahead = serverNow - Date.now()
  attempt = 0
  opened++
  forgetFields()
  serverVersion.value = version
  connection.value = { state: 'open' }
  say({ op: 'health', on: true })
  say({ op: 'watch', instruments: watched })
  if (focused !== null) say({ op: 'focus', instrument: focused })
  if (opened > 1) for (const listener of listeners) listener.reopened()
}
