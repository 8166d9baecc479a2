// What a chain says as a whole.

import { NONE, price, whole } from '../format.ts'
import type { Chain, Reference } from '../messages.ts'

export function Summary({ chain }: { chain: Chain }) {
  const { totals } = chain
  const ratio = (value: number | null): string => (value === null ? NONE : value.toFixed(2))
  const facts: [string, string, string][] = [
    ['Spot', chain.spot?.symbol ?? 'not listed', reference(chain.spot)],
    ['Future', chain.future?.symbol ?? 'not listed', reference(chain.future)],
    ['Forward', forward(chain), chain.forward === null ? NONE : price(chain.forward.price)],
    ['Days left', `until ${chain.expires_at}`, chain.days_to_expiry.toFixed(2)],
    ['Straddle', 'call and put at the money together', chain.straddle === null ? NONE : price(chain.straddle)],
    ['PCR by OI', 'puts over calls, open interest', ratio(totals.pcr_open_interest)],
    ['PCR by volume', 'puts over calls, volume of the day', ratio(totals.pcr_volume)],
    ['Max pain', 'where the writers would pay least', totals.max_pain === null ? NONE : price(totals.max_pain, 0)],
    ['Lot', 'units of a lot', whole(chain.lot_size)],
  ]
  return (
    <div class="summary">
      <dl>
        {facts.map(([name, says, value]) => (
          <div key={name} title={says}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p class="note">{state(chain)}</p>
    </div>
  )
}

const reference = (value: Reference | null): string =>
  value === null ? NONE : price(value.last_price) + (value.stale === null ? '' : ` (${value.stale})`)

function forward({ forward, rate }: Chain & { rate?: number }): string {
  if (forward === null) return 'neither quotes nor future nor spot are fresh'
  if (forward.source === 'parity') return `by put-call parity of ${forward.strikes ?? 1} strikes`
  if (forward.source === 'future') return "the future's price"
  return `spot and ${((rate ?? 0) * 100).toFixed(2)} % a year`
}

function state(chain: Chain): string {
  const at = chain.at.replace('T', ' ').slice(11, 19)
  const parts = [`${whole(chain.legs)} legs as of ${at} IST`]
  if (chain.stale > 0) parts.push(`${whole(chain.stale)} stale (marked, not in prices of the whole chain)`)
  if (chain.without_tick > 0) parts.push(`${whole(chain.without_tick)} without a tick today`)
  return parts.join(' · ')
}
