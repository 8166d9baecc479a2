// The frame around the pages: where one is, how the pipeline is, what keys there are.

import { useComputed, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { tokenWanted } from './api.ts'
import { ChainPage } from './chain/chain.tsx'
import { clock } from './clock.ts'
import { time } from './format.ts'
import { KEYS, onKeys } from './keys.ts'
import { connection, health, refused, retryNow } from './live.ts'
import { Market } from './market/market.tsx'
import { Pipeline } from './pipeline/pipeline.tsx'
import { route } from './router.ts'
import type { Route } from './routes.ts'
import { nextTheme, theme } from './settings.ts'
import { TokenForm } from './token-form.tsx'

const PAGES: { page: Route['page']; hash: string; title: string; key: string }[] = [
  { page: 'market', hash: '#/market', title: 'Market', key: 'm' },
  { page: 'chain', hash: '#/chain', title: 'Options', key: 'o' },
  { page: 'pipeline', hash: '#/pipeline', title: 'Pipeline', key: 'p' },
]

export function App() {
  const help = useSignal(false)
  useEffect(() => {
    const pages = PAGES.map(({ key, hash }) => [key, () => void (location.hash = hash)] as const)
    return onKeys({ ...Object.fromEntries(pages), t: nextTheme, '?': () => (help.value = true) })
  }, [])
  const page = route.value.page
  if (tokenWanted.value) return <TokenForm />
  return (
    <>
      <header class="top">
        <a class="brand" href="#/market" aria-label="Tickhouse: market">
          <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
            <path d="M3 11.5h2V8H3zm4 0h2V4.5H7zm4 0h2V6.5h-2z" />
          </svg>
          Tickhouse
        </a>
        <nav aria-label="Pages">
          {PAGES.map(({ page: name, hash, title, key }) => (
            <a key={name} href={hash} aria-current={name === page ? 'page' : undefined} title={`Key ${key}`}>
              {title}
            </a>
          ))}
        </nav>
        <State />
        <time class="clock" title="India's time, as the recorder has it">
          {useComputed(() => time(clock.value))} <small>IST</small>
        </time>
        <button type="button" onClick={nextTheme} title="Light, dark, as the system: key t" class="theme">
          {theme.value === 'auto' ? 'Auto' : theme.value === 'light' ? 'Light' : 'Dark'}
        </button>
        <button type="button" onClick={() => (help.value = true)} aria-label="Keys" title="Keys: ?">
          ?
        </button>
      </header>
      <Lost />
      {page === 'market' && <Market />}
      {page === 'chain' && <ChainPage />}
      {page === 'pipeline' && <Pipeline />}
      {help.value && <Help close={() => (help.value = false)} />}
    </>
  )
}

/** In the header of each page: one word, which leads to the pipeline. */
function State() {
  const current = health.value
  const link = connection.value.state
  const state = link !== 'open' ? 'warn' : (current?.state ?? 'warn')
  const wrong = current?.stages.filter((stage) => stage.state !== 'ok').map((stage) => stage.name) ?? []
  const words =
    link === 'connecting'
      ? '… connecting'
      : link === 'lost'
        ? '! no connection'
        : current === null
          ? '… asking'
          : wrong.length === 0
            ? '✓ recording'
            : `${current.state === 'bad' ? '✕' : '!'} ${wrong.join(', ')}`
  return (
    <a class={`state ${state}`} href="#/pipeline" aria-label={`Pipeline: ${words}`}>
      {words}
    </a>
  )
}

function Lost() {
  const link = connection.value
  void clock.value
  if (refused.value !== null && link.state === 'open') {
    return (
      <p class="lost" role="alert">
        {refused}
      </p>
    )
  }
  if (link.state !== 'lost') return null
  const seconds = Math.max(0, Math.ceil((link.retryAt - Date.now()) / 1000))
  return (
    <p class="lost" role="status">
      <b>Connection lost, retrying{seconds > 0 ? ` in ${seconds} s` : ''}.</b> Prices are those of{' '}
      {time(link.since, false)}. Is <code>tickhouse serve</code> running?
      <button type="button" onClick={retryNow}>
        Retry now
      </button>
    </p>
  )
}

function Help({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog
      ref={dialog}
      onClose={close}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
      aria-label="Keys"
    >
      <h2>Keys</h2>
      <dl>
        {KEYS.map(({ key, does }) => (
          <div key={key}>
            <dt>
              {key.split('  ').map((one) => (
                <kbd key={one}>{one}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button>Close</button>
      </form>
    </dialog>
  )
}
