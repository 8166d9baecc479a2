// Statements that dashboards share, and those of `tickhouse query`, so that a number is the same wherever it is shown.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** The root of the repository; this file runs from `deploy/grafana/built/source`. */
export const REPOSITORY = join(import.meta.dirname, '../../../..')

/** The program: `TICKHOUSE_BIN`, else the debug build. */
export function program (): string {
  const found = process.env['TICKHOUSE_BIN'] ?? join(REPOSITORY, 'target/debug/tickhouse')
  if (!existsSync(found)) throw new Error(`${found} is missing: cargo build --package tickhouse, or set TICKHOUSE_BIN`)
  return found
}

export interface Named {
  /** Rows at most. */
  limit?: number
  /** Of the dashboard's variable `symbol`, not of every instrument. */
  bySymbol?: boolean
}

/** A statement of `tickhouse query`, as it prints it for Grafana. */
export function named (name: string, { limit, bySymbol = false }: Named = {}): string {
  const words = ['query', name, '--sql=grafana', '--config', '/dev/null']
  // whichever: the text has the dashboard's variable in its place
  if (bySymbol) words.push('--symbol', 'NIFTY')
  if (limit !== undefined) words.push('--limit', String(limit))
  const sql = execFileSync(program(), words, { encoding: 'utf8' }).trim()
  return bySymbol ? sql : sql.replaceAll('[${symbol:singlequote}]', '[]')
}

/** Such a statement as a table of another one. */
export function rowsOf (name: string, options: Named = {}): string {
  return `(\n    ${named(name, options).replaceAll('\n', '\n    ')}\n)`
}

/** The last day of the dashboard's range, in India. */
export const DAY = "toDate($__toTime, 'Asia/Kolkata')"

/** Partitions of the dashboard's range; the time itself is a filter of its own. */
export const DAYS = `date BETWEEN toDate($__fromTime, 'Asia/Kolkata') AND ${DAY}`

/** Ticks are no candles of history. */
export const NO_CANDLES =
  "NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))"

/** The tokens of the chosen instrument, day by day, because Kite uses tokens again. Tables are ordered by token, so little is read. */
export const CHOSEN = `(date, instrument_token) IN
    (
        SELECT date, instrument_token FROM latest_prices
        WHERE ${DAYS} AND symbol = \${symbol:singlequote} AND exchange = \${exchange:singlequote}
    )`

/** Ticks of the chosen instrument in the dashboard's range. */
export const CHOSEN_TICKS = `${DAYS} AND $__timeFilter_ms(timestamp)
    AND ${CHOSEN}
    AND NOT snapshot AND ${NO_CANDLES}`

/** The exchange variable, which is empty for all. */
export const OF_EXCHANGE = "(${exchange:singlequote} = '' OR exchange = ${exchange:singlequote})"
