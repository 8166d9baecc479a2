// One instrument: price, volume, open interest, spread, depth.

import { dataSource, dashboard } from './dashboard.js'
import { candles, stat, table, timeSeries } from './panel.js'
import { CHOSEN_TICKS, named, rowsOf } from './sql.js'
import { exchange, session, symbol } from './variables.js'

const ofSymbol = { bySymbol: true }
// the latest of several ticks, as everywhere: by receive time, then by place in the feed
const LATEST = '(timestamp, session, sequence, packet_index)'

export const instrument = dashboard({
  name: 'instrument', title: 'Tickhouse: instrument', last: '1h', refresh: '10s',
  description: 'Price, volume, open interest, spread and depth of one instrument.',
  variables: [dataSource(), exchange, symbol, session],
  tiles: [
    stat({ title: 'Last price', width: 14, description: 'Of the last day of the range; the change is from the previous close.' },
      `SELECT latest_price, change, round(change_pct, 2) AS "change %", latest_volume AS volume, latest_open_interest AS "open interest" FROM ${rowsOf('latest', ofSymbol)}`),
    stat({ title: 'Volume-weighted average price', width: 10, decimals: 2, description: 'Of the range, by how far the running total went with each tick; beside it the exchange\'s own of the whole day.' },
      `SELECT vwap, day_vwap FROM ${rowsOf('vwap', ofSymbol)}`),
    candles({ title: 'Candles', width: 24, height: 13, description: 'From one-minute bars, which come from last prices; an incomplete minute is told by tick_data_1min.complete. For sessions and longer history use `tickhouse bars`.' }, `
SELECT
    $__timeInterval(minute) AS time,
    argMin(bars.open, minute) AS open, max(bars.high) AS high, min(bars.low) AS low, argMax(bars.close, minute) AS close, sum(bars.volume) AS volume
FROM ${rowsOf('ohlc', { ...ofSymbol, limit: 200_000 })} AS bars
GROUP BY time
ORDER BY time`, '1m'),
    timeSeries({ title: 'Last price, and the day\'s average', width: 24, description: 'Ticks by receive time: the last of each interval, and the day\'s volume-weighted average as the exchange states it.' }, `
SELECT
    $__timeInterval_ms(timestamp) AS time,
    argMax(last_price, ${LATEST}) AS last_price,
    nullIf(argMax(average_traded_price, ${LATEST}), 0) AS day_vwap
FROM tick_data
WHERE ${CHOSEN_TICKS}
GROUP BY time
ORDER BY time`),
    timeSeries({ title: 'Volume by minute', description: 'How far the day\'s running total went in the minute. A sum of `volume` would mean nothing.', unit: 'short' },
      `SELECT toDateTime(minute) AS time, total_volume AS volume FROM ${rowsOf('volume-by-minute', { ...ofSymbol, limit: 200_000 })} ORDER BY time`,
      { draw: 'bars', legend: false, interval: '1m' }),
    timeSeries({ title: 'Open interest', description: 'Full packets of derivatives carry it; 0 for everything else.', unit: 'short' },
      `SELECT toDateTime(minute) AS time, current_oi AS open_interest FROM ${rowsOf('oi', { ...ofSymbol, limit: 200_000 })} ORDER BY time`,
      { steps: true, legend: false, interval: '1m' }),
    timeSeries({ title: 'Spread', description: 'Ask less bid, in rupees, of ticks that have both: the mean and the widest of each interval.' }, `
SELECT
    $__timeInterval_ms(timestamp) AS time,
    avg(ask_1_price - bid_1_price) AS mean_spread, max(ask_1_price - bid_1_price) AS widest_spread
FROM tick_data
WHERE ${CHOSEN_TICKS} AND bid_1_price > 0 AND ask_1_price > 0
GROUP BY time
ORDER BY time`),
    timeSeries({ title: 'Quantity in the book', description: 'What waits on either side of the whole book, and of its five best levels.', unit: 'short' }, `
SELECT
    $__timeInterval_ms(timestamp) AS time,
    argMax(total_buy_quantity, ${LATEST}) AS total_buy, argMax(total_sell_quantity, ${LATEST}) AS total_sell,
    argMax(toUInt64(bid_1_quantity) + bid_2_quantity + bid_3_quantity + bid_4_quantity + bid_5_quantity, ${LATEST}) AS five_bids,
    argMax(toUInt64(ask_1_quantity) + ask_2_quantity + ask_3_quantity + ask_4_quantity + ask_5_quantity, ${LATEST}) AS five_asks
FROM tick_data
WHERE ${CHOSEN_TICKS} AND packet_type != 'ltp'
GROUP BY time
ORDER BY time`),
    table({ title: 'Depth', description: 'Five levels of the day\'s last packet whose book is not empty.' }, named('depth', ofSymbol)),
    timeSeries({ title: 'Last price: the brief\'s query', description: 'Every tick in the range, with the statement as it stands in the project\'s brief. `$__time` is no macro of this data source: `tickhouse migrate` makes it a function. All the instruments of that symbol, whatever the exchange.' }, `
SELECT 
    $__time(timestamp),
    last_price as value
FROM tick_data
WHERE $__timeFilter(timestamp)
  AND symbol = '$symbol'
ORDER BY timestamp`, { legend: false })
  ]
})
