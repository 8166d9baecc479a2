// One real demo, every page: all panels have data, the numbers agree with `tickhouse`, and a renamed column is seen.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { PAGES, text } from '../source/pages.js'
import { program, REPOSITORY } from '../source/sql.js'
import { check, unexcused } from './check.js'
import { ask } from './clickhouse.js'
import { panelsOf, read, targetsOf } from './dashboards.js'
import { startDemo, type Demo } from './demo.js'
import { faultsOf, isEmpty } from './fit.js'
import { statement } from './run.js'
import { typeFaults } from './types.js'
import type { Selection } from './variables.js'

const FOLDER = join(REPOSITORY, 'deploy/grafana/dashboards')
let demo: Demo

before(async () => { demo = await startDemo() })
after(async () => { await demo?.stop() })

const is = (value: string) => ({ value, text: value })

function sqlOf (uid: string, title: string): string {
  const dashboard = read(FOLDER).find((file) => file.dashboard.uid === uid)?.dashboard
  const panel = dashboard === undefined ? undefined : panelsOf(dashboard).find((panel) => panel.title === title)
  const sql = panel === undefined ? undefined : targetsOf(panel)[0]?.rawSql
  assert.ok(sql, `${uid} has "${title}"`)
  return sql
}

test('the files are what the sources give', () => {
  const files = new Map(read(FOLDER).map(({ path, text }) => [path, text]))
  for (const { group, page } of PAGES) {
    const path = `${group}/${page.uid}.json`
    assert.equal(files.get(path), text(page), `${path}: run npm run write`)
    files.delete(path)
  }
  assert.deepEqual([...files.keys()], [], 'files without a source')
})

test('every panel and variable of every page has data', async () => {
  const result = await check(demo.reader, FOLDER)
  assert.deepEqual(unexcused(result), [])
  assert.ok(result.statements > 100, `${result.statements} statements were run`)
})

test('the compiler sees what Grafana would not take', () => {
  const [file] = read(FOLDER)
  assert.ok(file)
  const broken = (from: string | RegExp, to: string) => {
    const changed = { path: file.path, text: file.text.replace(from, to) }
    assert.notEqual(changed.text, file.text)
    return typeFaults([changed]).join('\n')
  }
  assert.match(broken('"refresh": 2', '"refresh": "often"'), /tickhouse-indices-news\.json.*VariableRefresh/)
  assert.match(broken('"w": 24', '"wide": 24'), /wide/)
  assert.match(broken('"type": "query"', '"type": "queries"'), /queries/)
})

test('answers that a panel can not draw', () => {
  const frame = (columns: string[], rows: unknown[][]) =>
    ({ columns: columns.map((column) => ({ name: column, type: { t: 'DateTime', n: 'Float64', s: 'String' }[column] ?? column })), rows })
  assert.deepEqual(faultsOf('timeseries', 0, frame(['t', 'n'], [['1', 1], ['2', 1]])), [])
  assert.deepEqual(faultsOf('timeseries', 0, frame(['t', 's', 'n'], [['1', 'a', 1], ['1', 'b', 1]])), [])
  const faulty: [string, number, string[], unknown[][]][] = [
    ['timeseries', 1, ['t', 'n'], []], ['timeseries', 0, ['n'], []], ['timeseries', 0, ['t', 's'], []], ['timeseries', 0, ['t', 't', 'n'], []],
    ['timeseries', 0, ['t', 'n'], [['2', 1], ['1', 1]]], ['timeseries', 0, ['t', 's', 'n'], [['1', 'a', 1], ['1', 'a', 2]]],
    ['timeseries', 0, ['Nullable(DateTime)', 'n'], []], ['table', 1, ['Tuple(UInt8, UInt8)'], []], ['barchart', 1, ['n'], []],
    ['barchart', 1, ['s', 'n'], [['a', 1], ['a', 2]]], ['candlestick', 1, ['t', 'n'], []], ['stat', 1, ['n'], [[1], [2]]], ['pie', 1, ['n'], []]
  ]
  for (const [type, format, columns, rows] of faulty) assert.notDeepEqual(faultsOf(type, format, frame(columns, rows)), [], `${type} ${columns} ${rows}`)
  assert.ok(isEmpty('timeseries', frame(['t', 'n'], [['1', null]])) && isEmpty('table', frame(['s'], [])))
  assert.ok(!isEmpty('timeseries', frame(['t', 'n'], [['1', 0]])))
})

test('options: SQL says what `tickhouse chain` says', async () => {
  const at = Date.now() - 2000
  // of the day's own expiry the last minutes differ by more
  const words = ['chain', 'NIFTY', '--expiry', 'next', '--data-dir', demo.data, '--json', '--at', new Date(at).toISOString()]
  const chain = JSON.parse(execFileSync(program(), words, { encoding: 'utf8', cwd: demo.home })) as Chain
  const selection: Selection = {
    exchange: is('NFO'), underlying: is('NIFTY'), expiry: is(chain.expiry), close: is(chain.expires_at.slice(11, 16))
  }
  const rows = async (title: string) =>
    (await ask(demo.reader, statement(sqlOf('tickhouse-options', title), selection, { from: at - 600_000, to: at, interval: 10_000 }))).rows
  const near = (one: unknown, other: number, share: number, what: string) =>
    assert.ok(Math.abs(Number(one) - other) <= share * other, `${what}: ${one} in SQL, ${other} by chain`)

  const [[pcr, pcrVolume, maxPain] = []] = await rows('Put/call ratios, and max pain')
  // a tick or two may have come between the two answers
  near(pcr, chain.totals.pcr_open_interest, 0.01, 'PCR by open interest')
  near(pcrVolume, chain.totals.pcr_volume, 0.01, 'PCR by volume')
  assert.equal(maxPain, chain.totals.max_pain)
  near((await rows('Forward')).at(-1)?.[1], chain.forward.price, 0.0005, 'forward')

  const volatilities = new Map((await rows('Volatility by strike')).map(([strike, volatility]) => [Number(strike), Number(volatility)]))
  let compared = 0
  for (const { strike, call, put } of chain.strikes) {
    const known = (strike >= chain.forward.price ? call : put)?.implied_volatility
    // one strike gives the forward here, several there, and near the expiry that tells
    if (known !== null && known !== undefined) {
      near(volatilities.get(strike), known, 0.06, `volatility of ${strike}`)
      compared++
    }
  }
  assert.ok(compared >= 3, `${compared} strikes were compared`)
})

test('a renamed column is seen, in the panels that read it and in no other', async () => {
  await ask(demo.owner, 'ALTER TABLE news_data RENAME COLUMN sentiment TO mood')
  const result = await check(demo.reader, FOLDER, ['tickhouse-indices-news'])
  const faulty = new Set(unexcused(result).map((fault) => /^[^"]*"([^"]*)": .*sentiment/.exec(fault)?.[1]))
  assert.deepEqual([...faulty].sort(), ['News', 'Sentiment by symbol'])
})

interface Leg { implied_volatility: number | null }

interface Chain {
  expiry: string
  expires_at: string
  forward: { price: number }
  totals: { pcr_open_interest: number, pcr_volume: number, max_pain: number }
  strikes: { strike: number, call?: Leg, put?: Leg }[]
}
