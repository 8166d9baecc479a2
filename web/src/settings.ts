// What the page remembers in this browser. A browser that keeps nothing (private windows) is no error.

import { effect, signal, type Signal } from '@preact/signals'

/** A signal whose value outlives the page. `valid` judges what an older version may have left. */
export function remembered<Value>(name: string, usual: Value, valid: (value: unknown) => boolean): Signal<Value> {
  const key = `tickhouse.${name}`
  const remembering = signal(read(key, usual, valid))
  effect(() => {
    const text = JSON.stringify(remembering.value)
    try {
      localStorage.setItem(key, text)
    } catch {
      // full or forbidden: then it lasts as long as the page
    }
  })
  return remembering
}

function read<Value>(key: string, usual: Value, valid: (value: unknown) => boolean): Value {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? 'null')
    return value !== null && valid(value) ? (value as Value) : usual
  } catch {
    return usual
  }
}

export type Theme = 'auto' | 'light' | 'dark'

export const theme = remembered<Theme>('theme', 'auto', (value) => ['auto', 'light', 'dark'].includes(value as string))

const systemDark = matching('(prefers-color-scheme: dark)')
/** Phones and narrow windows, as in the style sheets. */
export const narrow = matching('(max-width: 860px)')

/** Whether a media query holds, now and later. */
function matching(query: string): Signal<boolean> {
  const list = matchMedia(query)
  const matches = signal(list.matches)
  list.addEventListener('change', (event) => (matches.value = event.matches))
  return matches
}

/** Whether the page is dark now. */
export function isDark(): boolean {
  return theme.value === 'auto' ? systemDark.value : theme.value === 'dark'
}

effect(() => {
  document.documentElement.style.colorScheme = theme.value === 'auto' ? 'light dark' : theme.value
})

/** auto → light → dark → auto. */
export function nextTheme(): void {
  theme.value = theme.value === 'auto' ? 'light' : theme.value === 'light' ? 'dark' : 'auto'
}

export const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)')
