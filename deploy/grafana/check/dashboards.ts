// Dashboards as they lie in their files, and what is wrong with them before anybody is asked.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PlainDashboard, Variable } from '../source/dashboard.js'
import type { PlainPanel } from '../source/panel.js'

export interface Target {
  rawSql?: string
  expr?: string
  format?: number
  refId: string
}

export interface File {
  path: string
  text: string
  dashboard: PlainDashboard
}

export const panelsOf = (dashboard: PlainDashboard): PlainPanel[] => (dashboard.panels ?? []) as PlainPanel[]
export const targetsOf = (panel: PlainPanel): Target[] => (panel.targets ?? []) as unknown as Target[]
export const variablesOf = (dashboard: PlainDashboard): Variable[] => dashboard.templating?.list ?? []

/** Every JSON file below a folder, in order. */
export function read (folder: string): File[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.json')).sort()
  return paths.map((path) => {
    const text = readFileSync(join(folder, path), 'utf8')
    return { path, text, dashboard: JSON.parse(text) as PlainDashboard }
  })
}

const UID = /^[a-z0-9-]{1,40}$/

/** Faults that need no server: names that are taken, panels that overlap, data sources that are no variable. */
export function faultsOf (files: File[]): string[] {
  const faults: string[] = []
  const uids = new Set<string>()
  for (const { path, dashboard } of files) {
    const say = (fault: string) => faults.push(`${path}: ${fault}`)
    const uid = dashboard.uid ?? ''
    if (!UID.test(uid) || uids.has(uid)) say(`the uid "${uid}" is no good, or taken`)
    uids.add(uid)
    const known = variablesOf(dashboard)
    const ids = new Set<unknown>()
    for (const panel of panelsOf(dashboard)) {
      if (ids.has(panel.id)) say(`two panels have the id ${panel.id}`)
      ids.add(panel.id)
      for (const source of [panel, ...targetsOf(panel)].map((holder) => (holder as PlainPanel).datasource?.uid ?? '')) {
        const name = /^\$\{(\w+)\}$/.exec(source)?.[1]
        if (!known.some((variable) => variable.type === 'datasource' && variable.name === name)) say(`"${panel.title}" names the data source "${source}"`)
      }
      if (!panel.description) say(`"${panel.title}" does not say what it means`)
    }
    for (const [one, other] of overlaps(panelsOf(dashboard))) say(`"${one.title}" lies over "${other.title}"`)
  }
  return faults
}

function overlaps (panels: PlainPanel[]): [PlainPanel, PlainPanel][] {
  return panels.flatMap((one, index) => panels.slice(index + 1).filter((other) => {
    const [a, b] = [one.gridPos, other.gridPos]
    if (a === undefined || b === undefined) return true
    return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
  }).map((other): [PlainPanel, PlainPanel] => [one, other]))
}
