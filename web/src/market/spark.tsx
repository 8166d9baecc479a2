// Closes of today as a line, with the close before as its base.

import { useComputed } from '@preact/signals'
import { quote } from '../quotes.ts'
import { sparks } from './list.ts'

const WIDTH = 64
const HEIGHT = 20

export function Spark({ token }: { token: number }) {
  const points = useComputed(() => line(sparks.value.get(token) ?? [], quote(token).peek()?.close_price ?? 0))
  if (points.value === null) return null
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true">
      {points.value.base !== null && <line x1="0" x2={WIDTH} y1={points.value.base} y2={points.value.base} />}
      <polyline points={points.value.line} />
    </svg>
  )
}

function line(closes: readonly number[], base: number): { line: string; base: number | null } | null {
  if (closes.length < 2) return null
  const low = Math.min(...closes)
  const high = Math.max(...closes)
  const span = high - low || 1
  const y = (value: number): number => HEIGHT - 2 - ((value - low) / span) * (HEIGHT - 4)
  const x = (place: number): number => (place / (closes.length - 1)) * WIDTH
  return {
    line: closes.map((value, place) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`).join(' '),
    base: base >= low && base <= high && base > 0 ? Number(y(base).toFixed(1)) : null,
  }
}
