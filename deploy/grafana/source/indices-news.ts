// Index values and news.

import { choice, dataSource, dashboard } from './dashboard.js'
import { bars, table, timeSeries } from './panel.js'
import { DAY, DAYS } from './sql.js'

const index = choice({
  name: 'index', label: 'Index', description: 'Those with a value on the last day of the range', multi: true, all: true,
  sql: `SELECT DISTINCT symbol FROM indices_data WHERE date = ${DAY} AND symbol != '' ORDER BY symbol`
})

const CHOSEN_INDICES = '$__conditionalAll(symbol IN (${index:singlequote}), $index)'

export const indicesAndNews = dashboard({
  name: 'indices-news', title: 'Tickhouse: indices and news', last: '1h', refresh: '30s',
  description: 'Index values, from ticks or published, and news items.',
  variables: [dataSource(), index],
  tiles: [
    timeSeries({ title: 'Change from the previous close', unit: 'percent', decimals: 2, width: 24, height: 10, description: 'The last value of each interval.' }, `
SELECT $__timeInterval_ms(timestamp) AS time, symbol, argMax(percent_change, timestamp) AS change
FROM indices_data
WHERE ${DAYS} AND $__timeFilter_ms(timestamp) AND ${CHOSEN_INDICES}
GROUP BY time, symbol
ORDER BY time, symbol`),
    table({ title: 'Last values', width: 12, height: 11, description: 'Of the last day of the range. high and low are the day\'s, close is of the session before.' }, `
SELECT
    symbol,
    argMax(last_price, timestamp) AS last_value, argMax(net_change, timestamp) AS change, argMax(percent_change, timestamp) AS change_pct,
    argMax(indices_data.high, timestamp) AS day_high, argMax(indices_data.low, timestamp) AS day_low, max(timestamp) AS last_update
FROM indices_data
WHERE date = ${DAY} AND ${CHOSEN_INDICES}
GROUP BY symbol
ORDER BY symbol`, { change_pct: 'percent' }),
    table({ title: 'News', width: 12, height: 11, description: 'Items published in the range, the newest first. Sentiment from -1 to 1.' }, `
SELECT published_at, source, title, arrayStringConcat(symbols, ', ') AS about, sentiment, link
FROM news_data
WHERE $__timeFilter(published_at)
ORDER BY published_at DESC
LIMIT 200`),
    timeSeries({ title: 'News items', description: 'By source, in each interval.', unit: 'short' }, `
SELECT $__timeInterval(published_at) AS time, source, count() AS items
FROM news_data
WHERE $__timeFilter(published_at)
GROUP BY time, source
ORDER BY time, source`, { draw: 'bars', stack: true, interval: '1m' }),
    bars({ title: 'Sentiment by symbol', description: 'Mean of the range\'s items, weighted by their confidence where they state one; the symbols of most items.' }, `
SELECT about, round(sum(sentiment * weight) / sum(weight), 3) AS mean_sentiment
FROM (SELECT arrayJoin(symbols) AS about, sentiment, if(sentiment_confidence > 0, sentiment_confidence, 1) AS weight
    FROM news_data WHERE $__timeFilter(published_at))
GROUP BY about
ORDER BY count() DESC, about
LIMIT 30`, 'about')
  ]
})
