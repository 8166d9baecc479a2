// The dashboards' JSON, held against Grafana's published types by the compiler.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { REPOSITORY } from '../source/sql.js'
import type { File } from './dashboards.js'

const PACKAGE = join(REPOSITORY, 'deploy/grafana')

/** What the compiler says of JSON texts, each of which claims to be a dashboard. */
export function typeFaults (files: Pick<File, 'path' | 'text'>[]): string[] {
  // in the package, where the compiler finds Grafana's types
  const folder = mkdtempSync(join(PACKAGE, 'built', 'types-'))
  try {
    const names = files.map(({ path, text }, index) => {
      const name = `page${index}.ts`
      writeFileSync(join(folder, name), [
        `// ${path}`, "import type { Dashboard } from '@grafana/schema'", "import type { Plain } from '../../source/plain.js'",
        `export const page: Plain<Dashboard> = ${text}`
      ].join('\n'))
      return join(folder, name)
    })
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2022', '--ignoreConfig']
    const compiler = join(PACKAGE, 'node_modules/typescript/bin/tsc')
    const { status, stdout, stderr, error } = spawnSync(process.execPath, [compiler, ...options, ...names], { cwd: PACKAGE, encoding: 'utf8' })
    if (error !== undefined) throw error
    if (status === 0) return []
    const said = `${stdout}${stderr}`.trim().split('\n').filter((line) => !line.startsWith(' '))
    return said.map((line) => line.replace(/^.*page(\d+)\.ts/, (_, index) => files[Number(index)]?.path ?? ''))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
