// Options of one expiry: open interest by strike, put/call ratios, volatilities, as far as SQL gives them. `tickhouse chain` has the
// whole of it: calendar, stale legs, forward by many strikes, Greeks.

import { choice, dataSource, dashboard, fixed } from './dashboard.js'
import { bars, stat, timeSeries } from './panel.js'
import { DAY, DAYS } from './sql.js'

const VALID = `valid_from <= ${DAY} AND valid_to >= ${DAY} AND instrument_type IN ('CE', 'PE')`

/** When trading of an expiry ends. */
const expiresAt = (day: string): string => `parseDateTimeBestEffort(concat(${day}, ' ', \${close:singlequote}, ':00'), 'Asia/Kolkata')`

/** The contracts of the chosen expiry. */
const CONTRACTS = `contracts AS
    (
        SELECT instrument_token, strike, instrument_type FROM instruments FINAL
        WHERE ${VALID} AND underlying = \${underlying:singlequote} AND expiry = toDate(\${expiry:singlequote})
            AND exchange = \${exchange:singlequote}
    )`

/** Last state of each contract on the day. */
const LATEST = `latest AS
    (
        SELECT
            instrument_token,
            argMaxIf(open_interest, place, packet_type NOT IN ('ltp', 'quote')) AS open_interest,
            max(volume) AS volume
        FROM latest_prices
        WHERE date = ${DAY} AND instrument_token IN (SELECT instrument_token FROM contracts)
        GROUP BY instrument_token
    )`

/** Open interest as it stood after each minute: a contract's changes, summed over contracts, and these over time. */
const CHANGES = `changes AS
    (
        SELECT
            instrument_token, timestamp AS minute,
            toInt64(open_interest) - lagInFrame(toInt64(open_interest), 1, 0)
                OVER (PARTITION BY instrument_token ORDER BY timestamp ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS change
        FROM tick_data_1min
        WHERE ${DAYS} AND open_interest > 0 AND instrument_token IN (SELECT instrument_token FROM contracts)
    )`

/** Middle of bid and offer, of both legs, by `time`, where neither is empty. */
function middles (time: string, narrowed: string): string {
  return `legs AS
    (
        SELECT
            ${time} AS time, instrument_token,
            argMax((bid_1_price + ask_1_price) / 2, (timestamp, session, sequence, packet_index)) AS middle,
            max(timestamp) AS seen
        FROM tick_data
        WHERE ${narrowed} AND instrument_token IN (SELECT instrument_token FROM contracts)
            AND bid_1_price > 0 AND ask_1_price > 0 AND NOT snapshot
            -- as \`tickhouse chain\`: a wider market has no middle
            AND ask_1_price - bid_1_price <= (ask_1_price + bid_1_price) / 4
        GROUP BY time, instrument_token
    ),
    pairs AS
    (
        SELECT time, strike, anyIf(middle, instrument_type = 'CE') AS call, anyIf(middle, instrument_type = 'PE') AS put, max(seen) AS seen
        FROM legs INNER JOIN contracts USING (instrument_token)
        GROUP BY time, strike
        HAVING call > 0 AND put > 0
    ),
    priced AS
    (
        SELECT
            time, strike, call, put,
            -- to the close of the expiry day, in years of 365 days
            (toUnixTimestamp(${expiresAt("\${expiry:singlequote}")})
                - toUnixTimestamp64Milli(seen) / 1000) / 31536000 AS years,
            exp(-0.055 * years) AS discount,
            -- the forward by put-call parity, where call and put cost most nearly the same
            argMin(strike + (call - put) / discount, abs(call - put)) OVER (PARTITION BY time) AS forward
        FROM pairs
    )`
}

/** Black (1976), halved 40 times between 0.01 % and 500 %; the call's price that parity gives where the put is the cheaper one. */
const VOLATILITY = `arrayFold
        (
            (bounds, step) -> if
            (
                discount * (forward * erfc(-(log(forward / strike) / (bounds.3 * sqrt(years)) + bounds.3 * sqrt(years) / 2) / sqrt(2)) / 2
                    - strike * erfc(-(log(forward / strike) / (bounds.3 * sqrt(years)) - bounds.3 * sqrt(years) / 2) / sqrt(2)) / 2)
                    > if(strike >= forward, call, put + discount * (forward - strike)),
                (bounds.1, bounds.3, (bounds.1 + bounds.3) / 2),
                (bounds.3, bounds.2, (bounds.3 + bounds.2) / 2)
            ),
            range(40),
            (0.0001, 5., 2.50005)
        ).3`

const underlying = choice({
  name: 'underlying', label: 'Underlying', description: 'Kite\'s name of it; the one with most open contracts first',
  sql: `
SELECT underlying FROM instruments FINAL INNER JOIN
    (SELECT instrument_token, max(open_interest) AS open_interest FROM latest_prices WHERE date = ${DAY} GROUP BY instrument_token) AS latest
    USING (instrument_token)
WHERE ${VALID} AND exchange = \${exchange:singlequote}
GROUP BY underlying ORDER BY count() DESC, underlying`
})

const exchange = choice({
  name: 'exchange', label: 'Exchange', description: 'Where the options are listed',
  sql: `
SELECT exchange FROM instruments FINAL
WHERE ${VALID} AND instrument_token IN (SELECT instrument_token FROM latest_prices WHERE date = ${DAY})
GROUP BY exchange ORDER BY count() DESC, exchange`
})

