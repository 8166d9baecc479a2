// Runs what dashboards ask, as a browser with Grafana would: variables first, each with what came before it, then every panel.

import type { Variable } from '../source/dashboard.js'
import type { PlainPanel } from '../source/panel.js'
import { ask, type Server } from './clickhouse.js'
import { panelsOf, targetsOf, variablesOf, type File } from './dashboards.js'
import { faultsOf, isEmpty } from './fit.js'
import { expand, type Range } from './macros.js'
import { ALL, conditionalAll, interpolate, type Selection } from './variables.js'

export interface Fault {
  dashboard: string
  /** A panel's title, or `$` and a variable's name. */
  at: string
  /** An empty panel is one that the list of exceptions may excuse. */
  empty: boolean
  text: string
}

export interface Report {
  faults: Fault[]
  statements: number
}

/** How much of a panel's width one value takes: Grafana asks for about one a pixel. */
const POINTS = 1000
const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export function millis (text: string): number {
  const [, number, unit] = /^(\d+)([smhd])$/.exec(text) ?? []
  const size = UNITS[unit ?? '']
  if (size === undefined) throw new Error(`"${text}" is no time such as 30s, 5m or 1h`)
  return Number(number) * size
}

/** The statement that reaches ClickHouse. */
export function statement (sql: string, selection: Selection, range: Range): string {
  const globals: Selection = {
    __from: { value: String(range.from), text: '' }, __to: { value: String(range.to), text: '' },
    __interval_ms: { value: String(range.interval), text: '' }, __interval: { value: `${range.interval}ms`, text: '' }
  }
  return expand(interpolate(conditionalAll(sql, selection), { ...globals, ...selection }), range)
}

/** Runs every statement of a file, with what is chosen when it is opened, and then with other values of its variables. */
export async function run (server: Server, { dashboard }: File, now: number): Promise<Report> {
  const back = millis((dashboard.time?.from ?? 'now-1h').replace('now-', ''))
  const range: Range = { from: now - back, to: now, interval: Math.max(Math.ceil(back / POINTS / 1000) * 1000, 1000) }
  const report: Report = { faults: [], statements: 0 }
  const name = dashboard.uid ?? ''
  const say = (at: string, text: string, empty = false) => report.faults.push({ dashboard: name, at, empty, text })
  // a panel may have nothing to show of one instrument, if it has of another
  const filled = new Set<string>()
  const empty = new Set<string>()
  for (const other of [false, true]) {
    const selection: Selection = {}
    let differs = false
    for (const variable of variablesOf(dashboard)) {
      try {
        if (variable.type === 'query') report.statements++
        const chosen = await choose(server, variable, selection, range, other)
        if (chosen !== undefined) selection[variable.name] = chosen
        differs ||= chosen?.isOther ?? false
      } catch (error) {
        say(`$${variable.name}`, (error as Error).message)
      }
    }
    if (other && !differs) break
    for (const panel of panelsOf(dashboard)) {
      for (const [index, target] of targetsOf(panel).entries()) {
        if (target.rawSql === undefined) continue
        report.statements++
        const { faults, isFilled } = await runPanel(server, panel, index, selection, range)
        for (const text of faults) say(panel.title ?? '', text)
        const key = panel.title ?? ''
        if (isFilled) filled.add(key)
        else if (faults.length === 0) empty.add(key)
      }
    }
  }
  for (const title of empty) if (!filled.has(title)) say(title, 'has no data', true)
  return report
}

async function runPanel (server: Server, panel: PlainPanel, index: number, selection: Selection, range: Range): Promise<{ faults: string[], isFilled: boolean }> {
  const { rawSql = '', format = 1 } = targetsOf(panel)[index] ?? {}
  const shortest = panel.interval === undefined ? 0 : millis(panel.interval)
  try {
    const sql = statement(rawSql, selection, { ...range, interval: Math.max(range.interval, shortest) })
    const frame = await ask(server, sql)
    return { faults: faultsOf(panel.type, format, frame), isFilled: !isEmpty(panel.type, frame) }
  } catch (error) {
    return { faults: [(error as Error).message], isFilled: false }
  }
}

/** What Grafana would choose: the first value, or All; `other`: the second one, or two instead of All. */
async function choose (server: Server, variable: Variable, selection: Selection, range: Range, other: boolean) {
  if (variable.type === 'datasource') return undefined
  if (variable.type === 'custom') {
    const options = String(variable.query).split(',')
    const value = options[other && options.length > 1 ? 1 : 0] ?? ''
    return { value, text: value, isOther: other && options.length > 1 }
  }
  if (variable.type !== 'query') throw new Error(`variables of type ${variable.type} are not known here`)
  const { rawSql } = variable.query as unknown as { rawSql: string }
  const { columns, rows } = await ask(server, statement(rawSql, selection, range))
  if (columns.length > 2) throw new Error(`a variable has one column, or the value and how it is shown, not ${columns.length}`)
  const options = rows.map((row) => ({ value: String(row[0]), text: String(row.at(-1)) }))
  const [first] = options
  if (first === undefined) throw new Error('there are no values')
  const isOther = other && options.length > 1
  if (variable.multi || variable.includeAll) {
    const every = options.map(({ value }) => value)
    if (variable.includeAll && !isOther) return { value: [ALL], text: 'All', every, isOther }
    return { value: every.slice(0, 2), text: every.slice(0, 2), isOther }
  }
  return { ...(isOther ? options[1] ?? first : first), isOther }
}
