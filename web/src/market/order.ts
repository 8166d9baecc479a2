// The order of a watchlist: as the user put it, or by a column. Pure.

export type Column = 'symbol' | 'last_price' | 'change' | 'change_percent' | 'volume' | 'open_interest'

export interface Sort {
  /** Null: as the user put it. */
  column: Column | null
  descending: boolean
}

/** What a column compares. */
export interface Sortable {
  token: number
  symbol: string
  last_price: number | null
  change: number | null
  change_percent: number | null
  volume: number | null
  open_interest: number | null
}

/** Numbers begin with the largest, names with A; a second press turns it, a third goes back to the user's own order. */
export function pressed(sort: Sort, column: Column): Sort {
  const first = column !== 'symbol'
  if (sort.column !== column) return { column, descending: first }
  return sort.descending === first ? { column, descending: !first } : { column: null, descending: false }
}

/** Tokens in order. What has no value comes last, either way; equals stay as the user put them. */
export function ordered(rows: readonly Sortable[], sort: Sort): number[] {
  const column = sort.column
  if (column === null) return rows.map((row) => row.token)
  const turned = sort.descending ? -1 : 1
  const sorted = [...rows].sort((left, right) => {
    const [a, b] = [left[column], right[column]]
    if (a === null || b === null) return Number(a === null) - Number(b === null)
    if (typeof a === 'string' || typeof b === 'string') return turned * String(a).localeCompare(String(b), 'en')
    return turned * (a - b)
  })
  return sorted.map((row) => row.token)
}

/** The list with one token moved by `step` places. */
export function moved(tokens: readonly number[], token: number, step: number): number[] {
  const from = tokens.indexOf(token)
  const to = from + step
  if (from < 0 || to < 0 || to >= tokens.length) return [...tokens]
  const result = tokens.filter((other) => other !== token)
  result.splice(to, 0, token)
  return result
}
