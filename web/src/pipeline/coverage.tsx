// The day's completeness by instrument, the worst first.

import { whole } from '../format.ts'
import type { Coverage as Row } from '../messages.ts'
import { VirtualTable } from '../virtual.tsx'

export function Coverage({ rows }: { rows: Row[] | null }) {
  return (
    <section class="part coverage" aria-label="Completeness">
      <h2>
        Completeness today
        {rows !== null && rows.length > 0 && <small> {whole(rows.length)} instruments, worst first</small>}
      </h2>
      {rows === null || rows.length === 0 ? (
        <p class="note">{rows === null ? 'Asking.' : 'No minute is stored yet.'}</p>
      ) : (
        <VirtualTable
          label="Completeness by instrument"
          count={rows.length}
          columns={6}
          rowHeight={26}
          head={
            <thead>
              <tr>
                <th>Instrument</th>
                <th title="Minutes with ticks, of those from the first to the last">Minutes</th>
                <th title="In which a gap of the feed began or ended">With gaps</th>
                <th>Longest silence</th>
                <th>Ticks</th>
                <th>First – last</th>
              </tr>
            </thead>
          }
          row={(place) => <Instrument key={`${rows[place]!.exchange}:${rows[place]!.symbol}`} row={rows[place]!} />}
        />
      )}
    </section>
  )
}

function Instrument({ row }: { row: Row }) {
  return (
    <tr>
      <th scope="row">
        {row.symbol} <small>{row.exchange}</small>
      </th>
      <td class="measure" style={{ '--share': row.minutes / Math.max(1, row.span_minutes) }}>
        {whole(row.minutes)} of {whole(row.span_minutes)}
      </td>
      <td class={row.gap_minutes > 0 ? 'warn' : ''}>{whole(row.gap_minutes)}</td>
      <td>{(row.longest_silence_minutes ?? 0) <= 0 ? 'none' : `${whole(row.longest_silence_minutes ?? 0)} min`}</td>
      <td>{whole(row.tick_count)}</td>
      <td>
        {row.first_minute.slice(11, 16)} – {row.last_minute.slice(11, 16)}
      </td>
    </tr>
  )
}
