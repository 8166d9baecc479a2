// One `tickhouse demo` and one browser for all tests, each ended by its own process id.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
/** On a busy machine everything takes long; only what never comes fails. */
export const PATIENCE_S = 60

/** The first answer of `check` that is no falsehood; throws after `seconds`. */
export async function poll(what, check, seconds = PATIENCE_S) {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const answer = await check()
    if (answer) return answer
    if (Date.now() > deadline) throw new Error(`after ${seconds} s still no ${what}`)
    await sleep(100)
  }
}

/** The whole system; `root` is the address of its page. */
export async function startDemo({ instruments = 900, rate = 2000, faults, seed = 7 } = {}) {
  const binary = process.env.TICKHOUSE_BIN ?? join(REPOSITORY, 'target/debug/tickhouse')
  if (!existsSync(binary))
    throw new Error(`${binary} is missing: cargo xtask web, cargo build -p tickhouse; or set TICKHOUSE_BIN`)
  const directory = mkdtempSync(join(tmpdir(), 'tickhouse-page-'))
  const options = ['--instruments', instruments, '--rate', rate, '--seed', seed, '--duration', '10m', '--json']
  for (const port of ['clickhouse-http', 'clickhouse-tcp', 'redis', 'http']) options.push(`--${port}-port`, 0)
  if (faults !== undefined) options.push('--faults', faults)
  const demo = spawn(binary, ['--data-dir', directory, 'demo', ...options].map(String), {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (text) => (output += text))
  const ended = once(demo, 'exit')
  const stop = async () => {
    if (demo.exitCode === null) demo.kill('SIGTERM')
    const [status] = await ended
    rmSync(directory, { recursive: true, force: true })
    return { status, output }
  }
  try {
    const root = await poll(
      'page of the demo',
      async () => {
        if (demo.exitCode !== null) throw new Error(`the demo ended with ${demo.exitCode}:\n${output}`)
        const page = pageOf(directory)
        return page !== null && (await answers(page)) && page
      },
      180,
    )
    return { root, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function pageOf(directory) {
  try {
    const { page } = JSON.parse(readFileSync(join(directory, 'run/serve.json'), 'utf8'))
    return page ? `http://${page}` : null
  } catch {
    return null
  }
}

async function answers(page) {
  try {
    return (await fetch(`${page}/v1/health`)).ok
  } catch {
    return false
  }
}

/** A browser that talks to nobody but us. */
export function startBrowser() {
  const quiet = [
    'disable-quic',
    'no-first-run',
    'disable-background-networking',
    'disable-component-update',
    'disable-sync',
  ]
  return chromium.launch({
    executablePath: process.env.TICKHOUSE_CHROMIUM ?? '/usr/bin/chromium',
    args: ['no-sandbox', 'disable-gpu', ...quiet].map((flag) => `--${flag}`),
  })
}
