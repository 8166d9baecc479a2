// The macros of Grafana's ClickHouse data source, 4.20.0, expanded as it expands them: by its own documentation and tests, not by
// looking at what our dashboards need. What enters: a statement in which Grafana has put the variables' values. What leaves: SQL.

export interface Range {
  /** Milliseconds since 1970, both ends included. */
  from: number
  to: number
  /** Of `$__interval`, in milliseconds. */
  interval: number
}

const seconds = (millis: number): string => `toDateTime(${Math.floor(millis / 1000)})`
const millis = (value: number): string => `fromUnixTimestamp64Milli(${value})`
const day = (value: number): string => `toDate('${new Date(value).toISOString().slice(0, 10)}')`
const intervalSeconds = ({ interval }: Range): number => Math.max(Math.trunc(interval / 1000), 1)

/** Go's durations, as `$__timeGroup` reads them. */
function duration (text: string): number {
  const units: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600 }
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) throw new Error(`$__timeGroup: invalid interval "${text}"`)
  return Math.round(parts.reduce((sum, [, number, unit]) => sum + Number(number) * (units[unit ?? ''] ?? 0), 0))
}

function dateTimeFilter (range: Range, [date, time]: string[]): string {
  return `(${date} >= ${day(range.from)} AND ${date} <= ${day(range.to)}) AND (${time} >= ${seconds(range.from)} AND ${time} <= ${seconds(range.to)})`
}

/** How many arguments each takes, and what it becomes. */
const MACROS: Record<string, [number, (range: Range, given: string[]) => string]> = {
  fromTime: [0, ({ from }) => seconds(from)],
  toTime: [0, ({ to }) => seconds(to)],
  fromTime_ms: [0, ({ from }) => millis(from)],
  toTime_ms: [0, ({ to }) => millis(to)],
  timeFilter: [1, ({ from, to }, [column]) => `${column} >= ${seconds(from)} AND ${column} <= ${seconds(to)}`],
  timeFilter_ms: [1, ({ from, to }, [column]) => `${column} >= ${millis(from)} AND ${column} <= ${millis(to)}`],
  dateFilter: [1, ({ from, to }, [column]) => `${column} >= ${day(from)} AND ${column} <= ${day(to)}`],
  dateTimeFilter: [2, dateTimeFilter],
  dt: [2, dateTimeFilter],
  timeFrom: [1, ({ from }, [column]) => `${column} >= ${seconds(from)}`],
  timeTo: [1, ({ to }, [column]) => `${column} <= ${seconds(to)}`],
  timeInterval: [1, (range, [column]) => `toStartOfInterval(toDateTime(${column}), INTERVAL ${intervalSeconds(range)} second)`],
  timeInterval_ms: [1, ({ interval }, [column]) => `toStartOfInterval(toDateTime64(${column}, 3), INTERVAL ${Math.max(interval, 1)} millisecond)`],
  interval_s: [0, (range) => String(intervalSeconds(range))],
  timeGroup: [2, (_, [column, period]) => {
    const size = duration((period ?? '').replace(/^['"]+|['"]+$/g, ''))
    if (size <= 0) throw new Error('$__timeGroup: interval must be positive')
    return `toStartOfInterval(toDateTime(${column}), INTERVAL ${size} second)`
  }]
}

/** Quoted text and quoted names as they are, comments gone: the plugin strips them first. */
const QUOTED = /'(?:\\.|''|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|\$(\w*)\$[\s\S]*?\$\1\$|(--[^\n]*)|(\/\*[\s\S]*?\*\/)/g

export function withoutComments (sql: string): string {
  return sql.replace(QUOTED, (found, _tag, line, block) => line !== undefined || block !== undefined ? '' : found)
}

/** Where the parenthesis that opens at `start` closes, and what stands between its commas. */
export function argumentsOf (sql: string, start: number): { given: string[], end: number } {
  const given: string[] = []
  let [depth, from] = [0, start + 1]
  for (let at = start; at < sql.length; at++) {
    const character = sql[at]
    if (character === "'" || character === '`') {
      const closing = sql.indexOf(character, at + 1)
      if (closing < 0) break
      at = closing
    } else if (character === '(' || character === '[') depth++
    else if (character === ')' || character === ']') depth--
    if (depth === 0 || (character === ',' && depth === 1)) {
      given.push(sql.slice(from, at).trim())
      from = at + 1
      if (depth === 0) return { given: given.length === 1 && given[0] === '' ? [] : given, end: at + 1 }
    }
  }
  throw new Error(`a parenthesis of a macro does not close: ${sql.slice(start, start + 60)}`)
}

/** Every macro that the plugin knows; what it does not know stays as it is. */
export function expand (sql: string, range: Range): string {
  return expandAll(withoutComments(sql), range)
}

function expandAll (sql: string, range: Range): string {
  let out = ''
  for (let at = 0; at < sql.length;) {
    const next = sql.indexOf('$__', at)
    if (next < 0) return out + sql.slice(at)
    const name = /^\w+/.exec(sql.slice(next + 3))?.[0] ?? ''
    const macro = MACROS[name]
    let end = next + 3 + name.length
    out += sql.slice(at, next)
    if (macro === undefined) {
      out += sql.slice(next, end)
    } else {
      let given: string[] = []
      if (sql[end] === '(') ({ given, end } = argumentsOf(sql, end))
      const [wanted, write] = macro
      if (given.length !== wanted) throw new Error(`$__${name} expected ${wanted} argument(s), received ${given.length}`)
      // an argument may hold macros: the innermost first
      out += write(range, given.map((text) => expandAll(text, range)))
    }
    at = end
  }
  return out
}
