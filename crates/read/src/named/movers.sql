-- Which instruments moved most within a window, up or down: from its first price to its last.
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
SELECT
    chosen.symbol AS symbol, chosen.exchange AS exchange,
    reinterpretAsFloat64(toUInt64(bitAnd(min(earliest), 18446744073709551615))) AS first_price,
    reinterpretAsFloat64(toUInt64(bitAnd(max(latest), 18446744073709551615))) AS last_price,
    (last_price - first_price) / first_price * 100 AS change_pct,
    max(highest) AS high, min(lowest) AS low, sum(seen) AS tick_count
FROM
(
    -- what orders the prices stands in the bits above them
    SELECT
        date, instrument_token, min(first) AS earliest, max(last) AS latest, max(high) AS highest, min(low) AS lowest,
        toUInt64(sum(ticks)) AS seen
    FROM tick_data_1min_state
    WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
        AND minute >= toStartOfMinute({from:DateTime64(3, 'Asia/Kolkata')}) AND minute < {to:DateTime64(3, 'Asia/Kolkata')}
    GROUP BY date, instrument_token
    HAVING seen > 0
) AS moved
INNER JOIN chosen USING (date, instrument_token)
GROUP BY instrument_token, symbol, exchange
HAVING first_price > 0
ORDER BY abs(change_pct) DESC, symbol, exchange
LIMIT {limit:UInt64}
