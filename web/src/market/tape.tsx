// Time and sales: each packet that shows a trade.

import { price, time, whole } from '../format.ts'
import { trades } from '../focus.ts'
import { VirtualTable } from '../virtual.tsx'

const WORDS: Record<number, [string, string, string]> = {
  1: ['up', '▲', 'higher than the trade before'],
  0: ['', '', 'as the trade before'],
  [-1]: ['down', '▼', 'lower than the trade before'],
}

export function Tape({ decimals }: { decimals: number }) {
  const shown = trades.value
  return (
    <section class="tape" aria-label="Time and sales">
      <h2>Time and sales</h2>
      <VirtualTable
        label="Time and sales"
        count={shown.length}
        columns={4}
        rowHeight={22}
        head={
          <thead>
            <tr>
              <th>Time</th>
              <th>Price</th>
              <th aria-label="Direction" />
              <th>Quantity</th>
            </tr>
          </thead>
        }
        row={(place) => {
          const trade = shown[place]!
          const [way, sign, says] = WORDS[trade.direction]!
          return (
            <tr key={trade.key} class={way}>
              <td>{time(trade.at)}</td>
              <td class="price">{price(trade.price, decimals)}</td>
              <td class="sign" title={says}>
                {sign}
              </td>
              <td>{trade.quantity > 0 ? whole(trade.quantity) : ''}</td>
            </tr>
          )
        }}
      />
      {shown.length === 0 && <p class="note">No trade yet.</p>}
    </section>
  )
}
