-- Ticks of a window, by receive time.
SELECT
    symbol, exchange, timestamp, exchange_timestamp, last_price, volume, total_buy_quantity, total_sell_quantity, session_type
FROM tick_data
WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
    AND (toDate({from:DateTime64(3, 'Asia/Kolkata')}) != toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND) OR hour BETWEEN toHour({from:DateTime64(3, 'Asia/Kolkata')}) AND toHour({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND))
    AND timestamp >= {from:DateTime64(3, 'Asia/Kolkata')} AND timestamp < {to:DateTime64(3, 'Asia/Kolkata')}
    -- tokens alone need no look at what had which name
    AND (notEmpty({symbols:Array(String)}) OR {exchange:String} != '' OR instrument_token IN {tokens:Array(UInt32)})
    AND ((empty({symbols:Array(String)}) AND {exchange:String} = '') OR (date, instrument_token) IN
    (
        -- what the names and tokens asked for were on the day
        SELECT date, instrument_token FROM latest_prices
        WHERE latest_prices.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
            AND (has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
    ))
    -- candles of history are no ticks
    AND NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))
ORDER BY timestamp, exchange_timestamp, session, sequence, packet_index
LIMIT {limit:UInt64}
