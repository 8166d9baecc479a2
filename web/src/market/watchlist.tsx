// The watchlist: rows that change cell by cell, never as a whole.

import { useComputed, useSignalEffect } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { NONE, arrow, price, signed, whole } from '../format.ts'
import { decimalsOf, instrument, kind } from '../instruments.ts'
import { onKeys } from '../keys.ts'
import { oldPrices } from '../clock.ts'
import { change, changePercent, quote, type Quote } from '../quotes.ts'
import { go, shownInstrument } from '../router.ts'
import { reducedMotion } from '../settings.ts'
import { VirtualTable } from '../virtual.tsx'
import * as list from './list.ts'
import { pressed, type Column } from './order.ts'
import { Search } from './search.tsx'
import { Spark } from './spark.tsx'

const ROW_HEIGHT = 34

const COLUMNS: { column: Column | null; title: string; says: string; class: string }[] = [
  { column: 'symbol', title: 'Symbol', says: 'Symbol', class: 'symbol' },
  { column: null, title: 'Today', says: 'Closes of today', class: 'spark' },
  { column: 'last_price', title: 'Last', says: 'Last price, rupees', class: 'last' },
  { column: 'change', title: 'Chg', says: 'Change from the close before, rupees', class: 'change' },
  { column: 'change_percent', title: '%', says: 'Change from the close before, percent', class: 'percent' },
  { column: 'volume', title: 'Volume', says: "The day's running total", class: 'volume' },
  { column: 'open_interest', title: 'OI', says: 'Open interest', class: 'oi' },
]

export function Watchlist() {
  const chosen = shownInstrument.value
  const shown = list.shown.value
  const place = chosen === null ? null : shown.indexOf(chosen)
  useEffect(() => onKeys(rowKeys()), [])
  return (
    <section class="watchlist" aria-label="Watchlist">
      <Search />
      <VirtualTable
        label="Watchlist"
        count={shown.length}
        columns={COLUMNS.length}
        rowHeight={ROW_HEIGHT}
        show={place}
        head={<Head />}
        row={(place) => <Row key={shown[place]} token={shown[place]!} chosen={shown[place] === chosen} />}
      />
      {shown.length === 0 && (
        <p class="empty">
          Nothing is watched. Press <kbd>/</kbd>, type a name, and <kbd>Enter</kbd> adds it.
        </p>
      )}
    </section>
  )
}

function Head() {
  const sort = list.sort.value
  return (
    <thead>
      <tr>
        {COLUMNS.map(({ column, title, says, class: name }) => {
          if (column === null) {
            return (
              <th key={name} class={name} title={says}>
                {title}
              </th>
            )
          }
          const mine = sort.column === column
          const direction = mine ? (sort.descending ? 'descending' : 'ascending') : 'none'
          return (
            <th key={name} class={name} aria-sort={direction} title={says}>
              <button type="button" onClick={() => (list.sort.value = pressed(list.sort.value, column))}>
                {title}
                {mine && <span aria-hidden="true">{sort.descending ? ' ↓' : ' ↑'}</span>}
              </button>
            </th>
          )
        })}
      </tr>
    </thead>
  )
}

