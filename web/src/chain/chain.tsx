// The option chain: calls to the left, puts to the right, the money in the middle.

import { useSignal, type Signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { chain, underlyings } from '../api.ts'
import { shortDate } from '../format.ts'
import { onKeys } from '../keys.ts'
import { connection } from '../live.ts'
import type { Chain, Underlying } from '../messages.ts'
import { go, route } from '../router.ts'
import { remembered } from '../settings.ts'
import { Summary } from './summary.tsx'
import { Strikes } from './strikes.tsx'

/** From one answer to the next question; with the answer's own time at most two seconds. */
const EVERY_MS = 1_200
const LISTED_EVERY_MS = 300_000

const greeks = remembered<boolean>('greeks', false, (value) => typeof value === 'boolean')

export function ChainPage() {
  const listed = useSignal<Underlying[]>([])
  const current = useSignal<Chain | null>(null)
  const fault = useSignal<string | null>(null)
  const named = route.value.page === 'chain' ? route.value : { underlying: null, expiry: null }
  const underlying = named.underlying ?? listed.value[0]?.underlying ?? null
  const one = listed.value.find((one) => one.underlying === underlying)
  const expiry = named.expiry ?? one?.expiries[0] ?? 'current'

  useEffect(() => keepListed(listed, fault), [])
  useEffect(() => (underlying === null ? undefined : poll(underlying, expiry, current, fault)), [underlying, expiry])
  useEffect(() => onKeys(keys(one, expiry)), [one, expiry])

  return (
    <main class="chain">
      <div class="choice">
        <label>
          Underlying
          <select
            value={underlying ?? ''}
            onChange={(event) => go({ page: 'chain', underlying: event.currentTarget.value, expiry: null })}
          >
            {listed.value.map((one) => (
              <option key={`${one.exchange}:${one.underlying}`} value={one.underlying}>
                {one.underlying} · {one.exchange}
              </option>
            ))}
          </select>
        </label>
        <div role="toolbar" aria-label="Expiry" class="expiries">
          {one?.expiries.map((date) => (
            <button
              key={date}
              type="button"
              aria-pressed={date === expiry}
              title={date}
              onClick={() => go({ page: 'chain', underlying, expiry: date })}
            >
              {shortDate(date)}
            </button>
          ))}
        </div>
        <button type="button" aria-pressed={greeks.value} title="Key g" onClick={() => (greeks.value = !greeks.value)}>
          Greeks
        </button>
      </div>
      {fault.value !== null && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      {current.value !== null && (
        <>
          <Summary chain={current.value} />
          <Strikes chain={current.value} greeks={greeks.value} />
        </>
      )}
      {current.value === null && fault.value === null && <p class="note">Asking for the chain.</p>}
    </main>
  )
}

function keys(one: Underlying | undefined, expiry: string): Record<string, () => void> {
  const step = (by: number): void => {
    if (one === undefined) return
    const next = one.expiries[one.expiries.indexOf(expiry) + by]
    if (next !== undefined) go({ page: 'chain', underlying: one.underlying, expiry: next })
  }
  return { n: () => step(1), N: () => step(-1), g: () => (greeks.value = !greeks.value) }
}

function keepListed(listed: Signal<Underlying[]>, fault: Signal<string | null>): () => void {
  const ask = (): void => {
    underlyings()
      .then((answer) => (listed.value = answer))
      .catch((error: Error) => (fault.value = error.message))
  }
  ask()
  const timer = setInterval(ask, LISTED_EVERY_MS)
  return () => clearInterval(timer)
}

/** Asks again and again; while the tab is hidden or the connection lost it only waits. */
function poll(
  underlying: string,
  expiry: string,
  current: Signal<Chain | null>,
  fault: Signal<string | null>,
): () => void {
  const stop = new AbortController()
  let timer: ReturnType<typeof setTimeout>
  const next = async (): Promise<void> => {
    if (!document.hidden && connection.peek().state !== 'lost') {
      try {
        current.value = await chain(underlying, expiry, stop.signal)
        fault.value = null
      } catch (error) {
        if (stop.signal.aborted) return
        fault.value = (error as Error).message
      }
    }
    if (!stop.signal.aborted) timer = setTimeout(() => void next(), EVERY_MS)
  }
  if (current.peek()?.underlying !== underlying || current.peek()?.expiry !== expiry) current.value = null
  void next()
  return () => {
    stop.abort()
    clearTimeout(timer)
  }
}
