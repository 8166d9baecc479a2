// What the stages stand on: sockets, latencies, processes, disk.

import { NONE, bytes, duration, rate, time, whole } from '../format.ts'
import type { Health } from '../messages.ts'
import { STATES } from './states.ts'

export function Sockets({ health }: { health: Health }) {
  return (
    <section class="part sockets" aria-label="Sockets">
      <h2>Sockets</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Sockets, table">
        <table>
          <thead>
            <tr>
              <th>Socket</th>
              <th>Key</th>
              <th>State</th>
              <th>Subscribed</th>
              <th>Frames/s</th>
              <th>Silent</th>
              <th>Reconnects</th>
              <th>Last gap</th>
            </tr>
          </thead>
          <tbody>
            {health.sockets.map((socket) => (
              <tr key={socket.socket} class={socket.state}>
                <th scope="row">{socket.socket}</th>
                <td>{socket.key > 0 ? socket.key : NONE}</td>
                <td class="state" title={socket.reason}>
                  {STATES[socket.state][0]} {socket.doing.replaceAll('_', ' ')}
                  {socket.reason !== undefined && `: ${socket.reason}`}
                </td>
                <td>{whole(socket.subscribed)}</td>
                <td>{rate(socket.frames_per_second)}</td>
                <td>{duration(socket.silent_seconds * 1000)}</td>
                <td>{whole(socket.reconnects)}</td>
                <td>{socket.last_gap === null ? 'none' : `until ${time(socket.last_gap)}`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

/** Bars on a scale of decades: 0.1 ms to 10 s. */
const share = (milliseconds: number): number =>
  Math.max(0, Math.min(1, (Math.log10(Math.max(0.1, milliseconds)) + 1) / 5))

export function Latency({ health }: { health: Health }) {
  return (
    <section class="part latency" aria-label="Latency">
      <h2>Latency</h2>
      <table>
        <thead>
          <tr>
            <th>From</th>
            <th>To</th>
            <th>Half within</th>
            <th>99 % within</th>
          </tr>
        </thead>
        <tbody>
          {health.latency.map((row) => (
            <tr key={`${row.from}/${row.to}`}>
              <td>{row.from}</td>
              <td>{row.to}</td>
              <td class="measure" style={{ '--share': share(row.p50_ms) }}>
                {milliseconds(row.p50_ms)}
              </td>
              <td class="measure" style={{ '--share': share(row.p99_ms) }}>
                {milliseconds(row.p99_ms)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

const milliseconds = (value: number): string => (value < 10 ? `${value.toFixed(1)} ms` : duration(value))

export function Processes({ health }: { health: Health }) {
  return (
    <section class="part processes" aria-label="Processes">
      <h2>Processes</h2>
      <table>
        <thead>
          <tr>
            <th>Process</th>
            <th>State</th>
            <th>Restarts</th>
            <th>Memory</th>
            <th>Cores</th>
          </tr>
        </thead>
        <tbody>
          {health.processes.map((process) => (
            <tr key={process.name} class={process.alive ? '' : 'bad'}>
              <th scope="row">{process.name}</th>
              <td title={process.error}>{process.alive ? 'running' : `✕ ${process.error ?? 'gone'}`}</td>
              <td>{whole(process.restarts)}</td>
              <td>{bytes(process.memory_bytes)}</td>
              <td>{process.cpu_cores.toFixed(2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

export function Disk({ health }: { health: Health }) {
  return (
    <section class="part disk" aria-label="Disk">
      <h2>Disk</h2>
      <table>
        <thead>
          <tr>
            <th>What</th>
            <th>Size</th>
            <th>Free beside it</th>
          </tr>
        </thead>
        <tbody>
          {health.disk.map((disk) => (
            <tr key={disk.name}>
              <th scope="row">{disk.name}</th>
              <td>{bytes(disk.bytes)}</td>
              <td class="measure" style={{ '--share': disk.free_bytes / Math.max(1, disk.bytes + disk.free_bytes) }}>
                {bytes(disk.free_bytes)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
