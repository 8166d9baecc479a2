// `npm run check`: everything that dashboards ask, asked. What enters: the dashboards' files and a ClickHouse with data, by default
// that of a demo which this starts. What leaves: faults, and a status that says whether there are any.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { REPOSITORY } from '../source/sql.js'
import { check, unexcused } from './check.js'
import { startDemo } from './demo.js'
import type { Server } from './clickhouse.js'

const HELP = `npm run check -- [--dashboards DIR] [--json]
                 [--url URL [--database trading] [--user tickhouse_reader] [--password-file FILE]]

Checks dashboards for Grafana's ClickHouse data source: types, layout, and every statement of every panel and variable.
Without --url against a tickhouse demo that it starts and ends.`

const { values } = parseArgs({
  options: {
    dashboards: { type: 'string', default: join(REPOSITORY, 'deploy/grafana/dashboards') },
    url: { type: 'string' }, database: { type: 'string', default: 'trading' }, user: { type: 'string', default: 'tickhouse_reader' },
    'password-file': { type: 'string' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false }
  }
})

async function main (): Promise<boolean> {
  const password = values['password-file'] === undefined ? '' : readFileSync(values['password-file'], 'utf8').trim()
  const given: Server | undefined = values.url === undefined
    ? undefined
    : { url: values.url.replace(/\/$/, ''), database: values.database, user: values.user, password }
  if (given === undefined) console.error('starting a demo to ask')
  const demo = given === undefined ? await startDemo() : undefined
  try {
    const report = await check(given ?? (demo as NonNullable<typeof demo>).reader, values.dashboards)
    const faults = unexcused(report)
    if (values.json) console.log(JSON.stringify({ ...report, faults }))
    else {
      for (const fault of faults) console.log(fault)
      console.log(`${report.dashboards} dashboards, ${report.panels} panels, ${report.statements} statements, ${faults.length} faults`)
    }
    return faults.length === 0
  } finally {
    await demo?.stop()
  }
}

if (values.help) console.log(HELP)
else process.exitCode = await main() ? 0 : 1
