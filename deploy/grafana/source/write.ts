// Writes the dashboards as Grafana reads them: `npm run write`.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PAGES, text } from './pages.js'
import { REPOSITORY } from './sql.js'

const folder = join(REPOSITORY, 'deploy/grafana/dashboards')
for (const { group, page } of PAGES) {
  mkdirSync(join(folder, group), { recursive: true })
  writeFileSync(join(folder, group, `${page.uid}.json`), text(page))
}
