// The live page on a real demo: one exchange, one browser, one tab that goes through everything as a user does.
//
// Faults of the exchange (faults.toml) come by themselves: first what needs none is looked at, then the gap, then the red pipeline.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { auditOf } from './accessibility.js'
import { PATIENCE_S, poll, startBrowser, startDemo } from './demo.js'
import { startLink } from './link.js'

const FAULTS = fileURLToPath(new URL('faults.toml', import.meta.url))
/** docs/web-api.md and issue: the whole page, as it travels. */
const MOST_BYTES = 350_000
/** Colours of gaps on the chart's canvas, light: nothing else there is amber where an index has no VWAP. */
const AMBER = { red: [150, 255], green: [60, 215], blue: [0, 190], apart: 40 }

describe('the live page', { timeout: 10 * 60_000 }, () => {
  let demo, browser, link, page, pipeline
  const complaints = []
  const strangers = new Set()

  const get = async (path) => {
    const answer = await fetch(demo.root + path)
    assert.equal(answer.status, 200, `${path}: ${await answer.clone().text()}`)
    return answer.json()
  }
  const textOf = (selector) =>
    page
      .locator(selector)
      .first()
      .textContent({ timeout: PATIENCE_S * 1000 })
  const changes = async (selector) => {
    const first = await textOf(selector)
    await poll(`change of ${selector}`, async () => (await textOf(selector)) !== first)
  }
  const goTo = async (hash, selector) => {
    await page.evaluate((hash) => (location.hash = hash), hash)
    await page
      .locator(selector)
      .first()
      .waitFor({ timeout: PATIENCE_S * 1000 })
  }

  before(async () => {
    demo = await startDemo({ faults: FAULTS })
    link = await startLink(demo.root)
    browser = await startBrowser()
    page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'light' })
    page.setDefaultTimeout(PATIENCE_S * 1000)
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`)
    })
    page.on('pageerror', (error) => complaints.push(`thrown: ${error.stack}`))
    page.on('request', (request) => {
      if (new URL(request.url()).host !== new URL(link.root).host) strangers.add(request.url())
    })
    await page.addInitScript(() => {
      window.longTasks = []
      new PerformanceObserver((list) =>
        window.longTasks.push(...list.getEntries().map(({ duration }) => duration)),
      ).observe({
        type: 'longtask',
        buffered: true,
      })
    })
    await page.goto(link.root)
    pipeline = await watchPipeline()
  })

  /** A second tab that notes what the source stage says, whenever that is: faults do not wait for tests. */
  const watchPipeline = async () => {
    const tab = await browser.newPage({ viewport: { width: 1440, height: 900 } })
    await tab.goto(`${demo.root}/#/pipeline`)
    await tab.locator('.way li[data-stage=source]').waitFor()
    await tab.evaluate(() => {
      window.seen = []
      const note = () => {
        const source = document.querySelector('.way li[data-stage=source]')
        const verdict = document.querySelector('.verdict').dataset.state
        const now = {
          source: source.dataset.state,
          verdict,
          text: source.textContent,
          header: document.querySelector('.top .state').textContent,
        }
        const advice = source.querySelector('.advice')?.textContent ?? ''
        if (window.seen.at(-1)?.source !== now.source) window.seen.push({ ...now, advice })
      }
      note()
      new MutationObserver(note).observe(document.querySelector('main'), {
        subtree: true,
        childList: true,
        attributes: true,
      })
    })
    return tab
  }

  after(async () => {
    await browser?.close()
    await link?.stop()
    await demo?.stop()
  })

  test('a first visitor sees a list that ticks, within the budget of bytes', async (t) => {
    await changes('.watchlist tr[data-token="256265"] td.last')
    const names = await page.locator('.watchlist tbody th a').allTextContents()
    assert.ok(names.includes('NIFTY') && names.includes('RELIANCE'), names.join())
    assert.equal(await page.locator('.top .state').textContent(), '✓ recording')
    const [bytes, paint] = await page.evaluate(() => [
      [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .filter(({ name }) => !name.includes('/v1/'))
        .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
      performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
    ])
    assert.ok(bytes > 10_000 && bytes < MOST_BYTES, `${bytes} bytes`)
    t.diagnostic(`${Math.round(bytes / 1000)} kB; first paint after ${Math.round(paint)} ms`)
  })

  test('depth moves, trades run, all by keyboard', async () => {
    await page.keyboard.press('/')
    await page.keyboard.type('reliance')
    await page.locator('.found [role=option][aria-selected=true]').waitFor()
    await page.keyboard.press('Enter')
    await page.locator('.instrument h1', { hasText: 'RELIANCE' }).waitFor()
    const levels = await poll('a full book', async () => {
      const prices = (await page.locator('.depth td.price').allTextContents()).map((text) =>
        Number(text.replaceAll(',', '')),
      )
      return prices.length === 10 && prices.every(Number.isFinite) && prices
    })
    const bids = levels.filter((_, place) => place % 2 === 0)
    const asks = levels.filter((_, place) => place % 2 === 1)
    assert.deepEqual(
      bids,
      [...bids].sort((one, other) => other - one),
      'bids fall',
    )
    assert.deepEqual(
      asks,
      [...asks].sort((one, other) => one - other),
      'offers rise',
    )
    assert.ok(bids[0] < asks[0])
    await changes('.depth tbody')
    await changes('.tape tbody')
    // a row moves up, goes, and comes back as the list remembers it
    const tokens = () => page.evaluate(() => JSON.parse(localStorage.getItem('tickhouse.watchlist')))
    const chosen = await page.locator('.watchlist tr[aria-current=true]').getAttribute('data-token')
    const was = await tokens()
    await page.keyboard.press('Alt+ArrowUp')
    assert.equal((await tokens()).indexOf(Number(chosen)), was.indexOf(Number(chosen)) - 1)
    await page.keyboard.press('Delete')
    assert.deepEqual(
      await tokens(),
      was.filter((token) => token !== Number(chosen)),
    )
    await page.keyboard.press('k')
    await page.keyboard.press('?')
    await page.locator('dialog[open]').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('dialog').waitFor({ state: 'detached' })
  })

  test('the chart goes from history to live, and what it showed is what is stored', async () => {
    await goTo('#/market/256265', '.plot[data-loaded=true]')
    // the interval by its key: seconds
    await page.keyboard.press('1')
    await page.locator('.intervals button[aria-pressed=true]', { hasText: '1s' }).waitFor()
    await page.locator('.plot[data-loaded=true]').waitFor()
    await page.keyboard.press('b')
    const shown = () =>
      page
        .locator('.bar-table tbody tr[data-start]')
        .evaluateAll((rows) =>
          rows.map((row) => [
            Number(row.dataset.start),
            ...[...row.cells].slice(1, 6).map(({ textContent }) => Number(textContent.replaceAll(',', ''))),
          ]),
        )
    const begin = (await poll('bars', async () => (await shown())[0]))[0]
    // bars, not seconds: an instrument may be silent for one
    const seen = await poll('five live bars', async () => {
      const starts = (await shown()).map(([start]) => start)
      return starts.filter((start) => start > begin).length >= 5 && starts
    })
    assert.deepEqual(
      seen,
      [...seen].sort((one, other) => other - one),
      'newest first, each once',
    )
    // once they are stored, each is what /v1/bars says
    const settled = seen[0]
    let differing = []
    await poll('bars as they are stored', async () => {
      const { bars } = await get('/v1/bars?instrument=256265&interval=1s&limit=120')
      const stored = new Map(bars.map((bar) => [bar.start, [bar.open, bar.high, bar.low, bar.close, bar.volume]]))
      const rows = (await shown()).filter(([start]) => start >= begin && start <= settled)
      const differs = ([start, ...values]) => String(values) !== String(stored.get(start))
      differing = rows.filter(differs).map((row) => ({ shown: row, stored: stored.get(row[0]) }))
      return rows.length >= 5 && differing.length === 0
    }).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(differing)}`))
    await page.keyboard.press('4')
    await page.locator('.intervals button[aria-pressed=true]', { hasText: '1m' }).waitFor()
    await poll('bars of a minute', async () => (await shown()).every(([start]) => start % 60_000 === 0))
    // bar by bar with the keyboard, the legend says which
    await page.keyboard.press('b')
    await page.locator('.canvas').focus()
    await page.keyboard.press('ArrowLeft')
    await poll('legend of a bar', async () => /\d\d:\d\d:00.*O .*H .*L .*C /.test(await textOf('.legend')))
  })

  test('the option chain is live', async () => {
    await page.keyboard.press('o')
    await page.locator('.strikes tr.money').waitFor()
    await changes('.chain .summary .note')
    const strikes = await page
      .locator('.strikes tr[data-strike]')
      .evaluateAll((rows) => rows.map((row) => Number(row.dataset.strike)))
    assert.deepEqual(
      strikes,
      [...strikes].sort((one, other) => one - other),
    )
    const { at_the_money: money } = await get('/v1/chain?underlying=NIFTY&expiry=current')
    assert.ok(strikes.includes(money), `${money} is in view`)
    const volatilities = await page.locator('.strikes td.iv').allTextContents()
    assert.ok(
      volatilities.some((text) => Number.parseFloat(text) > 0),
      volatilities.join(),
    )
    await page.keyboard.press('g')
    await page.locator('.strikes th.greek').first().waitFor()
  })

  test('a silence of the exchange is drawn as a gap', async () => {
    const amber = () => page.locator('.canvas canvas').evaluateAll(countAmber, AMBER)
    await goTo('#/market/256265', '.plot[data-loaded=true]')
    // of five seconds: ten minutes are on the screen
    await page.keyboard.press('2')
    await page.locator('.plot[data-loaded=true]').waitFor()
    const gap = await poll('gap', async () =>
      (await get('/v1/gaps?instrument=256265&limit=10')).gaps.find(({ to }) => to !== null),
    )
    assert.ok(gap.to - gap.from > 4_000, JSON.stringify(gap))
    await poll('gap on the chart', async () => (await amber()) > 300)
  })

  test('a lost connection is said, and comes back by itself', async () => {
    link.cut()
    await page.locator('.lost', { hasText: 'Connection lost, retrying' }).waitFor()
    assert.ok(await page.locator('.watchlist tr.old').count(), 'prices are greyed')
    link.mend()
    await page.locator('.lost').waitFor({ state: 'detached' })
    await poll('prices that are fresh', async () => (await page.locator('.watchlist tr.old').count()) === 0)
  })

  test('heartbeats alone turn the pipeline red, data turns it green again', async () => {
    const seen = () => pipeline.evaluate(() => window.seen)
    const isRed = ({ source, text }) => source === 'bad' && text.includes('heartbeats only')
    await poll('red and then green source', async () => {
      const all = await seen()
      const red = all.findIndex(isRed)
      return red >= 0 && all.slice(red).some(({ source }) => source === 'ok')
    })
    const red = (await seen()).find(isRed)
    assert.equal(red.verdict, 'bad')
    assert.notEqual(red.advice.trim(), '', 'it says what to do')
    assert.match(red.text, /✕ failing/, 'it reads without colour')
    assert.match(red.header, /✕.*source/)
    await page.keyboard.press('p')
    await poll('completeness', async () => (await page.locator('.coverage tbody tr').count()) > 3)
    assert.ok(await page.locator('.gaps tbody tr').count(), 'gaps are listed')
    assert.ok(await page.locator('.sockets tbody tr').count(), 'sockets are listed')
  })

  for (const scheme of ['light', 'dark']) {
    test(`no page has a serious fault of accessibility, ${scheme}, nor is it too wide for a phone`, async () => {
      await page.emulateMedia({ colorScheme: scheme })
      for (const [hash, selector] of [
        ['#/market/738561', '.depth td.price'],
        ['#/chain', '.strikes tr.money'],
        ['#/pipeline', '.way li'],
      ]) {
        await goTo(hash, selector)
        assert.deepEqual(await auditOf(page), [], `${hash}, ${scheme}`)
        await page.setViewportSize({ width: 390, height: 844 })
        const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
        assert.ok(wide <= room, `${hash} is ${wide} wide on a phone of ${room}`)
        await page.setViewportSize({ width: 1440, height: 900 })
      }
    })
  }

  test('nothing was complained of, nobody else was asked', async (t) => {
    // what the cut connection made the browser say is no fault of the page
    const real = complaints.filter(
      (text) => !/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_SOCKET|WebSocket connection to .* failed/.test(text),
    )
    assert.deepEqual(real, [])
    assert.deepEqual([...strangers], [])
    const tasks = await page.evaluate(() => window.longTasks)
    t.diagnostic(
      `${tasks.length} tasks above 50 ms, the longest ${Math.round(Math.max(0, ...tasks))} ms (on a machine that runs all of it)`,
    )
  })
})

/** Runs in the page: how many points of the canvases have the colours of gaps. */
function countAmber(canvases, { red, green, blue, apart }) {
  let count = 0
  for (const canvas of canvases) {
    if (canvas.width === 0 || canvas.height === 0) continue
    // a copy: reading the chart's own would make the browser complain
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true })
    copy.drawImage(canvas, 0, 0)
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height)
    for (let at = 0; at < data.length; at += 4) {
      const [r, g, b] = [data[at], data[at + 1], data[at + 2]]
      const inside = r >= red[0] && r <= red[1] && g >= green[0] && g <= green[1] && b >= blue[0] && b <= blue[1]
      if (inside && r - g >= apart / 4 && g - b >= apart / 4 && r - b >= apart && data[at + 3] > 0) count++
    }
  }
  return count
}
