-- Volume by minute: how far the running total went in it. Counted as the view tick_data_1min counts it, without the bars' prices.
WITH
    -- what the names and tokens asked for were on each day: a value, which is computed once (a subquery is, wherever it is named), and
    -- which finds rows by key as an argument of has()
    (
        SELECT (groupArray(instrument_token), groupArray(bitShiftLeft(toUInt64(date), 32) + instrument_token), groupArray(symbol), groupArray(exchange))
        FROM
        (
            SELECT date, instrument_token, toString(max(latest_prices.symbol)) AS symbol, toString(max(latest_prices.exchange)) AS exchange
            FROM latest_prices
            WHERE latest_prices.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
                AND (has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
                AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
            GROUP BY date, instrument_token
        )
    ) AS chosen
SELECT
    minute,
    transform(day_token, chosen.2, chosen.3, '') AS symbol,
    transform(day_token, chosen.2, chosen.4, '') AS exchange,
    if(lowest = 18446744073709551615, 0, greatest(highest, baseline) - baseline) AS total_volume,
    toUInt8((has_previous OR lowest = 0 OR (lowest = 18446744073709551615 AND previous_minute > 0)) AND last_gap <= previous_minute) AS complete
FROM
(
    SELECT
        day_token, minute, highest, lowest, seen, previous_minute, last_gap,
        previous_total != 18446744073709551615
            AND NOT (lowest != 18446744073709551615 AND highest < previous_total AND next_total < previous_total) AS has_previous,
        multiIf(NOT has_previous, lowest, total_before > previous_total AND highest >= total_before, total_before, previous_total) AS baseline
    FROM
    (
        SELECT
            day_token, minute, highest, lowest, seen,
            ifNull(anyLast(if(lowest != 18446744073709551615, highest, NULL)) OVER earlier, 18446744073709551615) AS previous_total,
            lagInFrame(highest, 2) OVER so_far AS total_before,
            leadInFrame(highest) OVER following AS next_total,
            max(if(seen > 0, toUnixTimestamp(minute), 0)) OVER earlier AS previous_minute,
            max(if(cut > 0, toUnixTimestamp(minute), 0)) OVER so_far AS last_gap
        FROM
        (
            -- from the day's first minute on: a minute's volume is what its total is above the one before
            SELECT bitShiftLeft(toUInt64(date), 32) + instrument_token AS day_token, minute, max(total_high) AS highest, min(total_low) AS lowest, sum(ticks) AS seen, max(gap) AS cut
            FROM tick_data_1min_state
            WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND) AND minute < {to:DateTime64(3, 'Asia/Kolkata')}
                AND has(chosen.1, instrument_token) AND has(chosen.2, bitShiftLeft(toUInt64(date), 32) + instrument_token)
            GROUP BY day_token, minute
        )
        WINDOW
            earlier AS (PARTITION BY day_token ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
            so_far AS (PARTITION BY day_token ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
            following AS (PARTITION BY day_token ORDER BY minute ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)
    )
)
WHERE seen > 0 AND minute >= toStartOfMinute({from:DateTime64(3, 'Asia/Kolkata')})
ORDER BY minute DESC, total_volume DESC, symbol, exchange
LIMIT {limit:UInt64}
