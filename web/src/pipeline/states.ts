// States in words.

import type { State } from '../messages.ts'

/** A sign and a word for each state, so that it reads without colour. */
export const STATES: Record<State, [sign: string, word: string]> = {
  ok: ['✓', 'ok'],
  warn: ['!', 'attention'],
  bad: ['✕', 'failing'],
}
