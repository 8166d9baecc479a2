-- Ticks of a window, by receive time.
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
    symbol, exchange, timestamp, exchange_timestamp, last_price, volume, total_buy_quantity, total_sell_quantity, session_type
FROM tick_data
WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')})
    AND (toDate({from:DateTime64(3, 'Asia/Kolkata')}) != toDate({to:DateTime64(3, 'Asia/Kolkata')}) OR hour BETWEEN toHour({from:DateTime64(3, 'Asia/Kolkata')}) AND toHour({to:DateTime64(3, 'Asia/Kolkata')}))
    AND timestamp >= {from:DateTime64(3, 'Asia/Kolkata')} AND timestamp < {to:DateTime64(3, 'Asia/Kolkata')}
    AND instrument_token IN (SELECT instrument_token FROM chosen)
    -- candles of history are no ticks
    AND NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))
ORDER BY timestamp, exchange_timestamp, session, sequence, packet_index
LIMIT {limit:UInt64}
