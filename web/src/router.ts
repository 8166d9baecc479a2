// The view that is shown, in step with the address.

import { computed, signal } from '@preact/signals'
import { hashOf, parseRoute, type Route } from './routes.ts'

export const route = signal<Route>(parseRoute(location.hash))

/** The instrument that the market shows. */
export const shownInstrument = computed(() => (route.value.page === 'market' ? route.value.instrument : null))

addEventListener('hashchange', () => (route.value = parseRoute(location.hash)))

/** Views of one page replace each other in the history of the browser; pages do not. */
export function go(next: Route): void {
  const hash = hashOf(next)
  if (hash === location.hash) return
  if (next.page === route.value.page) {
    history.replaceState(null, '', hash)
    route.value = next
  } else {
    location.hash = hash
  }
}
