// Five levels of the book, and which side waits with more.

import { NONE, price, whole } from '../format.ts'
import { newest } from '../focus.ts'
import type { Level } from '../messages.ts'

const LEVELS = [0, 1, 2, 3, 4]

export function Depth({ decimals }: { decimals: number }) {
  const tick = newest.value
  const bids = (tick?.bids ?? []).filter(([value]) => value > 0)
  const asks = (tick?.asks ?? []).filter(([value]) => value > 0)
  const empty = tick !== null && bids.length + asks.length === 0
  const most = Math.max(1, ...bids.map(quantity), ...asks.map(quantity))
  return (
    <section class="depth" aria-label="Market depth">
      <h2>Depth</h2>
      <Imbalance bids={bids} asks={asks} />
      {!empty && (
        <table>
          <thead>
            <tr>
              <th>Orders</th>
              <th>Quantity</th>
              <th>Bid</th>
              <th>Offer</th>
              <th>Quantity</th>
              <th>Orders</th>
            </tr>
          </thead>
          <tbody>
            {LEVELS.map((level) => (
              <tr key={level}>
                <Side level={bids[level]} most={most} decimals={decimals} side="bid" />
                <Side level={asks[level]} most={most} decimals={decimals} side="ask" />
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p class="note">{tick === null ? 'No packet yet.' : spread(bids, asks, decimals)}</p>
    </section>
  )
}

const quantity = (level: Level): number => level[1]

interface SideProps {
  level: Level | undefined
  most: number
  decimals: number
  side: 'bid' | 'ask'
}

function Side({ level, most, decimals, side }: SideProps) {
  const cells = [
    <td key="orders" class="orders">
      {level === undefined ? '' : whole(level[2])}
    </td>,
    <td key="quantity" class={`quantity ${side}`} style={{ '--share': level === undefined ? 0 : level[1] / most }}>
      {level === undefined ? '' : whole(level[1])}
    </td>,
    <td key="price" class={`price ${side}`}>
      {level === undefined ? NONE : price(level[0], decimals)}
    </td>,
  ]
  return <>{side === 'bid' ? cells : cells.reverse()}</>
}

function Imbalance({ bids, asks }: { bids: Level[]; asks: Level[] }) {
  const bid = bids.reduce((sum, level) => sum + quantity(level), 0)
  const ask = asks.reduce((sum, level) => sum + quantity(level), 0)
  if (bid + ask === 0) return null
  const share = bid / (bid + ask)
  const percent = Math.round(share * 100)
  return (
    <div class="imbalance">
      <span class="up">Bids {percent} %</span>
      <div
        class="bar"
        role="meter"
        aria-label="Bids among the quantity of five levels, percent"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
        style={{ '--share': share }}
      />
      <span class="down">{100 - percent} % offers</span>
    </div>
  )
}

function spread(bids: Level[], asks: Level[], decimals: number): string {
  const [bid, ask] = [bids[0]?.[0], asks[0]?.[0]]
  if (bid === undefined && ask === undefined) return 'This instrument has no book.'
  if (bid === undefined) return 'Nobody bids.'
  if (ask === undefined) return 'Nobody offers.'
  const points = (((ask - bid) / bid) * 10_000).toFixed(1)
  return `Spread ${price(ask - bid, decimals)}, ${points} basis points`
}
