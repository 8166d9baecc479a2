// Which view the address names: everything behind `#`, so that the server needs to know one path only.

export type Route =
  | { page: 'market'; instrument: number | null }
  | { page: 'chain'; underlying: string | null; expiry: string | null }
  | { page: 'pipeline' }

/** The view that a hash such as `#/market/408065` names; an unknown one is the market. */
export function parseRoute(hash: string): Route {
  const [page, first, second] = hash
    .replace(/^#?\/?/, '')
    .split('/')
    .map(decoded)
  if (page === 'chain') return { page, underlying: first || null, expiry: second || null }
  if (page === 'pipeline') return { page }
  const token = Number(first)
  return { page: 'market', instrument: Number.isInteger(token) && token > 0 ? token : null }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}

/** The hash of a view. */
export function hashOf(route: Route): string {
  const parts: (string | number | null)[] =
    route.page === 'market'
      ? ['market', route.instrument]
      : route.page === 'chain'
        ? ['chain', route.underlying, route.expiry]
        : ['pipeline']
  const named = parts.filter((part) => part !== null)
  return '#/' + named.map(encodeURIComponent).join('/')
}
