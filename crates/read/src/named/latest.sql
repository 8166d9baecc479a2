-- The last price of each instrument on a day, the latest first.
SELECT
    max(latest_prices.symbol) AS symbol,
    any(latest_prices.exchange) AS exchange,
    instrument_token,
    argMax(last_price, place) AS latest_price,
    latest_price - nullIf(max(close_price), 0) AS change,
    change / nullIf(max(close_price), 0) * 100 AS change_pct,
    max(volume) AS latest_volume,
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
