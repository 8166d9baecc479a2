// The market: what trades, what moves, how broad it is.

import { dataSource, dashboard } from './dashboard.js'
import { stat, table, timeSeries } from './panel.js'
import { DAY, DAYS, named, OF_EXCHANGE, rowsOf } from './sql.js'
import { anyExchange, session } from './variables.js'

const moves = { change_pct: 'percent', gain_pct: 'percent', latest_volume: 'short', day_volume: 'short', total_volume: 'short' }

export const market = dashboard({
  name: 'market', title: 'Tickhouse: market overview', last: '1h', refresh: '30s',
  description: 'What trades, what moves and how broad it is. Tables are of the last day of the range.',
  variables: [dataSource(), anyExchange, session],
  tiles: [
    stat({ title: 'Advancing and declining', width: 10, description: 'Instruments above, below and at their previous close.' }, `
SELECT
    countIf(gain_pct > 0) AS advancing, countIf(gain_pct < 0) AS declining, countIf(gain_pct = 0) AS unchanged,
    if(declining = 0, NULL, advancing / declining) AS ratio
FROM ${rowsOf('gainers', { limit: 1_000_000 })}`),
    stat({ title: 'Instruments and ticks', width: 8, description: 'Instruments with a tick on the day; ticks of the range, by minutes.' }, `
SELECT
    (SELECT uniqExact(instrument_token) FROM latest_prices WHERE date = ${DAY} AND ${OF_EXCHANGE}) AS instruments,
    sum(ticks) AS ticks
FROM tick_data_1min_state
WHERE ${DAYS} AND $__timeFilter(minute)
    AND (\${exchange:singlequote} = '' OR (date, instrument_token) IN
        (SELECT date, instrument_token FROM latest_prices WHERE ${DAYS} AND ${OF_EXCHANGE}))`),
    stat({ title: 'Newest tick', width: 6, unit: 's', decimals: 1, description: 'How long ago the newest tick of the day was received.' }, `
SELECT dateDiff('millisecond', max(timestamp), now64(3)) / 1000 AS age FROM latest_prices WHERE date = ${DAY} AND ${OF_EXCHANGE}`,
    { steps: [[null, 'green'], [10, 'yellow'], [60, 'red']] }),
    timeSeries({ title: 'Ticks per second', unit: 'cps', width: 24, height: 7, description: 'Live ticks by the minute of their exchange time; the last minute is not over.' }, `
SELECT toDateTime(minute) AS time, exchange, sum(seen) / 60 AS ticks
FROM (SELECT date, minute, instrument_token, sum(ticks) AS seen FROM tick_data_1min_state
    WHERE ${DAYS} AND $__timeFilter(minute) GROUP BY date, minute, instrument_token) AS minutes
INNER JOIN (SELECT date, instrument_token, max(exchange) AS exchange FROM latest_prices WHERE ${DAYS} GROUP BY date, instrument_token) AS listed
    USING (date, instrument_token)
WHERE ${OF_EXCHANGE}
GROUP BY time, exchange ORDER BY time, exchange`, { stack: true, interval: '1m' }),
    table({ title: 'Gainers', height: 11, description: 'Change from the previous close; the exchange\'s own low and high.' }, named('gainers', { limit: 25 }), moves),
    table({ title: 'Movers of the range', height: 11, description: 'From the first to the last price in the range, up or down.' }, named('movers', { limit: 25 }), moves),
    table({ title: 'Most traded', height: 11, description: 'The day\'s last running total, and what waits in the book.' }, named('volume', { limit: 25 }), moves),
    table({ title: 'Widest spreads', height: 11, description: 'Mean of ask less bid over the range\'s ticks that have both.' }, named('spread', { limit: 25 }), { avg_spread_pct: 'percent' }),
    table({ title: 'Latest prices', width: 24, height: 12, description: 'The last price of each instrument, the latest first.' }, named('latest', { limit: 500 }), moves)
  ]
})