function Row({ token, chosen }: { token: number; chosen: boolean }) {
  const named = instrument(token)
  const state = quote(token)
  const cell = useRef<HTMLTableCellElement>(null)
  const text = (of: (state: Quote, decimals: number) => string | null) =>
    useComputed(() => (state.value === null ? NONE : (of(state.value, decimalsOf(named.value)) ?? NONE)))
  const last = text((state, decimals) => price(state.last_price, decimals))
  const changed = text((state, decimals) => orNone(change(state), (value) => signed(value, decimals)))
  const percent = text((state) => orNone(changePercent(state), (value) => `${arrow(value)} ${signed(value)}`))
  const volume = text((state) => (state.volume > 0 ? whole(state.volume) : null))
  const oi = text((state) => (state.open_interest > 0 ? whole(state.open_interest) : null))
  const direction = useComputed(() => `row ${way(change(state.value))}`)
  const old = useComputed(() => oldPrices.value(state.value?.timestamp ?? null))
  useFlash(cell, token)
  return (
    <tr
      class={useComputed(() => `${direction.value}${old.value ? ' old' : ''}`)}
      aria-current={chosen ? 'true' : undefined}
      data-token={token}
      onClick={() => go({ page: 'market', instrument: token })}
      draggable={list.sort.value.column === null}
      onDragStart={() => (dragged = token)}
      onDragOver={(event) => dragOver(event, token)}
      onDragEnd={() => (dragged = null)}
    >
      <th scope="row" class="symbol">
        <Name token={token} />
      </th>
      <td class="spark">
        <Spark token={token} />
      </td>
      <td class="last" ref={cell}>
        {last}
      </td>
      <td class="change">{changed}</td>
      <td class="percent">{percent}</td>
      <td class="volume">{volume}</td>
      <td class="oi">{oi}</td>
    </tr>
  )
}

/** The row that the mouse carries. */
let dragged: number | null = null

/** It takes the place of the row below it. */
function dragOver(event: DragEvent, over: number): void {
  if (dragged === null) return
  event.preventDefault()
  const tokens = list.tokens.value
  if (dragged !== over) list.move(dragged, tokens.indexOf(over) - tokens.indexOf(dragged))
}

function Name({ token }: { token: number }) {
  const named = instrument(token).value
  return (
    <>
      <a href={`#/market/${token}`} tabIndex={0}>
        {named?.symbol ?? `#${token}`}
      </a>
      <small>{named === null ? 'not listed today' : kind(named)}</small>
      <button
        type="button"
        class="remove"
        aria-label={`Remove ${named?.symbol ?? token}`}
        tabIndex={-1}
        onClick={(event) => {
          event.stopPropagation()
          list.remove(token)
        }}
      >
        ×
      </button>
    </>
  )
}

const orNone = (value: number | null, text: (value: number) => string): string | null =>
  value === null ? null : text(value)

const way = (change: number | null): string => (change === null || change === 0 ? '' : change > 0 ? 'up' : 'down')

/** A price that moved lights up and fades; one that is alight already is left alone. */
function useFlash(cell: { current: HTMLTableCellElement | null }, token: number): void {
  const before = useRef<number | null>(null)
  const running = useRef<Animation | null>(null)
  useSignalEffect(() => {
    const now = quote(token).value?.last_price ?? null
    const was = before.current
    before.current = now
    if (was === null || now === null || was === now || reducedMotion.matches || cell.current === null) return
    if (running.current?.playState === 'running') return
    const color = now > was ? 'var(--flash-up)' : 'var(--flash-down)'
    running.current = cell.current.animate([{ backgroundColor: color }, { backgroundColor: 'transparent' }], 450)
  })
}

function rowKeys(): Record<string, (event: KeyboardEvent) => void> {
  const step = (by: number): void => {
    const shown = list.shown.value
    if (shown.length === 0) return
    const from = shownInstrument.value === null ? -1 : shown.indexOf(shownInstrument.value)
    const to = from < 0 ? 0 : Math.max(0, Math.min(shown.length - 1, from + by))
    go({ page: 'market', instrument: shown[to]! })
  }
  const chosen = (run: (token: number) => void) => (): void => {
    if (shownInstrument.value !== null) run(shownInstrument.value)
  }
  return {
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    'Alt ArrowDown': chosen((token) => list.move(token, 1)),
    'Alt ArrowUp': chosen((token) => list.move(token, -1)),
    Delete: chosen((token) => {
      const shown = list.shown.value
      const next = shown[shown.indexOf(token) + 1] ?? shown[shown.indexOf(token) - 1] ?? null
      list.remove(token)
      go({ page: 'market', instrument: next })
    }),
  }
}
