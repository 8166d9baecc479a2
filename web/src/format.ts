// Numbers and times as people in India read them. Pure: no clock, no locale of the browser.

/** India is 5:30 ahead of UTC, all year. */
export const IST_OFFSET_MS = 19_800_000
const DAY_MS = 86_400_000

/** What stands for a value that is not there. */
export const NONE = '–'

/** Groups digits as India does: 1,23,45,678. Only for whole numbers, given as text without a sign. */
function grouped(digits: string): string {
  if (digits.length <= 3) return digits
  const head = digits.slice(0, -3)
  return head.replace(/\B(?=(\d\d)+$)/g, ',') + ',' + digits.slice(-3)
}

/** A whole number with Indian grouping. */
export function whole(value: number): string {
  const rounded = Math.round(value)
  return (rounded < 0 ? '−' : '') + grouped(Math.abs(rounded).toFixed(0))
}

/** A price with so many decimals, grouped. */
export function price(value: number, decimals = 2): string {
  const [head = '0', tail] = Math.abs(value).toFixed(decimals).split('.')
  const text = tail === undefined ? grouped(head) : `${grouped(head)}.${tail}`
  return value < 0 ? `−${text}` : text
}

/** A change: always with its sign, so that it reads without colour. */
export function signed(value: number, decimals = 2): string {
  const text = price(Math.abs(value), decimals)
  if (/^[0.,]*$/.test(text)) return text
  return (value < 0 ? '−' : '+') + text
}

/** Decimals that a tick size needs: 0.05 → 2, 0.0025 → 4. At least 2. */
export function decimals(tickSize: number): number {
  for (let digits = 2; digits < 6; digits++) {
    const scaled = tickSize * 10 ** digits
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6) return digits
  }
  return 6
}

/** Short quantities in lakh and crore: 98,765 · 1.23 L · 4.56 Cr. */
export function short(value: number): string {
  const size = Math.abs(value)
  if (size < 1e5) return whole(value)
  const [scaled, unit] = size < 1e7 ? [size / 1e5, ' L'] : [size / 1e7, ' Cr']
  const text = scaled >= 100 ? grouped(scaled.toFixed(0)) : scaled >= 10 ? scaled.toFixed(1) : scaled.toFixed(2)
  return (value < 0 ? '−' : '') + text + unit
}

/** `▲`, `▼` or nothing. */
export function arrow(change: number): string {
  return change > 0 ? '▲' : change < 0 ? '▼' : ''
}

const two = (value: number): string => (value < 10 ? `0${value}` : `${value}`)

/** `09:15:00` in India; with milliseconds `09:15:00.123`. */
export function time(unixMs: number, milliseconds = false): string {
  const date = new Date(unixMs + IST_OFFSET_MS)
  const text = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
  return milliseconds ? `${text}.${String(date.getUTCMilliseconds()).padStart(3, '0')}` : text
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `20 Nov 2026` in India. */
export function day(unixMs: number): string {
  const date = new Date(unixMs + IST_OFFSET_MS)
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`
}

/** `24 Nov` of a date as `2026-11-24`. */
export function shortDate(date: string): string {
  const [, month, dayOfMonth] = date.split('-').map(Number)
  return `${dayOfMonth ?? ''} ${MONTHS[(month ?? 1) - 1]}`
}

/** The number of the day in India; equal for times of one day. */
export function dayNumber(unixMs: number): number {
  return Math.floor((unixMs + IST_OFFSET_MS) / DAY_MS)
}

/** A time of REST's rows, `2026-11-20 10:15:00.000` in India, as Unix milliseconds; NaN when it is none. */
export function parseTime(text: string): number {
  return Date.parse(`${text.slice(0, 23).replace(' ', 'T')}+05:30`)
}

/** How long: `850 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 60) return `${milliseconds < 10_000 ? trimmed(milliseconds / 1000) : seconds} s`
  const pair = (value: number, divisor: number, large: string, small: string): string => {
    const rest = value % divisor
    return `${Math.floor(value / divisor)} ${large}` + (rest === 0 ? '' : ` ${rest} ${small}`)
  }
  if (seconds < 3600) return pair(seconds, 60, 'min', 's')
  if (seconds < 86_400) return pair(Math.round(seconds / 60), 60, 'h', 'min')
  return pair(Math.round(seconds / 3600), 24, 'd', 'h')
}

const trimmed = (value: number): string => value.toFixed(1).replace(/\.0$/, '')

/** Bytes as people say them: `512 B`, `1.4 GB`. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let place = 0
  let rest = value
  while (rest >= 1000 && place < units.length - 1) {
    rest /= 1000
    place++
  }
  return `${place === 0 || rest >= 100 ? rest.toFixed(0) : rest.toFixed(1)} ${units[place]}`
}

/** A rate without more digits than it deserves. */
export function rate(value: number): string {
  return value >= 100 ? whole(value) : trimmed(value)
}
