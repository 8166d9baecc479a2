// The pipeline: every stage in the way of a tick, and what to do where one is not well.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { coverage, gaps } from '../api.ts'
import { duration, rate, whole } from '../format.ts'
import { connection, health } from '../live.ts'
import type { Coverage as CoverageRow, Gap, Health, Stage } from '../messages.ts'
import { Coverage } from './coverage.tsx'
import { Disk, Latency, Processes, Sockets } from './parts.tsx'
import { Gaps } from './gaps.tsx'
import { STATES } from './states.ts'

const GAPS_EVERY_MS = 5_000
const COVERAGE_EVERY_MS = 60_000

export function Pipeline() {
  const found = useSignal<Gap[] | null>(null)
  const rows = useSignal<CoverageRow[] | null>(null)
  useEffect(() => repeat(async () => (found.value = await gaps({ limit: 200 })), GAPS_EVERY_MS), [])
  useEffect(() => repeat(async () => (rows.value = await coverage(9_000)), COVERAGE_EVERY_MS), [])
  const current = health.value
  if (current === null) {
    return (
      <main class="pipeline">
        <p class="note">Asking how the pipeline is.</p>
      </main>
    )
  }
  return (
    <main class={`pipeline${connection.value.state === 'lost' ? ' old' : ''}`}>
      <Verdict health={current} />
      <Way stages={current.stages} />
      <div class="parts">
        <Sockets health={current} />
        <Latency health={current} />
        <Gaps gaps={found.value} />
        <Coverage rows={rows.value} />
        <Processes health={current} />
        <Disk health={current} />
      </div>
    </main>
  )
}

/** Runs now and then again and again; a failure waits for its next turn. */
function repeat(work: () => Promise<unknown>, everyMs: number): () => void {
  const turn = (): void => {
    if (!document.hidden && connection.peek().state !== 'lost') void work().catch(() => undefined)
  }
  turn()
  const timer = setInterval(turn, everyMs)
  return () => clearInterval(timer)
}

function Verdict({ health }: { health: Health }) {
  const [sign] = STATES[health.state]
  const wrong = health.stages.filter((stage) => stage.state !== 'ok')
  const { totals } = health
  const says =
    wrong.length === 0
      ? 'Every tick that arrives is stored.'
      : wrong.map((stage) => `${stage.name}: ${stage.summary}`).join(' · ')
  return (
    <section
      class={`verdict ${health.state}`}
      aria-label="State of the pipeline"
      aria-live="polite"
      data-state={health.state}
    >
      <h1>
        <span class="sign" aria-hidden="true">
          {sign}
        </span>
        {health.state === 'ok'
          ? 'All is well'
          : health.state === 'warn'
            ? 'Needs attention'
            : 'Not recording as it should'}
      </h1>
      <p>{says}</p>
      <dl>
        <Figure name="Market" value={health.market.replaceAll('_', ' ')} />
        <Figure name="Frames" value={whole(totals.frames)} />
        <Figure name="Packets" value={whole(totals.packets)} />
        <Figure name="Ticks stored" value={whole(totals.ticks_stored)} />
        <Figure name="Quarantined" value={whole(totals.quarantined)} bad={totals.quarantined > 0} />
        <Figure name="Gaps" value={whole(totals.gaps)} bad={totals.gaps > 0} />
        <Figure name="Ticking" value={`${whole(totals.instruments_ticking)} of ${whole(totals.instruments)}`} />
      </dl>
    </section>
  )
}

function Figure({ name, value, bad }: { name: string; value: string; bad?: boolean }) {
  return (
    <div class={bad === true ? 'warn' : ''}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

function Way({ stages }: { stages: Stage[] }) {
  return (
    <ol class="way" aria-label="The way of a tick">
      {stages.map((stage) => {
        const [sign, word] = STATES[stage.state]
        return (
          <li key={stage.name} class={stage.state} data-stage={stage.name} data-state={stage.state}>
            <h2>
              {stage.name}
              <span class="state">
                <span aria-hidden="true">{sign}</span> {word}
              </span>
            </h2>
            <p class="rate">
              <b>{rate(stage.rate)}</b> {stage.unit}/s
            </p>
            <p class="lag">{stage.lag_seconds === null ? ' ' : `${duration(stage.lag_seconds * 1000)} behind`}</p>
            <p class="summary">{stage.summary}</p>
            {stage.state !== 'ok' && stage.advice != null && <p class="advice">{stage.advice}</p>}
          </li>
        )
      })}
    </ol>
  )
}
