-- Which instruments moved most within a window, up or down: from its first price to its last.
WITH chosen AS
    (
        -- what the names and tokens asked for were on the day; every instrument where none is asked for
        SELECT instrument_token, max(latest_prices.symbol) AS symbol, max(latest_prices.exchange) AS exchange
        FROM latest_prices
        WHERE latest_prices.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')})
            AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
                OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
        GROUP BY instrument_token
    )
SELECT
    chosen.symbol AS symbol, chosen.exchange AS exchange,
    reinterpretAsFloat64(toUInt64(bitAnd(earliest, 18446744073709551615))) AS first_price,
    reinterpretAsFloat64(toUInt64(bitAnd(latest, 18446744073709551615))) AS last_price,
    (last_price - first_price) / first_price * 100 AS change_pct,
    highest AS high, lowest AS low, tick_count
FROM
(
    -- what orders the prices stands in the bits above them
    SELECT
        instrument_token, min(first) AS earliest, max(last) AS latest, max(high) AS highest, min(low) AS lowest,
        toUInt64(sum(ticks)) AS tick_count
    FROM tick_data_1min_state
    WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')})
        AND minute >= toStartOfMinute({from:DateTime64(3, 'Asia/Kolkata')}) AND minute < {to:DateTime64(3, 'Asia/Kolkata')}
    GROUP BY instrument_token
    HAVING tick_count > 0
) AS moved
INNER JOIN chosen USING (instrument_token)
WHERE first_price > 0
ORDER BY abs(change_pct) DESC, symbol, exchange
LIMIT {limit:UInt64}
