// Data quality: gaps of the feed, what could not be read, what is there of a day.

import { dataSource, dashboard } from './dashboard.js'
import { stat, table, timeSeries } from './panel.js'
import { DAYS, named, OF_EXCHANGE, rowsOf } from './sql.js'
import { anyExchange } from './variables.js'

export const quality = dashboard({
  name: 'quality', title: 'Tickhouse: data quality and gaps', last: '6h', refresh: '1m',
  description: 'Gaps of the feed, what could not be read, and how much of a day is there.',
  variables: [dataSource(), anyExchange],
  tiles: [
    stat({ title: 'Gaps of the range', width: 8, description: 'Windows in which ticks may have been missed; how long they are together, and how many are still open.' },
      `SELECT count() AS gaps, round(sum(seconds)) AS seconds, countIf(end IS NULL) AS open FROM ${rowsOf('gaps', { limit: 100_000 })}`,
      { steps: [[null, 'green'], [1, 'yellow']] }),
    stat({ title: 'Ticks by quality', width: 8, description: 'Of the days of the range. raw: the token was unknown when the tick came; corrected: mended since.' }, `
SELECT sumIf(ticks, data_quality = 'enriched') AS enriched, sumIf(ticks, data_quality = 'raw') AS raw, sumIf(ticks, data_quality = 'corrected') AS corrected
FROM (SELECT data_quality, count() AS ticks FROM tick_data WHERE ${DAYS} GROUP BY data_quality)`),
    stat({ title: 'Quarantined', width: 8, description: 'What could not be read in the range, by its reason below.' },
      'SELECT count() AS quarantined FROM quarantine WHERE $__timeFilter(received_at)', { steps: [[null, 'green'], [1, 'yellow']] }),
    table({ title: 'Gaps', width: 24, height: 10, description: 'end is empty while a gap is open; instruments 0: the whole socket; filled: how many instruments candles have filled.' },
      named('gaps'), { seconds: 's' }),
    timeSeries({ title: 'Seconds of gaps, by cause', unit: 's', description: 'At the time at which the gap began.' }, `
SELECT $__timeInterval(begin) AS time, cause, sum(seconds) AS gap_seconds
FROM ${rowsOf('gaps', { limit: 100_000 })}
WHERE begin >= $__fromTime
GROUP BY time, cause
ORDER BY time, cause`, { draw: 'bars', stack: true, interval: '1m' }),
    timeSeries({ title: 'Quarantined, by reason', unit: 'short', description: 'When it was received.' }, `
SELECT $__timeInterval(received_at) AS time, reason, count() AS quarantined
FROM quarantine
WHERE $__timeFilter(received_at)
GROUP BY time, reason
ORDER BY time, reason`, { draw: 'bars', stack: true, interval: '1m' }),
    table({ title: 'Coverage', width: 24, height: 11, description: 'Of the last day of the range, the poorest first: minutes with ticks between the first and the last, and the longest silence.' },
      named('coverage', { limit: 500 })),
    table({ title: 'Rows by quality and session', description: 'Of the range.' }, named('quality')),
    table({ title: 'Quarantine', description: 'The newest 100 of the range.' }, `
SELECT received_at, recorder, if(stream = '', toString(socket), stream) AS source, reason, detail, length(payload) AS bytes
FROM quarantine
WHERE $__timeFilter(received_at)
ORDER BY received_at DESC
LIMIT 100`),
    table({ title: 'Unknown tokens', width: 24, description: 'Instruments without a symbol on the days of the range: `tickhouse instruments missing` says why, `mend` fills them in.' }, `
SELECT instrument_token, max(exchange) AS listed_on, max(timestamp) AS last_tick, argMax(last_price, place) AS last_price
FROM latest_prices
WHERE ${DAYS} AND symbol = '' AND ${OF_EXCHANGE}
GROUP BY instrument_token
ORDER BY last_tick DESC, instrument_token
LIMIT 100`)
  ]
})
