-- The order book as the day's last packet with one has it, five levels.
WITH books AS
    (
        -- latest_prices knows when the last packet came that may have one, so one granule of tick_data is read for it
        SELECT instrument_token, argMax(timestamp, place) AS timestamp
        FROM latest_prices
        WHERE date = {date:Date} AND packet_type NOT IN ('ltp', 'quote', 'index_quote', 'index_full')
            AND (notEmpty({symbols:Array(String)}) OR instrument_token IN {tokens:Array(UInt32)})
            AND (has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
        GROUP BY instrument_token
    ),
    moments AS
    (
        SELECT instrument_token, timestamp FROM books
        UNION ALL
        -- where that book is empty, as after the close: the last one of the day that is not
        SELECT
            instrument_token,
            argMax(tick_data.timestamp,
                (if(snapshot OR abs(toUnixTimestamp64Milli(exchange_timestamp) - toUnixTimestamp64Milli(tick_data.timestamp)) <= 600000,
                    exchange_timestamp, tick_data.timestamp), tick_data.timestamp, session, sequence, packet_index)) AS timestamp
        FROM tick_data
        WHERE date = {date:Date} AND (bid_1_price > 0 OR ask_1_price > 0)
            AND (NOT snapshot OR toDate(exchange_timestamp) = date)
            AND instrument_token IN
            (
                SELECT instrument_token
                FROM tick_data
                WHERE date = {date:Date} AND (instrument_token, timestamp) IN (SELECT instrument_token, timestamp FROM books)
                GROUP BY instrument_token
                HAVING max(greatest(bid_1_price, ask_1_price)) <= 0
            )
        GROUP BY instrument_token
    )
SELECT
    symbol, exchange, timestamp, level,
    bid_orders, bid_quantity, bid_price, ask_price, ask_quantity, ask_orders,
    -- not bid - ask, which is minus the spread
    if(bid_1_price > 0 AND ask_1_price > 0, ask_1_price - bid_1_price, NULL) AS spread
FROM
(
    SELECT
        instrument_token, symbol, exchange, timestamp, exchange_timestamp, session, sequence, packet_index,
        bid_1_price, bid_1_quantity, bid_1_orders, bid_2_price, bid_2_quantity, bid_2_orders, bid_3_price, bid_3_quantity, bid_3_orders, bid_4_price, bid_4_quantity, bid_4_orders, bid_5_price, bid_5_quantity, bid_5_orders,
        ask_1_price, ask_1_quantity, ask_1_orders, ask_2_price, ask_2_quantity, ask_2_orders, ask_3_price, ask_3_quantity, ask_3_orders, ask_4_price, ask_4_quantity, ask_4_orders, ask_5_price, ask_5_quantity, ask_5_orders
    FROM tick_data
    WHERE date = {date:Date} AND (instrument_token, timestamp) IN (SELECT instrument_token, timestamp FROM moments)
        AND (bid_1_price > 0 OR ask_1_price > 0)
    ORDER BY instrument_token, exchange_timestamp DESC, session DESC, sequence DESC, packet_index DESC
    LIMIT 1 BY instrument_token
)
ARRAY JOIN
    [1, 2, 3, 4, 5] AS level,
    [bid_1_orders, bid_2_orders, bid_3_orders, bid_4_orders, bid_5_orders] AS bid_orders,
    [bid_1_quantity, bid_2_quantity, bid_3_quantity, bid_4_quantity, bid_5_quantity] AS bid_quantity,
    [bid_1_price, bid_2_price, bid_3_price, bid_4_price, bid_5_price] AS bid_price,
    [ask_1_price, ask_2_price, ask_3_price, ask_4_price, ask_5_price] AS ask_price,
    [ask_1_quantity, ask_2_quantity, ask_3_quantity, ask_4_quantity, ask_5_quantity] AS ask_quantity,
    [ask_1_orders, ask_2_orders, ask_3_orders, ask_4_orders, ask_5_orders] AS ask_orders
WHERE bid_price > 0 OR ask_price > 0
ORDER BY symbol, exchange, level
