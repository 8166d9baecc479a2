-- Which instruments rose most, against the previous close: a rise above the day's low is 0 or more for everything. The day's low and
-- high are the exchange's, which know trades between two ticks.
SELECT
    max(latest_prices.symbol) AS symbol,
    any(latest_prices.exchange) AS exchange,
    argMax(last_price, place) AS current_price,
    -- the last that says so: before the opening Kite may still send those of the day before
    argMaxIf(close_price, place, close_price > 0) AS previous_close,
    argMaxIf(low_price, place, low_price > 0) AS day_low,
    argMaxIf(high_price, place, high_price > 0) AS day_high,
    (current_price - previous_close) / previous_close * 100 AS gain_pct,
    greatest(maxIf(volume, session_type != 'closed'),
        if(maxIf(place, session_type = 'closed') > maxIf(place, session_type != 'closed'), argMaxIf(volume, place, session_type = 'closed'), 0)) AS day_volume
FROM latest_prices
WHERE date = {date:Date}
    AND ({session:String} = 'any' OR session_type = {session:String})
    AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
        OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
    AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
GROUP BY instrument_token
-- what did not trade has not risen; an index has no volume
HAVING previous_close > 0 AND (day_volume > 0 OR countIf(packet_type IN ('index_quote', 'index_full')) > 0)
ORDER BY gain_pct DESC, symbol, exchange
LIMIT {limit:UInt64}
