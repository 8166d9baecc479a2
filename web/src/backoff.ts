// How long to wait before the next attempt to connect.

const FIRST_MS = 250
const MOST_MS = 10_000

/** Doubles with each attempt (1, 2, 3, …) up to ten seconds; `random` (0 to 1) spreads it by a fifth either way. */
export function backoff(attempt: number, random: number): number {
  const wait = Math.min(MOST_MS, FIRST_MS * 2 ** (attempt - 1))
  return Math.round(wait * (0.8 + 0.4 * random))
}
