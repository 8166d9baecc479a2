// Variables that pages share.

import { choice, fixed, type Variable } from './dashboard.js'
import { DAY, OF_EXCHANGE } from './sql.js'

const LISTED = `SELECT exchange FROM latest_prices WHERE date = ${DAY} GROUP BY exchange ORDER BY exchange != 'NSE', exchange`

/** One exchange, or all of them: empty, shown as All. */
export const anyExchange: Variable = choice({
  name: 'exchange', label: 'Exchange', description: 'Of the last day of the range',
  sql: `SELECT '' AS value, 'All' AS text UNION ALL SELECT * FROM (SELECT exchange AS value, exchange AS text FROM (${LISTED}))`
})

/** One exchange. */
export const exchange: Variable = choice({
  name: 'exchange', label: 'Exchange', description: 'Of the last day of the range', sql: LISTED
})

/** One instrument of the exchange, the busiest first. */
export const symbol: Variable = choice({
  name: 'symbol', label: 'Symbol', description: 'The busiest first',
  sql: `SELECT symbol FROM latest_prices WHERE date = ${DAY} AND symbol != '' AND ${OF_EXCHANGE}
GROUP BY symbol ORDER BY max(toFloat64(volume) * last_price) DESC, symbol LIMIT 10000`
})

/** Which session's ticks count. */
export const session: Variable = fixed('session', 'Session', 'Which ticks count', ['regular', 'any', 'pre_market', 'post_market', 'closed'])
