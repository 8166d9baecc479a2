// Pictures of the page on a real demo, for the README: node screenshots.js <folder>

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { poll, startBrowser, startDemo } from './demo.js'

const folder = process.argv[2] ?? fileURLToPath(new URL('../../docs/screenshots', import.meta.url))
const DESK = { width: 1200, height: 700 }
const PHONE = { width: 390, height: 844 }
/** Enough bars to show something. */
const RUN_S = 120

const SHOTS = [
  {
    name: 'market',
    hash: '#/market/738561',
    ready: '.depth td.price',
    size: { width: 1080, height: 660 },
    scheme: 'dark',
    keys: ['2'],
  },
  { name: 'options', hash: '#/chain/NIFTY', ready: '.strikes tr.money', size: DESK, scheme: 'dark' },
  { name: 'pipeline', hash: '#/pipeline', ready: '.coverage tbody tr', size: DESK, scheme: 'light' },
  { name: 'phone-list', hash: '#/market', ready: '.watchlist td.last', size: PHONE, scheme: 'light' },
  { name: 'phone-instrument', hash: '#/market/738561', ready: '.plot', size: PHONE, scheme: 'dark', keys: ['2'] },
  { name: 'phone-options', hash: '#/chain/NIFTY', ready: '.strikes tr.money', size: PHONE, scheme: 'light' },
]

mkdirSync(folder, { recursive: true })
const demo = await startDemo({
  instruments: 9000,
  rate: 5000,
  faults: fileURLToPath(new URL('screenshots.toml', import.meta.url)),
})
const browser = await startBrowser()
try {
  const started = Date.now()
  console.log(`the demo runs at ${demo.root}; pictures in ${RUN_S} s`)
  await poll('history', () => Date.now() - started > RUN_S * 1000, RUN_S + 10)
  for (const { name, hash, ready, size, scheme, keys = [] } of SHOTS) {
    const page = await browser.newPage({ viewport: size, colorScheme: scheme })
    await page.goto(`${demo.root}/${hash}`)
    await page.locator(ready).first().waitFor()
    for (const key of keys) await page.keyboard.press(key)
    await page.locator('.top .state', { hasText: /✓|!|✕/ }).waitFor()
    // what is asked for once a second or two has come
    await page.waitForTimeout(4_000)
    await page.screenshot({ path: join(folder, `${name}.png`) })
    console.log(join(folder, `${name}.png`))
    await page.close()
  }
} finally {
  await browser.close()
  await demo.stop()
}
