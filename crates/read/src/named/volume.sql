-- The day's volume by instrument. `volume` is a running total: the last one is the day's, a sum of them is nothing.
WITH busiest AS
    (
        SELECT
            max(latest_prices.symbol) AS symbol,
            any(latest_prices.exchange) AS exchange,
            instrument_token,
            -- before the opening Kite may still send the total of the day before
            greatest(maxIf(volume, session_type != 'closed'),
                if(maxIf(place, session_type = 'closed') > maxIf(place, session_type != 'closed'), argMaxIf(volume, place, session_type = 'closed'), 0)) AS total_volume,
            argMaxIf(total_buy_quantity, place, packet_type NOT IN ('ltp')) AS total_buy,
            argMaxIf(total_sell_quantity, place, packet_type NOT IN ('ltp')) AS total_sell
        FROM latest_prices
        WHERE date = {date:Date}
            AND ({session:String} = 'any' OR session_type = {session:String})
            AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
                OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
        GROUP BY instrument_token
        ORDER BY total_volume DESC, instrument_token
        LIMIT {limit:UInt64}
    )
SELECT symbol, exchange, instrument_token, total_volume, total_buy, total_sell, tick_count
FROM busiest
LEFT JOIN
(
    SELECT instrument_token, count() AS tick_count
    FROM tick_data
    WHERE date = {date:Date}
        AND instrument_token IN (SELECT instrument_token FROM busiest)
        AND ({session:String} = 'any' OR session_type = {session:String})
        -- candles of history are no ticks
        AND NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))
    GROUP BY instrument_token
) AS counted USING (instrument_token)
ORDER BY total_volume DESC, instrument_token
