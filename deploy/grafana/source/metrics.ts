// What the processes say of themselves, by Prometheus: what has not reached ClickHouse yet, and memory of Redis. docs/metrics.md has every name.

import { dataSource, dashboard } from './dashboard.js'
import { metric } from './panel.js'

const p = (quantile: number, histogram: string): string => `histogram_quantile(${quantile}, sum by (le) (rate(${histogram}_bucket[$__rate_interval])))`

export const metrics = dashboard({
  name: 'metrics', title: 'Tickhouse: metrics', last: '1h', refresh: '15s',
  description: 'What the processes say of themselves. Needs Prometheus; names and meanings stand in docs/metrics.md.',
  variables: [dataSource('prometheus')],
  tiles: [
    metric({ title: 'Sockets', description: 'Open connections, and how long the oldest of them has had no data while its markets trade.', unit: 'short' }, [
      ['sum(tickhouse_source_connected)', 'connected'],
      ['max(tickhouse_source_data_age_seconds * tickhouse_source_data_expected)', 'seconds without data']
    ]),
    metric({ title: 'Packets and stored rows per second', description: 'What the sockets brought, and what was confirmed in ClickHouse.', unit: 'cps' }, [
      ['sum(rate(tickhouse_source_packets_total[$__rate_interval]))', 'packets'],
      ['sum by (table) (rate(tickhouse_store_rows_total[$__rate_interval]))', 'rows of {{table}}']
    ]),
    metric({ title: 'Socket to journal, Redis, ClickHouse: p99', description: 'From receipt to the journal\'s file, to the answer of Redis, to queryable.', unit: 's' }, [
      [p(0.99, 'tickhouse_journal_latency_seconds'), 'journal'], [p(0.99, 'tickhouse_stream_latency_seconds'), 'Redis'],
      [p(0.99, 'tickhouse_store_latency_seconds'), 'ClickHouse']
    ]),
    metric({ title: 'What waits', description: 'Records not in Redis yet, entries not acknowledged yet.', unit: 'short' }, [
      ['sum by (socket) (tickhouse_stream_backlog_records)', 'journal, socket {{socket}}'],
      ['sum by (stream) (tickhouse_load_unacknowledged_entries)', '{{stream}}']
    ]),
    metric({ title: 'Oldest entry not acknowledged', description: 'By stream.', unit: 's' }, [
      ['max by (stream) (tickhouse_load_oldest_unacknowledged_seconds)', '{{stream}}']
    ]),
    metric({ title: 'Redis', description: 'Memory, and its limit where there is one.', unit: 'bytes' }, [
      ['tickhouse_stream_memory_bytes', 'memory'], ['tickhouse_stream_memory_limit_bytes > 0', 'limit']
    ]),
    metric({ title: 'Faults', description: 'How often in the last minutes: gaps, dead letters as they are, ambiguous batches, rows missing, errors of disk and Redis.', unit: 'short' }, [
      ['sum(increase(tickhouse_source_gaps_total[5m]))', 'gaps'], ['tickhouse_stream_dead_letters', 'dead letters'],
      ['sum(increase(tickhouse_load_ambiguous_batches_total[5m]))', 'ambiguous batches'],
      ['sum(increase(tickhouse_load_missing_holes_total[5m]))', 'holes that nobody could fill'],
      ['sum(increase(tickhouse_journal_write_errors_total[5m]))', 'journal errors'], ['sum(increase(tickhouse_stream_errors_total[5m]))', 'Redis errors']
    ]),
    metric({ title: 'Restarts of parts', description: 'By the supervisor, in the last five minutes.', unit: 'short' }, [
      ['sum by (stage) (increase(tickhouse_supervisor_restarts_total[5m]))', '{{stage}}']
    ]),
    metric({ title: 'Processor', description: 'Cores that each process uses.', unit: 'short' }, [
      ['sum by (job, instance) (rate(process_cpu_seconds_total[$__rate_interval]))', '{{job}} {{instance}}']
    ]),
    metric({ title: 'Memory', description: 'Resident, of each process.', unit: 'bytes' }, [
      ['process_resident_memory_bytes', '{{job}} {{instance}}']
    ]),
    metric({ title: 'Disk', description: 'Free bytes of the data directory\'s disk, and of ClickHouse\'s fullest.', unit: 'bytes' }, [
      ['min(tickhouse_disk_free_bytes)', 'data directory'], ['min(tickhouse_store_free_bytes)', 'ClickHouse']
    ]),
    metric({ title: 'Browsers', description: 'Open pages, and how long a quote takes to them: p99.', unit: 'short' }, [
      ['sum(tickhouse_serve_clients)', 'pages'], [p(0.99, 'tickhouse_serve_latency_seconds'), 'seconds to the browser']
    ])
  ]
})
