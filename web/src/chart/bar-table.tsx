// The bars of the chart as a table, newest first: for screen readers, and for those who want the numbers.

import { useComputed, type Signal } from '@preact/signals'
import { day, price, time, whole } from '../format.ts'
import { now } from '../live.ts'
import { VirtualTable } from '../virtual.tsx'
import type { Feed } from './feed.ts'
import { missing } from './legend.ts'

const COLUMNS = ['Start', 'Open', 'High', 'Low', 'Close', 'Volume', 'OI', 'State']

export function BarTable({ feed, version, decimals }: { feed: Feed; version: Signal<number>; decimals: number }) {
  const count = useComputed(() => (version.value, feed.seam.bars.length))
  void version.value
  return (
    <VirtualTable
      class="bar-table"
      label="Bars, newest first"
      count={count.value}
      columns={COLUMNS.length}
      rowHeight={24}
      head={
        <thead>
          <tr>
            {COLUMNS.map((name) => (
              <th key={name}>{name}</th>
            ))}
          </tr>
        </thead>
      }
      row={(place) => {
        const bar = feed.seam.bars[feed.seam.bars.length - 1 - place]!
        const over = bar.end <= now()
        return (
          <tr key={bar.start} data-start={bar.start}>
            <th scope="row">{`${day(bar.start)} ${time(bar.start)}`}</th>
            <td>{price(bar.open, decimals)}</td>
            <td>{price(bar.high, decimals)}</td>
            <td>{price(bar.low, decimals)}</td>
            <td>{price(bar.close, decimals)}</td>
            <td>{whole(bar.volume)}</td>
            <td>{bar.open_interest > 0 ? whole(bar.open_interest) : ''}</td>
            <td>{over ? (missing(bar) ?? 'complete') : 'running'}</td>
          </tr>
        )
      }}
    />
  )
}
