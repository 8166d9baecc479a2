// Starts Tickhouse's processes for a test and ends them, each by its own id.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

/** The first true answer of `check`; throws after `seconds`. */
export async function poll (what, check, seconds) {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const answer = check()
    if (answer) return answer
    if (Date.now() > deadline) throw new Error(`after ${seconds} s still no ${what}`)
    await sleep(50)
  }
}

/** `tickhouse sim` on a port of its own. */
export async function startSimulator (directory, { instruments = 900, rate = 3000 } = {}) {
  const binary = process.env.TICKHOUSE_BIN ?? join(REPOSITORY, 'target/debug/tickhouse')
  if (!existsSync(binary)) throw new Error(`${binary} is missing: cargo build -p tickhouse, or set TICKHOUSE_BIN`)
  const ledger = join(directory, 'ledger.jsonl')
  const child = spawn(binary, [
    'sim', '--listen', '127.0.0.1:0', '--instruments', instruments, '--rate', rate, '--seed', '7', '--ledger', ledger
  ].map(String), { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { output += text })
  const ended = once(child, 'exit')
  const stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM')
    const [status] = await ended
    return { status, output }
  }
  try {
    const port = await poll('address of the simulator', () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${output}`)
      return output.match(/127\.0\.0\.1:(\d+)/)?.[1]
    }, 20)
    return { root: `127.0.0.1:${port}`, ledger, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
