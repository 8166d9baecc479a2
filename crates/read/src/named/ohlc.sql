-- One-minute bars. Open, high, low and close come from the minute's prices: open_price, high_price,
-- low_price and close_price of a tick are the day's (and the previous day's), its volume is a running total.
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
    transform(bitShiftLeft(toUInt64(date), 32) + instrument_token, chosen.2, chosen.3, '') AS symbol,
    transform(bitShiftLeft(toUInt64(date), 32) + instrument_token, chosen.2, chosen.4, '') AS exchange,
    timestamp AS minute,
    open, high, low, last_price AS close, volume, open_interest, tick_count, complete
FROM tick_data_1min
WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
    AND timestamp >= toStartOfMinute({from:DateTime64(3, 'Asia/Kolkata')}) AND timestamp < {to:DateTime64(3, 'Asia/Kolkata')}
    AND has(chosen.1, instrument_token)
    AND has(chosen.2, bitShiftLeft(toUInt64(date), 32) + instrument_token)
ORDER BY minute, symbol, exchange
LIMIT {limit:UInt64}
