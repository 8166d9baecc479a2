// Windows in which ticks may have been missed, newest first.

import { duration, time, day, whole } from '../format.ts'
import { now } from '../live.ts'
import type { Gap } from '../messages.ts'
import { VirtualTable } from '../virtual.tsx'

export function Gaps({ gaps }: { gaps: Gap[] | null }) {
  return (
    <section class="part gaps" aria-label="Gaps">
      <h2>Gaps today</h2>
      {gaps === null || gaps.length === 0 ? (
        <p class="note">{gaps === null ? 'Asking.' : 'None: no window is known in which a tick was missed.'}</p>
      ) : (
        <VirtualTable
          label="Gaps"
          count={gaps.length}
          columns={6}
          rowHeight={26}
          head={
            <thead>
              <tr>
                <th>From</th>
                <th>Length</th>
                <th>Cause</th>
                <th>Socket</th>
                <th>Instruments</th>
                <th>Detail</th>
              </tr>
            </thead>
          }
          row={(place) => <Row key={place} gap={gaps[place]!} />}
        />
      )}
    </section>
  )
}

function Row({ gap }: { gap: Gap }) {
  return (
    <tr class={gap.to === null ? 'bad' : ''}>
      <td title={day(gap.from)}>{time(gap.from)}</td>
      <td>{gap.to === null ? `open, ${duration(now() - gap.from)}` : duration(gap.to - gap.from)}</td>
      <td>{gap.cause.replaceAll('_', ' ')}</td>
      <td>{gap.socket}</td>
      <td>{gap.instruments === 0 ? 'all of it' : whole(gap.instruments)}</td>
      <td class="detail" title={gap.detail}>
        {gap.detail}
      </td>
    </tr>
  )
}
