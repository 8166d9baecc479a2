// The unmodified KiteTicker, in a process of its own: it keeps its state in module variables, and ends the process itself when
// it gives up. Reads a plan as JSON from standard input, writes {"ticks": […]} lines, ends when every token was seen in its
// mode and `messages` callbacks came, or with status 3 after `seconds`.

import { readFileSync, writeSync } from 'node:fs'
import { KiteTicker } from 'kiteconnect'

const plan = JSON.parse(readFileSync(0, 'utf8'))
const unseen = new Set()
const wanted = Object.fromEntries(plan.tokens.map((token) => [token, 'quote']))
for (const [mode, tokens] of Object.entries(plan.modes)) for (const token of tokens) wanted[token] = mode
for (const [token, mode] of Object.entries(wanted)) unseen.add(`${token} ${mode}`)
const say = (what) => {
  const line = Buffer.from(JSON.stringify(what) + '\n')
  for (let at = 0; at < line.length;) {
    try {
      at += writeSync(1, line, at)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
    }
  }
}

const ticker = new KiteTicker({ api_key: 'key', access_token: 'token', root: plan.root, reconnect: false })
let messages = 0
ticker.on('connect', () => {
  ticker.subscribe(plan.tokens)
  for (const [mode, tokens] of Object.entries(plan.modes)) ticker.setMode(mode, tokens)
})
ticker.on('ticks', (ticks) => {
  messages += 1
  say({ ticks })
  for (const tick of ticks) unseen.delete(`${tick.instrument_token} ${tick.mode}`)
  if (messages >= plan.messages && unseen.size === 0) process.exit(0)
})
ticker.on('error', (error) => say({ error: String(error.message ?? error) }))
ticker.on('close', () => process.exit(4))
ticker.connect()
setTimeout(() => {
  say({ unseen: [...unseen].slice(0, 20), messages })
  process.exit(3)
}, plan.seconds * 1000)
