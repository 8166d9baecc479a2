// The pipeline, as ClickHouse knows it: the ledger of records and the loader's seals.

import { dashboard } from './dashboard.js'
import { stat, table, timeSeries } from './panel.js'
import { DAYS } from './sql.js'

const RECORDS = `${DAYS} AND $__timeFilter(received_at)`
// its partitions are months of UTC
const SEALS = "toYYYYMM(written_at) BETWEEN toYYYYMM($__fromTime, 'UTC') AND toYYYYMM($__toTime, 'UTC') AND $__timeFilter(written_at)"

export const pipeline = dashboard({
  name: 'pipeline', title: 'Tickhouse: pipeline health', last: '30m', refresh: '10s',
  description: 'Records, batches and lag as ClickHouse knows them. What has not been loaded yet is not seen here: the dashboard of metrics shows that.',
  tiles: [
    stat({ title: 'Newest record', unit: 's', decimals: 1, width: 6, description: 'How long ago the newest record was received whose rows are stored.' },
      `SELECT dateDiff('millisecond', max(received_at), now64(6)) / 1000 AS age FROM frames WHERE ${DAYS}`,
      { steps: [[null, 'green'], [5, 'yellow'], [30, 'red']] }),
    stat({ title: 'Holes in the sequence', width: 6, description: 'Records of the days of the range whose sequence is missing, though a later one of the same socket is stored. A hole closes when a late batch arrives; one that stays is lost, or was never loaded.' }, `
SELECT sum(highest - lowest + 1 - records) AS holes
FROM (SELECT min(sequence) AS lowest, max(sequence) AS highest, count() AS records
    FROM frames WHERE ${DAYS} GROUP BY recorder, socket, session)`, { steps: [[null, 'green'], [1, 'red']] }),
    stat({ title: 'Quarantined', width: 6, description: 'Packets of the range that could not be read.' },
      `SELECT sum(quarantined) AS quarantined FROM frames WHERE ${RECORDS}`, { steps: [[null, 'green'], [1, 'yellow']] }),
    stat({ title: 'Batches not confirmed', width: 6, description: 'Sealed more than a minute ago, in the range, and not counted back since.' }, `
SELECT countIf(stored = 0 AND sealed_at < now64(6) - INTERVAL 1 MINUTE) AS batches
FROM (SELECT batch_id, countIf(state = 'stored') AS stored, minIf(written_at, state = 'sealed') AS sealed_at
    FROM loader_seals WHERE ${SEALS} GROUP BY batch_id)`, { steps: [[null, 'green'], [1, 'red']] }),
    timeSeries({ title: 'Packets per second', unit: 'cps', description: 'By recorder and socket, by receive time.' }, `
SELECT $__timeInterval(received_at) AS time, concat(recorder, ' ', toString(socket)) AS source, sum(packets) / $__interval_s AS packets
FROM frames
WHERE ${RECORDS}
GROUP BY time, source
ORDER BY time, source`, { stack: true, interval: '1s' }),
    timeSeries({ title: 'Records per second', unit: 'cps', description: 'By kind: frames, heartbeats (frames without packets), text, subscriptions, connects, disconnects.' }, `
SELECT $__timeInterval(received_at) AS time, if(kind = 'frame' AND packets = 0, 'heartbeat', kind) AS what, count() / $__interval_s AS records
FROM frames
WHERE ${RECORDS}
GROUP BY time, what
ORDER BY time, what`, { interval: '1s' }),
    timeSeries({ title: 'Socket to stored', unit: 's', decimals: 2, description: 'From the receipt of a record to the confirmation of its batch, which is when its rows had been counted in ClickHouse.' }, `
SELECT
    $__timeInterval(received_at) AS time,
    quantile(0.5)(seconds) AS p50, quantile(0.99)(seconds) AS p99, max(seconds) AS longest
FROM
(
    SELECT frames.received_at AS received_at, dateDiff('microsecond', frames.received_at, confirmed.stored_at) / 1e6 AS seconds
    FROM frames
    INNER JOIN (SELECT batch_id, min(written_at) AS stored_at FROM loader_seals WHERE ${SEALS} AND state = 'stored' GROUP BY batch_id) AS confirmed
        USING (batch_id)
    WHERE ${RECORDS}
)
GROUP BY time
ORDER BY time`, { interval: '1s' }),
    timeSeries({ title: 'Rows a batch', unit: 'short', description: 'Ticks and records of each batch, when it was confirmed.' }, `
SELECT toDateTime(written_at) AS time, max(arraySum(partitions.ticks)) AS ticks, max(loader_seals.frames) AS records
FROM loader_seals
WHERE ${SEALS} AND state = 'stored'
GROUP BY time
ORDER BY time`, { draw: 'points' }),
    timeSeries({ title: 'Seal to confirmed', unit: 's', decimals: 3, description: 'How long a batch took from its seal over its inserts to the count of its rows.' }, `
SELECT toDateTime(stored_at) AS time, max(dateDiff('microsecond', sealed_at, stored_at) / 1e6) AS seconds
FROM
(
    SELECT minIf(written_at, state = 'sealed') AS sealed_at, minIf(written_at, state = 'stored') AS stored_at
    FROM loader_seals WHERE ${SEALS}
    GROUP BY batch_id
    HAVING countIf(state = 'sealed') > 0 AND countIf(state = 'stored') > 0
)
GROUP BY time
ORDER BY time`, { draw: 'points', legend: false }),
    timeSeries({ title: 'Bytes per second', unit: 'Bps', description: 'Payload of the records, by socket.' }, `
SELECT $__timeInterval(received_at) AS time, concat(recorder, ' ', toString(socket)) AS source, sum(bytes) / $__interval_s AS bytes
FROM frames
WHERE ${RECORDS}
GROUP BY time, source
ORDER BY time, source`, { stack: true, interval: '1s' }),
    table({ title: 'Sockets', width: 24, description: 'Sessions with records in the range, the newest first.' }, `
SELECT
    recorder, socket, session, min(received_at) AS first_record, max(received_at) AS last_record,
    countIf(kind = 'frame') AS frames, sum(packets) AS packets, sum(quarantined) AS quarantined, countIf(kind = 'connect') AS connects,
    countIf(kind = 'disconnect') AS disconnects
FROM frames
WHERE ${RECORDS}
GROUP BY recorder, socket, session
ORDER BY last_record DESC, recorder, socket
LIMIT 100`)
  ]
})
