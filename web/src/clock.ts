// Time that views show: the server's, by the second.

import { computed, signal } from '@preact/signals'
import { connection, health, now } from './live.ts'

/** A price without a tick for so long, while its market trades, is called old. */
const OLD_MS = 60_000

/** The server's time, Unix milliseconds, once a second. */
export const clock = signal(now())

setInterval(() => {
  if (!document.hidden) clock.value = now()
}, 1000)

const coarse = computed(() => Math.floor(clock.value / 5000))

/** Whether a price received then is old: always while the connection is lost. */
export const oldPrices = computed(() => {
  void coarse.value
  const lost = connection.value.state === 'lost'
  const closed = health.value?.market === 'closed'
  return (receivedAt: number | null): boolean =>
    receivedAt !== null && (lost || (!closed && now() - receivedAt > OLD_MS))
})
