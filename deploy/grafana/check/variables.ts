// A dashboard's variables as Grafana puts them into a statement, before the plugin's back end expands macros.

import { argumentsOf } from './macros.js'

export type Value = string | string[]

export interface Chosen {
  value: Value
  text: Value
  /** What All stands for: every option. */
  every?: string[]
}

export type Selection = Record<string, Chosen>

export const ALL = '$__all'

const isAll = ({ value }: Chosen): boolean => value === ALL || (Array.isArray(value) && value[0] === ALL)

/** `$__conditionalAll(condition, $variable)`: the condition, or `1=1` where the variable is empty or All. The plugin's front end does it. */
export function conditionalAll (sql: string, selection: Selection): string {
  const macro = '$__conditionalAll('
  for (let at = sql.lastIndexOf(macro); at >= 0; at = sql.lastIndexOf(macro)) {
    const { given, end } = argumentsOf(sql, at + macro.length - 1)
    if (given.length !== 2) throw new Error(`$__conditionalAll takes a condition and a variable: ${sql.slice(at, end)}`)
    const [condition = '', variable = ''] = given
    const name = /(?<=\$\{)\w+(?=\})|(?<=\$)\w+/.exec(variable)?.[0]
    const chosen = name === undefined ? undefined : selection[name]
    const value = chosen?.value.toString()
    sql = sql.slice(0, at) + (value === '' || value === ALL ? '1=1' : condition) + sql.slice(end)
  }
  return sql
}

function formatted ({ value, text }: Chosen, format: string | undefined): string {
  const values = Array.isArray(value) ? value : [value]
  const quote = (mark: string, escape: (text: string) => string) => values.map((one) => mark + escape(one) + mark).join(',')
  switch (format) {
    // the plugin's own way for what names no format
    case undefined: return Array.isArray(value) ? `'${value.join("','")}'` : value
    case 'singlequote': return quote("'", (one) => one.replaceAll("'", "\\'"))
    case 'doublequote': return quote('"', (one) => one.replaceAll('"', '\\"'))
    case 'sqlstring': return quote("'", (one) => one.replaceAll("'", "''"))
    case 'csv': case 'raw': return values.join(',')
    case 'pipe': return values.join('|')
    case 'json': return JSON.stringify(value)
    case 'text': return Array.isArray(text) ? text.join(' + ') : text
    default: throw new Error(`the format ${format} is not known here`)
  }
}

const REFERENCE = /\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]|\$(\w+)/g

/** Every reference to a variable that there is; others stay as they are, and macros are none. */
export function interpolate (sql: string, selection: Selection): string {
  return sql.replace(REFERENCE, (found, braced, bracedFormat, bracketed, bracketedFormat, plain) => {
    const chosen = selection[braced ?? bracketed ?? plain]
    if (chosen === undefined) return found
    const value = isAll(chosen) ? { value: chosen.every ?? [], text: 'All' } : chosen
    return formatted(value, bracedFormat ?? bracketedFormat)
  })
}
