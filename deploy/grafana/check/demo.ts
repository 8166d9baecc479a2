// A real `tickhouse demo` to ask: its own data directory, ports that are free, ended by its process.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { program } from '../source/sql.js'
import { ask, type Server } from './clickhouse.js'

const START_LIMIT_MS = 60_000
const DATA_LIMIT_MS = 60_000

/** What every page needs to have something to show: a gap, something unreadable, news. */
const FAULTS = `
[[fault]]
kind = "unknown_length"
at = 4
[[fault]]
kind = "drop"
at = 6
`

/** Of the last half hour, as \`tickhouse publish news\` takes them. */
function news (now: number): string {
  const item = (minutes: number, title: string, symbols: string[], sentiment: number) => JSON.stringify({
    id: `check-${minutes}`, source: 'check', title, symbols, sentiment, sentiment_confidence: 0.8,
    published_at: new Date(now - minutes * 60_000).toISOString(), link: `https://example.com/${minutes}`
  })
  return [
    item(1, 'Infosys wins an order', ['INFY'], 0.6), item(5, 'Reliance and TCS report', ['RELIANCE', 'TCS'], 0.1),
    item(20, 'Infosys warns', ['INFY'], -0.5)
  ].join('\n') + '\n'
}

export interface Demo {
  /** As the reader, who is the user of Grafana. */
  reader: Server
  /** Who may change tables. */
  owner: Server
  /** Its data directory, and a folder without a configuration of anybody's. */
  data: string
  home: string
  stop: () => Promise<void>
}

async function poll<T> (what: string, limit: number, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + limit
  let last = ''
  for (;;) {
    try {
      const found = await look()
      if (found !== undefined) return found
    } catch (error) {
      last = `: ${(error as Error).message}`
    }
    if (Date.now() > deadline) throw new Error(`after ${limit / 1000} s still no ${what}${last}`)
    await sleep(200)
  }
}

/** Starts a demo and waits until every page has something to show. */
export async function startDemo (): Promise<Demo> {
  const home = mkdtempSync(join(tmpdir(), 'tickhouse-grafana-'))
  const data = join(home, 'data')
  writeFileSync(join(home, 'faults.toml'), FAULTS)
  const log = openSync(join(home, 'demo.log'), 'w')
  const child = spawn(program(), [
    'demo', '--data-dir', data, '--instruments', '2500', '--rate', '2000', '--faults', join(home, 'faults.toml'), '--duration', '10m', '--json',
    '--clickhouse-http-port', '0', '--clickhouse-tcp-port', '0', '--redis-port', '0', '--http-port', '0', '--until-stdin-closes'
  ], { cwd: home, stdio: ['pipe', log, log] })
  const ended = once(child, 'exit')
  const stop = async () => {
    // it ends with its standard input too, whatever ends us
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended
    rmSync(home, { recursive: true, force: true })
  }
  try {
    const port = await poll('ClickHouse', START_LIMIT_MS, async () => {
      if (child.exitCode !== null) throw new Error(`the demo ended with ${child.exitCode}:\n${readFileSync(join(home, 'demo.log'), 'utf8')}`)
      const { ports } = JSON.parse(readFileSync(join(data, 'run/demo.json'), 'utf8')) as { ports: { clickhouse_http: number } }
      return ports.clickhouse_http
    })
    const users = JSON.parse(readFileSync(join(data, 'clickhouse/users.json'), 'utf8')) as { reader_password: string }
    const place = { url: `http://127.0.0.1:${port}`, database: 'trading' }
    const demo: Demo = {
      reader: { ...place, user: 'tickhouse_reader', password: users.reader_password }, owner: { ...place, user: 'default', password: '' }, data, home, stop
    }
    await poll('running recorder', START_LIMIT_MS, async () => readFileSync(join(data, 'run/record.json'), 'utf8'))
    writeFileSync(join(home, 'news.jsonl'), news(Date.now()))
    execFileSync(program(), ['publish', 'news', join(home, 'news.jsonl'), '--data-dir', data, '--json'], { cwd: home, stdio: ['ignore', log, log] })
    await poll('ticks, news, gap and quarantine in ClickHouse', DATA_LIMIT_MS, async () => {
      const { rows: [counts] } = await ask(demo.reader, `SELECT
        (SELECT count() FROM news_data) >= 3, (SELECT count() FROM quarantine) > 0, (SELECT count() FROM feed_gaps WHERE \`to\` > \`from\`) > 0,
        (SELECT count() FROM tick_data) > 40000, (SELECT count() FROM system.query_log) > 0`)
      return counts?.every((there) => there === 1) ? counts : undefined
    })
    return demo
  } catch (error) {
    await stop()
    throw error
  }
}
