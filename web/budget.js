// The whole page, compressed as it travels, stays within its budget.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const MOST_BYTES = 350_000

const dist = new URL('dist', import.meta.url).pathname
const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(file.parentPath, file.name))).length, 0)
console.log(`the page: ${Math.ceil(bytes / 1000)} kB compressed, of ${MOST_BYTES / 1000}`)
if (bytes > MOST_BYTES) {
  console.error(`the page is ${bytes - MOST_BYTES} bytes too large: drop something, or load it when it is needed`)
  process.exit(1)
}
