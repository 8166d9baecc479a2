-- The last price of each instrument on a day, the latest first.
SELECT
    max(latest_prices.symbol) AS symbol,
    any(latest_prices.exchange) AS exchange,
    instrument_token,
    argMax(last_price, place) AS latest_price,
    -- of the last that says so: before the opening Kite may still send those of the day before, with its total
    latest_price - nullIf(argMaxIf(close_price, place, close_price > 0), 0) AS change,
    change / nullIf(argMaxIf(close_price, place, close_price > 0), 0) * 100 AS change_pct,
    greatest(maxIf(volume, session_type != 'closed'),
        if(maxIf(place, session_type = 'closed') > maxIf(place, session_type != 'closed'), argMaxIf(volume, place, session_type = 'closed'), 0)) AS latest_volume,
    argMaxIf(open_interest, place, packet_type NOT IN ('ltp', 'quote')) AS latest_open_interest,
    max(exchange_timestamp) AS last_update
FROM latest_prices
WHERE date = {date:Date}
    AND ({session:String} = 'any' OR session_type = {session:String})
    AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
        OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
    AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
GROUP BY instrument_token
ORDER BY last_update DESC, symbol, exchange
LIMIT {limit:UInt64}
