// The market: the watchlist, and one instrument of it.

import { useComputed, useSignalEffect } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Chart } from '../chart/chart.tsx'
import { NONE, arrow, price, shortDate, signed, whole } from '../format.ts'
import { focusOn, newest } from '../focus.ts'
import { decimalsOf, instrument, learnTokens } from '../instruments.ts'
import { clock, oldPrices } from '../clock.ts'
import type { Instrument, LiveTick } from '../messages.ts'
import { quote } from '../quotes.ts'
import { shownInstrument } from '../router.ts'
import { Depth } from './depth.tsx'
import { shown } from './list.ts'
import { Tape } from './tape.tsx'
import { Watchlist } from './watchlist.tsx'

export function Market() {
  // without a choice a wide screen shows the first of the list
  const token = shownInstrument.value ?? shown.value[0] ?? null
  useEffect(() => {
    focusOn(token)
    if (token !== null) void learnTokens([token]).catch(() => undefined)
  }, [token])
  useEffect(() => () => focusOn(null), [])
  useTitle(token)
  return (
    <main class="market" data-chosen={shownInstrument.value !== null}>
      <Watchlist />
      {token !== null && <Shown key={token} token={token} />}
    </main>
  )
}

/** The price in the tab, by the second. */
function useTitle(token: number | null): void {
  useSignalEffect(() => {
    void clock.value
    const now = token === null ? null : state(token, newest.peek())
    const named = token === null ? null : instrument(token).value
    document.title = now === null || named === null ? 'Tickhouse' : titleOf(named, now)
  })
  useEffect(() => () => void (document.title = 'Tickhouse'), [])
}

function titleOf(named: Instrument, now: State): string {
  const change = now.c > 0 ? now.p - now.c : 0
  return `${price(now.p, decimalsOf(named))} ${arrow(change)} ${named.symbol} · Tickhouse`
}

function Shown({ token }: { token: number }) {
  const named = instrument(token).value
  const decimals = decimalsOf(named)
  return (
    <section class="instrument" aria-label={named?.symbol ?? 'Instrument'}>
      <Header token={token} decimals={decimals} />
      <Chart token={token} decimals={decimals} />
      <div class="book">
        <Depth decimals={decimals} />
        <Tape decimals={decimals} />
      </div>
    </section>
  )
}

function Header({ token, decimals }: { token: number; decimals: number }) {
  const named = instrument(token).value
  const old = useComputed(() => oldPrices.value(newest.value?.t ?? quote(token).value?.timestamp ?? null))
  return (
    <header class={old.value ? 'old' : ''}>
      <a class="back" href="#/market" aria-label="Back to the watchlist">
        ←
      </a>
      <h1>{named?.symbol ?? `#${token}`}</h1>
      <p class="about">{named === null ? 'not listed today' : about(named)}</p>
      <Price token={token} decimals={decimals} />
      <Facts token={token} decimals={decimals} />
    </header>
  )
}

function about(named: Instrument): string {
  const parts = [named.exchange]
  if (named.instrument_type === 'INDEX') parts.push('index')
  else if (named.name !== '' && named.name !== named.symbol) parts.push(named.name)
  if (named.expiry !== null) parts.push(`${named.instrument_type} until ${shortDate(named.expiry)}`)
  if (named.lot_size > 1) parts.push(`lot ${whole(named.lot_size)}`)
  return parts.join(' · ')
}

/** What the head shows, named as in a [LiveTick]. */
type State = Pick<LiveTick, 'p' | 'c' | 'o' | 'h' | 'l' | 'v' | 'oi' | 'a'>

/** The newest of both ways: what is in focus comes packet by packet, what is watched may have come before. */
function state(token: number, tick: LiveTick | null): State | null {
  const watched = quote(token).value
  if (tick !== null) return { p: tick.p, c: tick.c, o: tick.o, h: tick.h, l: tick.l, v: tick.v, oi: tick.oi, a: tick.a }
  if (watched === null) return null
  const { last_price, close_price, open, high, low, volume, open_interest } = watched
  return { p: last_price, c: close_price, o: open, h: high, l: low, v: volume, oi: open_interest, a: 0 }
}

function Price({ token, decimals }: { token: number; decimals: number }) {
  const now = state(token, newest.value)
  if (now === null) return <p class="price">{NONE}</p>
  const change = now.c > 0 ? now.p - now.c : 0
  const way = change > 0 ? 'up' : change < 0 ? 'down' : ''
  return (
    <p class={`price ${way}`}>
      <output>{price(now.p, decimals)}</output>
      {now.c > 0 && (
        <span>
          {arrow(change)} {signed(change, decimals)} ({signed((change / now.c) * 100)} %)
        </span>
      )}
    </p>
  )
}

function Facts({ token, decimals }: { token: number; decimals: number }) {
  const now = state(token, newest.value)
  if (now === null) return null
  const facts: [string, string, string][] = [
    ['Open', "The day's open", price(now.o, decimals)],
    ['High', "The day's high so far", price(now.h, decimals)],
    ['Low', "The day's low so far", price(now.l, decimals)],
    ['Prev close', 'Close of the session before', price(now.c, decimals)],
  ]
  if (now.a > 0) facts.push(['ATP', "The exchange's average traded price of the day", price(now.a, decimals)])
  if (now.v > 0) facts.push(['Volume', "The day's running total", whole(now.v)])
  if (now.oi > 0) facts.push(['OI', 'Open interest', whole(now.oi)])
  return (
    <dl>
      {facts.map(([name, says, value]) => (
        <div key={name} title={says}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
