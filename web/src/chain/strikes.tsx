// The strikes, each with both legs. The sides mirror each other: what is nearest to the strike is the price.

import type { ComponentChildren } from 'preact'
import { NONE, price, short, signed, whole } from '../format.ts'
import type { Chain, Leg, Strike } from '../messages.ts'
import { narrow } from '../settings.ts'
import { VirtualTable } from '../virtual.tsx'
import { limits, type Limits } from './limits.ts'

interface Field {
  title: string
  says: string
  class: string
  /** Shown where it fits, unless it says otherwise: with the Greeks only, without them only, on a phone too. */
  when?: 'greeks' | 'no greeks' | 'always'
  cell: (leg: Leg, limits: Limits) => { text: string; share?: number }
}

const number = (value: number | null, text: (value: number) => string): string => (value === null ? NONE : text(value))

/** From the strike outwards. */
const FIELDS: Field[] = [
  {
    title: 'LTP',
    says: 'Last price, rupees',
    class: 'ltp',
    when: 'always',
    cell: (leg) => ({ text: number(leg.last_price, price) }),
  },
  {
    title: 'Bid – offer',
    says: 'Best bid and best offer',
    class: 'quote',
    when: 'no greeks',
    cell: (leg) => ({ text: `${number(leg.bid_price, price)} – ${number(leg.ask_price, price)}` }),
  },
  {
    title: 'IV %',
    says: 'Implied volatility a year, percent; * by the last price, where bid and offer are far apart',
    class: 'iv',
    when: 'always',
    cell: (leg, limits) => ({
      text:
        leg.implied_volatility === null
          ? NONE
          : (leg.implied_volatility * 100).toFixed(2) + (leg.basis === 'last_price' ? '*' : ''),
      share: limits.volatilityShare(leg.implied_volatility),
    }),
  },
  {
    title: 'Δ',
    says: 'Delta: price per 1 of the forward',
    class: 'delta',
    cell: (leg) => ({ text: number(leg.delta, (value) => signed(value, 2)) }),
  },
  {
    title: 'Γ',
    says: 'Gamma: delta per 1 of the forward',
    class: 'greek',
    when: 'greeks',
    cell: (leg) => ({ text: number(leg.gamma, (value) => value.toFixed(5)) }),
  },
  {
    title: 'Θ',
    says: 'Theta: rupees per calendar day that passes',
    class: 'greek',
    when: 'greeks',
    cell: (leg) => ({ text: number(leg.theta, (value) => signed(value, 2)) }),
  },
  {
    title: 'Vega',
    says: 'Rupees per volatility point',
    class: 'greek',
    when: 'greeks',
    cell: (leg) => ({ text: number(leg.vega, (value) => value.toFixed(2)) }),
  },
  {
    title: 'Volume',
    says: "The day's running total",
    class: 'volume',
    cell: (leg) => ({ text: number(leg.volume, short) }),
  },
  {
    title: 'OI chg',
    says: 'Open interest less that at the end of the session before',
    class: 'change',
    cell: (leg) => ({ text: number(leg.open_interest_change, (value) => (value > 0 ? '+' : '') + short(value)) }),
  },
  {
    title: 'OI',
    says: 'Open interest',
    class: 'oi',
    when: 'always',
    cell: (leg, limits) => ({
      text: number(leg.open_interest, short),
      share: (leg.open_interest ?? 0) / limits.openInterest,
    }),
  },
]

export function Strikes({ chain, greeks }: { chain: Chain; greeks: boolean }) {
  const fields = FIELDS.filter(({ when }) => {
    if (when === undefined || when === 'no greeks') return !narrow.value && (when === undefined || !greeks)
    return when === 'always' || greeks
  })
  const scale = limits(chain)
  const money = chain.strikes.findIndex(({ strike }) => strike === chain.at_the_money)
  return (
    <VirtualTable
      class={greeks ? 'strikes with-greeks' : 'strikes'}
      label="Strikes"
      count={chain.strikes.length}
      columns={2 * fields.length + 1}
      rowHeight={26}
      show={money < 0 ? null : money}
      showAt="center"
      head={<Head fields={fields} />}
      row={(place) => (
        <Row key={chain.strikes[place]!.strike} strike={chain.strikes[place]!} {...{ chain, fields, scale }} />
      )}
    />
  )
}

function Head({ fields }: { fields: Field[] }) {
  const cell = (side: string) => (field: Field) => (
    <th key={`${side}-${field.title}`} class={`${field.class} ${side}`} title={field.says} scope="col">
      {field.title}
    </th>
  )
  const column = (side: string) => (field: Field) => <col key={`${side}-${field.title}`} class={field.class} />
  return (
    <>
      <colgroup>
        {[...fields].reverse().map(column('call'))}
        <col class="strike" />
        {fields.map(column('put'))}
      </colgroup>
      <thead>
        <tr class="sides">
          <th colSpan={fields.length} scope="colgroup">
            Calls
          </th>
          <th aria-hidden="true" />
          <th colSpan={fields.length} scope="colgroup">
            Puts
          </th>
        </tr>
        <tr>
          {[...fields].reverse().map(cell('call'))}
          <th class="strike" scope="col">
            Strike
          </th>
          {fields.map(cell('put'))}
        </tr>
      </thead>
    </>
  )
}

interface RowProps {
  strike: Strike
  chain: Chain
  fields: Field[]
  scale: Limits
}

function Row({ strike, chain, fields, scale }: RowProps) {
  const money = strike.strike === chain.at_the_money
  const forward = chain.forward?.price ?? chain.spot?.last_price ?? null
  const inside = (side: 'call' | 'put'): boolean =>
    forward !== null && (side === 'call' ? strike.strike < forward : strike.strike > forward)
  return (
    <tr class={money ? 'money' : ''} data-strike={strike.strike}>
      {side(strike.call, 'call', inside('call'), fields, scale)}
      <th scope="row" class="strike">
        {price(strike.strike, Number.isInteger(strike.strike) ? 0 : 2)}
        {money && <small> ATM</small>}
      </th>
      {side(strike.put, 'put', inside('put'), fields, scale)}
    </tr>
  )
}

function side(
  leg: Leg | null,
  name: 'call' | 'put',
  inside: boolean,
  fields: Field[],
  scale: Limits,
): ComponentChildren {
  const stale = leg !== null && (leg.stale !== null || leg.timestamp === null)
  const cells = fields.map((field) => {
    const { text, share } = leg === null ? { text: '' } : field.cell(leg, scale)
    const marked = stale && field.class === 'ltp'
    return (
      <td
        key={`${name}-${field.title}`}
        class={`${field.class} ${name}${inside ? ' inside' : ''}${stale ? ' old' : ''}`}
        title={marked ? staleness(leg) : field.class === 'iv' ? (leg?.no_volatility_because ?? undefined) : undefined}
        style={share === undefined ? undefined : { '--share': Math.max(0, Math.min(1, share)) }}
      >
        {text}
        {marked && <small> {leg.stale ?? 'none'}</small>}
      </td>
    )
  })
  return name === 'call' ? cells.reverse() : cells
}

function staleness(leg: Leg): string {
  const age = leg.age_seconds === null ? '' : `, last tick ${whole(leg.age_seconds)} s ago`
  const words = { old: 'no tick for a while', gap: 'the feed had a gap since', snapshot: 'a cached value' }
  return leg.stale === null ? 'no tick today' : words[leg.stale] + age
}
