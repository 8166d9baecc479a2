// ClickHouse itself, and Redis as far as ClickHouse knows it: what the loader read of each stream.

import { dashboard } from './dashboard.js'
import { stat, table, timeSeries } from './panel.js'
import { named } from './sql.js'

const LOG = "event_date BETWEEN toDate($__fromTime) AND toDate($__toTime) AND $__timeFilter(event_time) AND type != 'QueryStart'"
// its partitions are months of UTC
const SEALS = "toYYYYMM(written_at) BETWEEN toYYYYMM($__fromTime, 'UTC') AND toYYYYMM($__toTime, 'UTC') AND $__timeFilter(written_at)"

export const services = dashboard({
  name: 'services', title: 'Tickhouse: ClickHouse and Redis', last: '1h', refresh: '30s',
  description: 'The database itself, and the streams as far as it knows them. The memory of Redis and what waits in it stand in the dashboard of metrics.',
  tiles: [
    stat({ title: 'ClickHouse', width: 12, description: 'Version, hours since its start, memory in use.' }, `
SELECT version() AS version, round(uptime() / 3600, 1) AS hours, formatReadableSize((SELECT value FROM system.metrics WHERE metric = 'MemoryTracking')) AS memory`),
    stat({ title: 'Parts', width: 6, description: 'The most active parts that one partition has. Inserts are slowed down from 1,000 on and refused from 3,000 on.' },
      'SELECT max(parts) AS parts FROM (SELECT count() AS parts FROM system.parts WHERE active GROUP BY database, table, partition_id)',
      { steps: [[null, 'green'], [300, 'yellow'], [1000, 'red']] }),
    stat({ title: 'Disk', width: 6, unit: 'bytes', description: 'Free space of the disk with least of it, and what the tables take.' },
      'SELECT min(free_space) AS free, (SELECT sum(bytes_on_disk) FROM system.parts WHERE active) AS taken FROM system.disks'),
    timeSeries({ title: 'Queries per second', unit: 'reqps', description: 'By kind, of this server, as its log has them.' }, `
SELECT $__timeInterval(event_time) AS time, query_kind AS kind, count() / $__interval_s AS queries
FROM system.query_log
WHERE ${LOG} AND query_kind != ''
GROUP BY time, kind
ORDER BY time, kind`, { interval: '5s' }),
    timeSeries({ title: 'Duration of queries', unit: 'ms', description: 'p95 by kind.' }, `
SELECT $__timeInterval(event_time) AS time, query_kind AS kind, quantile(0.95)(query_duration_ms) AS p95
FROM system.query_log
WHERE ${LOG} AND query_kind IN ('Select', 'Insert')
GROUP BY time, kind
ORDER BY time, kind`, { interval: '5s' }),
    timeSeries({ title: 'Rows inserted per second', unit: 'short', description: 'Views included.' }, `
SELECT $__timeInterval(event_time) AS time, sum(written_rows) / $__interval_s AS written
FROM system.query_log
WHERE ${LOG} AND query_kind = 'Insert' AND type = 'QueryFinish'
GROUP BY time
ORDER BY time`, { interval: '5s', legend: false }),
    timeSeries({ title: 'Entries read of each stream, per second', unit: 'cps', description: 'Redis entries whose rows were confirmed. Flat entries stand under the name of their stream, frames under recorder and socket.' }, `
SELECT $__timeInterval(written_at) AS time, origin, sum(entries) / $__interval_s AS read_entries
FROM (SELECT written_at, r.origin AS origin, r.entries AS entries FROM loader_seals ARRAY JOIN ranges AS r WHERE ${SEALS} AND state = 'stored')
GROUP BY time, origin
ORDER BY time, origin`, { stack: true, interval: '5s' }),
    table({ title: 'Streams', description: 'The mark of each: the last entry whose rows are confirmed, and how long ago that was. Of the range.' }, `
SELECT
    range.origin AS origin, max(range.epoch) AS epoch,
    argMax(concat(toString(range.last_session), '-', toString(range.last_sequence)), (range.epoch, range.last_session, range.last_sequence)) AS last_entry,
    max(written_at) AS confirmed_at, sum(range.entries) AS entries
FROM loader_seals
ARRAY JOIN ranges AS range
WHERE ${SEALS} AND state = 'stored'
GROUP BY origin
ORDER BY origin`),
    table({ title: 'Size of tables', description: 'On disk.' }, named('table-sizes')),
    table({ title: 'Slow queries', width: 24, description: 'Of the range, as the server\'s log has them.' }, named('slow-queries'))
  ]
})
