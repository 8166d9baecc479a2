// Search over all instruments: `/`, a few letters, Enter.

import { useSignal, useSignalEffect } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { searchInstruments } from '../api.ts'
import { shortDate } from '../format.ts'
import { kind, learn } from '../instruments.ts'
import { onKeys } from '../keys.ts'
import type { Instrument } from '../messages.ts'
import { go } from '../router.ts'
import * as list from './list.ts'

const FOUND = 12
/** A pause in typing. */
const PAUSE_MS = 120

export function Search() {
  const input = useRef<HTMLInputElement>(null)
  const words = useSignal('')
  const found = useSignal<Instrument[] | null>(null)
  const fault = useSignal<string | null>(null)
  const place = useSignal(0)

  useEffect(() => onKeys({ '/': () => input.current?.focus() }), [])
  useSignalEffect(() => {
    const asked = words.value.trim()
    if (asked === '') {
      found.value = null
      fault.value = null
      return
    }
    const stop = new AbortController()
    const timer = setTimeout(() => {
      searchInstruments(asked, FOUND, stop.signal)
        .then((answer) => {
          found.value = answer
          fault.value = null
          place.value = 0
        })
        .catch((error: Error) => {
          if (!stop.signal.aborted) fault.value = error.message
        })
    }, PAUSE_MS)
    return () => {
      clearTimeout(timer)
      stop.abort()
    }
  })

  const close = (): void => {
    words.value = ''
    input.current?.blur()
  }
  const take = (one: Instrument | undefined): void => {
    if (one === undefined) return
    learn([one])
    list.add(one.instrument_token)
    go({ page: 'market', instrument: one.instrument_token })
    close()
  }
  const pressed = (event: KeyboardEvent): void => {
    const count = found.value?.length ?? 0
    const keys: Record<string, () => void> = {
      Escape: close,
      Enter: () => take(found.value?.[place.value]),
      ArrowDown: () => (place.value = Math.min(place.value + 1, count - 1)),
      ArrowUp: () => (place.value = Math.max(place.value - 1, 0)),
    }
    if (keys[event.key] === undefined) return
    event.preventDefault()
    keys[event.key]!()
  }

  const open = found.value !== null || fault.value !== null
  return (
    <div class="search">
      <input
        ref={input}
        type="text"
        role="combobox"
        list={undefined}
        placeholder="Search all instruments"
        aria-label="Search all instruments"
        aria-expanded={open}
        aria-controls="found"
        aria-activedescendant={found.value?.length ? `found-${place.value}` : undefined}
        autocomplete="off"
        spellcheck={false}
        value={words}
        onInput={(event) => (words.value = event.currentTarget.value)}
        onKeyDown={pressed}
        onBlur={(event) => {
          if (!(event.relatedTarget instanceof HTMLElement && event.relatedTarget.closest('.found'))) words.value = ''
        }}
      />
      <kbd aria-hidden="true">/</kbd>
      {open && <Found found={found.value ?? []} fault={fault.value} place={place.value} take={take} />}
    </div>
  )
}

interface FoundProps {
  found: Instrument[]
  fault: string | null
  place: number
  take: (one: Instrument) => void
}

function Found({ found, fault, place, take }: FoundProps) {
  const listed = list.tokens.value
  return (
    <div class="found">
      {fault !== null && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      {fault === null && found.length === 0 && <p>No instrument of today has this name.</p>}
      <ul id="found" role="listbox" aria-label="Instruments found">
        {found.map((one, at) => (
          <li
            key={one.instrument_token}
            id={`found-${at}`}
            role="option"
            aria-selected={at === place}
            onPointerDown={(event) => {
              event.preventDefault()
              take(one)
            }}
          >
            <b>{one.symbol}</b>
            <span>{detail(one)}</span>
            <small>{listed.includes(one.instrument_token) ? 'in the list' : kind(one)}</small>
          </li>
        ))}
      </ul>
    </div>
  )
}

function detail(one: Instrument): string {
  if (one.expiry === null) return one.name
  const strike = one.strike === null || one.strike === 0 ? '' : ` ${one.strike}`
  return `${one.name} ${shortDate(one.expiry)}${strike} ${one.instrument_type}`
}
