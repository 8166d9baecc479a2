// Whether an answer is what its panel can draw. What enters: a panel's type and format, a frame. What leaves: faults.

import type { Frame } from './clickhouse.js'

/** The type of the value: the data source reads through these. */
function inner (type: string): string {
  const value = /^(?:Nullable|LowCardinality|SimpleAggregateFunction)\((?:\w+, )?(.*)\)$/.exec(type)?.[1]
  return value === undefined ? type : inner(value)
}


const isTime = (type: string): boolean => /^(?:Date|DateTime)/.test(inner(type))
const isNumber = (type: string): boolean => /^(?:U?Int|Float|Decimal)/.test(inner(type))
// what Grafana counts as a series' name
const isText = (type: string): boolean => /^(?:String|FixedString|Enum|UUID|Bool)/.test(inner(type))

/** What is wrong with this answer in a panel of this type. `format`: 0 for time series, 1 for a table. */
export function faultsOf (type: string, format: number, frame: Frame): string[] {
  const odd = frame.columns.filter(({ type }) => !isTime(type) && !isNumber(type) && !isText(type))
  const faults = odd.map(({ name, type }) => `column ${name} is of type ${type}, which no panel draws`)
  if ((format === 0) !== (type === 'timeseries')) faults.push(`format ${format} does not fit a panel of type ${type}`)
  switch (type) {
    case 'timeseries': return [...faults, ...seriesFaults(frame)]
    case 'candlestick': return [...faults, ...candleFaults(frame)]
    case 'barchart': return [...faults, ...barFaults(frame)]
    case 'stat': return [...faults, ...(frame.rows.length > 1 ? [`a panel of single figures has ${frame.rows.length} rows`] : [])]
    case 'table': return faults
    default: return [...faults, `panels of type ${type} are not known here`]
  }
}

/** Whether there is nothing to see: no row, or no value in any. */
export function isEmpty (type: string, { columns, rows }: Frame): boolean {
  const values = type === 'table' ? columns.map((_, at) => at) : columns.flatMap(({ type }, at) => isTime(type) || isText(type) ? [] : [at])
  const shown = values.length === 0 ? columns.map((_, at) => at) : values
  return !rows.some((row) => shown.some((at) => row[at] !== null && row[at] !== undefined))
}

/** The data source turns rows into series only where the first time is sorted, and a series has one value at a time. */
function seriesFaults ({ columns, rows }: Frame): string[] {
  const time = columns.findIndex(({ type }) => isTime(type))
  if (time < 0) return ['there is no column of a time']
  const faults: string[] = []
  if (columns[time]?.type.startsWith('Nullable')) faults.push(`the time ${columns[time].name} may be NULL`)
  if (!columns.some(({ type }) => isNumber(type))) faults.push('there is no column of a number')
  if (columns.filter(({ type }) => isTime(type)).length > 1) faults.push('a second column of a time would be drawn as a value')
  const names = columns.flatMap(({ type }, at) => isText(type) ? [at] : [])
  const seen = new Set<string>()
  let [before, isSorted] = ['', true]
  for (const row of rows) {
    const now = String(row[time])
    isSorted &&= now >= before
    before = now
    // ticks drawn one by one may be of one millisecond
    if (names.length > 0) {
      const key = JSON.stringify([now, ...names.map((at) => row[at])])
      if (seen.has(key)) {
        faults.push(`a series has two values at ${now}`)
        break
      }
      seen.add(key)
    }
  }
  if (!isSorted) faults.push('times are not in order')
  return faults
}

function candleFaults ({ columns, rows }: Frame): string[] {
  const at = Object.fromEntries(columns.map(({ name }, index) => [name, index]))
  const missing = ['time', 'open', 'high', 'low', 'close', 'volume'].filter((name) => at[name] === undefined)
  if (missing.length > 0) return [`candles lack ${missing.join(', ')}`]
  const value = (row: unknown[], name: string): number => Number(row[at[name] ?? -1])
  const wrong = rows.some((row) => value(row, 'high') < Math.max(value(row, 'open'), value(row, 'close')) ||
    value(row, 'low') > Math.min(value(row, 'open'), value(row, 'close')))
  return wrong ? ['a candle\'s open or close lies beyond its high or low'] : []
}

function barFaults ({ columns, rows }: Frame): string[] {
  const x = columns.findIndex(({ type }) => isText(type))
  if (x < 0) return ['bars need a column of text along which they stand']
  const labels = rows.map((row) => row[x])
  const faults = columns.some(({ type }) => isNumber(type)) ? [] : ['there is no column of a number']
  return new Set(labels).size === labels.length ? faults : [...faults, 'two bars stand at one label']
}
