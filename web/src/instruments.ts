// Instruments by token, as far as the page knows them.

import { signal, type Signal } from '@preact/signals'
import { instrumentsOf } from './api.ts'
import { decimals } from './format.ts'
import type { Instrument } from './messages.ts'

const known = new Map<number, Signal<Instrument | null>>()

/** Null until it is known. */
export function instrument(token: number): Signal<Instrument | null> {
  let found = known.get(token)
  if (found === undefined) {
    found = signal<Instrument | null>(null)
    known.set(token, found)
  }
  return found
}

export function learn(instruments: readonly Instrument[]): void {
  for (const one of instruments) instrument(one.instrument_token).value = one
}

/** Asks for those that are not known. */
export async function learnTokens(tokens: readonly number[]): Promise<void> {
  const unknown = tokens.filter((token) => instrument(token).peek() === null)
  if (unknown.length > 0) learn(await instrumentsOf(unknown))
}

/** Decimals of its prices. */
export function decimalsOf(one: Instrument | null): number {
  return one === null ? 2 : decimals(one.tick_size)
}

/** What the contract is, beside its symbol: exchange, and of an index that it is one. */
export function kind(one: Instrument): string {
  return one.instrument_type === 'INDEX' ? `${one.exchange} index` : one.exchange
}