const expiry = choice({
  name: 'expiry', label: 'Expiry', description: 'The nearest first',
  sql: `
SELECT toString(expiry) AS expires FROM instruments FINAL
WHERE ${VALID} AND underlying = \${underlying:singlequote} AND exchange = \${exchange:singlequote}
    -- the hour has not come
    AND ${expiresAt("toString(expiry)")} > $__toTime
    AND instrument_token IN (SELECT instrument_token FROM latest_prices WHERE date = ${DAY})
GROUP BY expiry ORDER BY expiry`
})

const close = fixed('close', 'Closes at', 'When regular trading of these options ends on the expiry day: SQL knows no calendar',
  ['15:40', '15:30', '15:45', '23:30', '23:55'])

export const options = dashboard({
  name: 'options', title: 'Tickhouse: options', last: '1h', refresh: '30s',
  description: 'Options of one expiry as far as SQL gives them. `tickhouse chain` has stale legs, Greeks and the calendar.',
  variables: [dataSource(), exchange, underlying, close, expiry],
  tiles: [
    stat({ title: 'Put/call ratios, and max pain', width: 24, decimals: 2, description: 'Puts over calls, by open interest and by volume. Max pain: the strike at which writers would pay least.' }, `
WITH ${CONTRACTS},
    ${LATEST},
    chain AS (SELECT instrument_type, strike, open_interest, volume FROM latest INNER JOIN contracts USING (instrument_token))
SELECT
    sumIf(open_interest, instrument_type = 'PE') / nullIf(sumIf(open_interest, instrument_type = 'CE'), 0) AS pcr_open_interest,
    sumIf(volume, instrument_type = 'PE') / nullIf(sumIf(volume, instrument_type = 'CE'), 0) AS pcr_volume,
    (
        SELECT argMin(settled, (paid, settled))
        FROM
        (
            SELECT settled, sum(open_interest * greatest(if(instrument_type = 'CE', settled - strike, strike - settled), 0)) AS paid
            FROM chain CROSS JOIN (SELECT DISTINCT strike AS settled FROM chain) AS strikes
            GROUP BY settled
        )
    ) AS max_pain,
    sumIf(open_interest, instrument_type = 'CE') AS calls,
    sumIf(open_interest, instrument_type = 'PE') AS puts
FROM chain`),
    bars({ title: 'Open interest by strike', width: 24, height: 10, unit: 'short', description: 'The last of the day, of each contract.' }, `
WITH ${CONTRACTS},
    ${LATEST}
SELECT toString(strike) AS strike_price, sumIf(open_interest, instrument_type = 'CE') AS calls, sumIf(open_interest, instrument_type = 'PE') AS puts
FROM latest INNER JOIN contracts USING (instrument_token)
GROUP BY strike
ORDER BY strike`, 'strike_price'),
    timeSeries({ title: 'Put/call ratio', decimals: 2, description: 'By the open interest that stood after each minute.' }, `
WITH ${CONTRACTS},
    ${CHANGES},
    totals AS
    (
        SELECT minute, sum(sumIf(change, instrument_type = 'PE')) OVER so_far AS puts, sum(sumIf(change, instrument_type = 'CE')) OVER so_far AS calls
        FROM changes INNER JOIN contracts USING (instrument_token)
        GROUP BY minute
        WINDOW so_far AS (ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
SELECT toDateTime(minute) AS time, puts / calls AS pcr FROM totals WHERE calls > 0 AND $__timeFilter(minute) ORDER BY time`,
    { legend: false, interval: '1m' }),
    timeSeries({ title: 'Open interest of calls and puts', unit: 'short', description: 'All contracts of the expiry together, after each minute.' }, `
WITH ${CONTRACTS},
    ${CHANGES},
    totals AS
    (
        SELECT minute, sum(sumIf(change, instrument_type = 'PE')) OVER so_far AS puts, sum(sumIf(change, instrument_type = 'CE')) OVER so_far AS calls
        FROM changes INNER JOIN contracts USING (instrument_token)
        GROUP BY minute
        WINDOW so_far AS (ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
SELECT toDateTime(minute) AS time, calls, puts FROM totals WHERE $__timeFilter(minute) ORDER BY time`, { interval: '1m' }),
    timeSeries({ title: 'Volatility at the money', unit: 'percentunit', decimals: 1, description: 'Black 1976 on the middle of bid and offer of the strike next to the forward, 5.5 % interest. The forward by put-call parity of one strike, where `tickhouse chain` uses ten.' }, `
WITH ${CONTRACTS},
    ${middles('$__timeInterval(timestamp)', `${DAYS} AND $__timeFilter_ms(timestamp)`)}
SELECT time, ${VOLATILITY} AS volatility
FROM (SELECT * FROM priced WHERE years > 0 ORDER BY time, abs(strike - forward), strike LIMIT 1 BY time)
ORDER BY time`, { legend: false, interval: '10s' }),
    timeSeries({ title: 'Forward', decimals: 2, description: 'By put-call parity, where call and put cost most nearly the same.' }, `
WITH ${CONTRACTS},
    ${middles('$__timeInterval(timestamp)', `${DAYS} AND $__timeFilter_ms(timestamp)`)}
SELECT time, any(forward) AS forward FROM priced GROUP BY time ORDER BY time`, { legend: false, interval: '10s' }),
    bars({ title: 'Volatility by strike', width: 24, height: 10, unit: 'percentunit', decimals: 1, description: 'Of the leg that is out of the money, by the last middle prices of the day: where they are old, so is this.' }, `
WITH ${CONTRACTS},
    ${middles('toDateTime(0)', `date = ${DAY} AND timestamp <= $__toTime_ms`)}
SELECT toString(strike) AS strike_price, ${VOLATILITY} AS volatility
FROM priced
WHERE years > 0
ORDER BY strike`, 'strike_price')
  ]
})
