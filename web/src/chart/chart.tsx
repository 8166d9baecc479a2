// The chart of an instrument: its frame, legend and keys.

import { useComputed, useSignal, type Signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { NONE } from '../format.ts'
import { onKeys } from '../keys.ts'
import type { Bar } from '../messages.ts'
import { isDark, remembered } from '../settings.ts'
import { BarTable } from './bar-table.tsx'
import { Drawing } from './draw.ts'
import { Feed } from './feed.ts'
import { INTERVALS, intervalNamed, type Interval } from './intervals.ts'
import { legend, type Under } from './legend.ts'

const chosen = remembered<string>('interval', '1m', (value) => INTERVALS.some(({ name }) => name === value))
const tabular = remembered<boolean>('bars-as-table', false, (value) => typeof value === 'boolean')

export function Chart({ token, decimals }: { token: number; decimals: number }) {
  const interval = intervalNamed(chosen.value)
  useEffect(() => onKeys(intervalKeys()), [])
  return (
    <section class="chart" aria-label="Chart">
      <Intervals interval={interval} />
      <Canvas key={`${token}/${interval.name}/${decimals}`} token={token} interval={interval} decimals={decimals} />
    </section>
  )
}

function intervalKeys(): Record<string, () => void> {
  const keys: Record<string, () => void> = { b: () => (tabular.value = !tabular.value) }
  INTERVALS.forEach(({ name }, place) => (keys[String(place + 1)] = () => (chosen.value = name)))
  return keys
}

function Intervals({ interval }: { interval: Interval }) {
  return (
    <div class="intervals" role="toolbar" aria-label="Interval">
      {INTERVALS.map(({ name }, place) => (
        <button
          key={name}
          type="button"
          aria-pressed={name === interval.name}
          title={`Bars of ${name}: key ${place + 1}`}
          onClick={() => (chosen.value = name)}
        >
          {name}
        </button>
      ))}
      <button
        type="button"
        class="table"
        aria-pressed={tabular.value}
        title="Key b"
        onClick={() => (tabular.value = !tabular.value)}
      >
        Table
      </button>
    </div>
  )
}

interface CanvasProps {
  token: number
  interval: Interval
  decimals: number
}

function Canvas({ token, interval, decimals }: CanvasProps) {
  const element = useRef<HTMLDivElement>(null)
  const drawing = useRef<Drawing | null>(null)
  const feed = useRef<Feed | null>(null)
  const under = useSignal<Under | null>(null)
  const fault = useSignal<string | null>(null)
  const loaded = useSignal(false)
  const version = useSignal(0)

  useEffect(() => {
    const feeding = new Feed(token, interval, (change) => {
      fault.value = feeding.fault
      loaded.value = feeding.loaded
      version.value++
      drawing.current?.draw(change)
    })
    feed.current = feeding
    const shows = (bar: Bar | null, vwap: number | null): void => {
      under.value = bar === null ? null : { bar: { ...bar }, vwap }
    }
    drawing.current = new Drawing(element.current!, feeding, decimals, isDark(), shows)
    return () => {
      feeding.stop()
      drawing.current?.stop()
      drawing.current = null
    }
  }, [])
  const dark = isDark()
  useEffect(() => drawing.current?.setDark(dark), [dark])

  const table = tabular.value
  return (
    <>
      <Legend under={under} decimals={decimals} />
      <div class="plot" data-loaded={loaded}>
        <div
          ref={element}
          class="canvas"
          tabIndex={0}
          role="application"
          aria-label="Candles. Left and right go bar by bar; the line above says what the bar holds; b shows bars as a table."
          onKeyDown={(event) => plotKeys(event, drawing.current)}
        />
        {table && feed.current !== null && <BarTable feed={feed.current} version={version} decimals={decimals} />}
        {!loaded.value && fault.value === null && <p class="note">Asking for bars.</p>}
        {fault.value !== null && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
      </div>
      <p class="attribution">
        Line: VWAP {interval.milliseconds === null ? 'of the bar' : 'since the opening'}. Hollow bars lack something.
        Charts:{' '}
        <a href="https://www.tradingview.com/" rel="noreferrer" target="_blank">
          TradingView Lightweight Charts™
        </a>{' '}
        © 2025 TradingView, Inc.
      </p>
    </>
  )
}

function plotKeys(event: KeyboardEvent, drawing: Drawing | null): void {
  if (drawing === null || event.ctrlKey || event.metaKey || event.altKey) return
  const keys: Record<string, () => void> = {
    ArrowLeft: () => drawing.step(-1),
    ArrowRight: () => drawing.step(1),
    PageUp: () => drawing.step(-20),
    PageDown: () => drawing.step(20),
    End: () => drawing.toEnd(),
    Escape: () => drawing.toEnd(),
    '+': () => drawing.zoom(1.25),
    '=': () => drawing.zoom(1.25),
    '-': () => drawing.zoom(0.8),
  }
  const run = keys[event.key]
  if (run === undefined) return
  event.preventDefault()
  event.stopPropagation()
  run()
}

function Legend({ under, decimals }: { under: Signal<Under | null>; decimals: number }) {
  const text = useComputed(() => (under.value === null ? null : legend(under.value, decimals)))
  if (text.value === null) return <p class="legend">{NONE}</p>
  const { when, values, missing, way } = text.value
  return (
    <p class="legend">
      <time>{when}</time>
      {values.map(([name, value]) => (
        <span key={name}>
          <abbr>{name}</abbr> <b class={name === 'C' ? way : ''}>{value}</b>
        </span>
      ))}
      {missing !== null && <em>{missing}</em>}
    </p>
  )
}
