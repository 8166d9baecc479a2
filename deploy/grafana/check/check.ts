// The whole check of a folder of dashboards against one server.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { REPOSITORY } from '../source/sql.js'
import type { Server } from './clickhouse.js'
import { faultsOf, panelsOf, read } from './dashboards.js'
import { run, type Fault } from './run.js'
import { typeFaults } from './types.js'

export interface Result {
  dashboards: number
  panels: number
  statements: number
  /** Of files, whatever the server says. */
  fileFaults: string[]
  faults: Fault[]
}

interface Excuse {
  dashboard: string
  panel: string
  reason: string
}

/** Panels that a demo can't fill, and why. */
export function excuses (): Excuse[] {
  return JSON.parse(readFileSync(join(REPOSITORY, 'deploy/grafana/check/allowed-empty.json'), 'utf8')) as Excuse[]
}

/** Runs it all. `only`: the dashboards with these uids. */
export async function check (server: Server, folder: string, only?: string[]): Promise<Result> {
  const files = read(folder)
  const asked = files.filter(({ dashboard }) => only === undefined || only.includes(dashboard.uid ?? ''))
  const result: Result = {
    dashboards: asked.length, panels: asked.flatMap(({ dashboard }) => panelsOf(dashboard)).length, statements: 0,
    fileFaults: only === undefined ? [...faultsOf(files), ...typeFaults(files)] : [], faults: []
  }
  if (asked.length === 0) result.fileFaults.push(`there is no dashboard in ${folder}`)
  const now = Date.now()
  for (const file of asked) {
    const { faults, statements } = await run(server, file, now)
    result.faults.push(...faults)
    result.statements += statements
  }
  return result
}

/** What is left when empty panels that are known to be empty are taken out; an excuse for a panel that is not there is a fault. */
export function unexcused ({ fileFaults, faults }: Result): string[] {
  const known = excuses()
  const left = faults.filter(({ dashboard, at, empty }) => !empty || !known.some((excuse) => excuse.dashboard === dashboard && excuse.panel === at))
  return [...fileFaults, ...left.map(({ dashboard, at, text }) => `${dashboard}: "${at}": ${text}`)]
}
