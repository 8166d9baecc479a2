// Keys that work wherever one is, unless one is typing.

/** What there is to press, for those who ask. */
export const KEYS: { key: string; does: string }[] = [
  { key: '/', does: 'search instruments' },
  { key: 'm', does: 'market' },
  { key: 'o', does: 'option chain' },
  { key: 'p', does: 'pipeline' },
  { key: 'j  k  ↓  ↑', does: 'next, previous row of the watchlist' },
  { key: 'Enter', does: 'show the row' },
  { key: 'Alt ↑  Alt ↓', does: 'move the row' },
  { key: 'Delete', does: 'remove the row' },
  { key: '1 … 9', does: 'interval of the chart' },
  { key: '←  →', does: 'bar by bar, in the chart' },
  { key: '+  −', does: 'nearer, farther, in the chart' },
  { key: 'b', does: 'bars as a table' },
  { key: 'n  N', does: 'next, previous expiry of the chain' },
  { key: 'g', does: 'Greeks of the chain' },
  { key: 't', does: 'light, dark, as the system' },
  { key: '?', does: 'this list' },
]

/** Whether a key press belongs to a field. */
function typing(event: KeyboardEvent): boolean {
  const target = event.target
  return target instanceof HTMLElement && target.closest('input, select, textarea, dialog') !== null
}

/** Runs what a key does, by its name as KeyboardEvent has it (`j`, `Alt ArrowUp`); the result ends that. */
export function onKeys(keys: Record<string, (event: KeyboardEvent) => void>): () => void {
  const pressed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.defaultPrevented || typing(event)) return
    const run = keys[event.altKey ? `Alt ${event.key}` : event.key]
    if (run === undefined) return
    event.preventDefault()
    run(event)
  }
  addEventListener('keydown', pressed)
  return () => removeEventListener('keydown', pressed)
}
