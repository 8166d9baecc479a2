-- Volume by minute: how far the running total went in it. Counted as the view tick_data_1min counts it, without the bars' prices.
WITH chosen AS
    (
        -- what the names and tokens asked for were on each day; every instrument where none is asked for
        SELECT date, instrument_token, max(latest_prices.symbol) AS symbol, max(latest_prices.exchange) AS exchange
        FROM latest_prices
        WHERE latest_prices.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
            AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
                OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
        GROUP BY date, instrument_token
    )
SELECT minute, chosen.symbol AS symbol, chosen.exchange AS exchange, total_volume, complete
FROM
(
    SELECT
        date, instrument_token, minute,
        if(lowest = 18446744073709551615, 0, greatest(highest, baseline) - baseline) AS total_volume,
        toUInt8((has_previous OR lowest = 0 OR (lowest = 18446744073709551615 AND previous_minute > 0)) AND last_gap <= previous_minute) AS complete
    FROM
    (
        SELECT
            date, instrument_token, minute, highest, lowest, seen,
            max(lowest != 18446744073709551615) OVER earlier AS has_previous,
            if(has_previous, max(highest) OVER earlier, lowest) AS baseline,
            max(if(seen > 0, toUnixTimestamp(minute), 0)) OVER earlier AS previous_minute,
            max(if(cut > 0, toUnixTimestamp(minute), 0)) OVER so_far AS last_gap
        FROM
        (
            -- from the day's first minute on: a minute's volume is what its total is above all earlier ones
            SELECT date, instrument_token, minute, max(total_high) AS highest, min(total_low) AS lowest, sum(ticks) AS seen, max(gap) AS cut
            FROM tick_data_1min_state
            WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND) AND minute < {to:DateTime64(3, 'Asia/Kolkata')}
                AND (date, instrument_token) IN (SELECT date, instrument_token FROM chosen)
            GROUP BY date, instrument_token, minute
        )
        WINDOW
            earlier AS (PARTITION BY date, instrument_token ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
            so_far AS (PARTITION BY date, instrument_token ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
    WHERE seen > 0 AND minute >= toStartOfMinute({from:DateTime64(3, 'Asia/Kolkata')})
) AS minutes
INNER JOIN chosen USING (date, instrument_token)
ORDER BY minute DESC, total_volume DESC, symbol, exchange
LIMIT {limit:UInt64}
