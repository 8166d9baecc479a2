-- The volume-weighted average price of a window: each tick's price, weighted by how far the day's running total went with it.
-- day_vwap is the exchange's own of the whole day so far.
SELECT
    any(tick_symbol) AS symbol,
    any(tick_exchange) AS exchange,
    sum(last_price * traded) / nullIf(sum(traded), 0) AS vwap,
    sum(traded) AS traded_volume,
    sum(last_price * traded) AS turnover,
    argMax(day_average, place) AS day_vwap,
    argMin(last_price, place) AS first_price,
    argMax(last_price, place) AS last_price_seen,
    count() AS tick_count
FROM
(
    SELECT
        instrument_token, tick_symbol, tick_exchange, timestamp, last_price, day_average, place,
        -- an earlier total that comes late adds nothing; the day's first tick adds its volume only where it is the first trade
        if(row_number() OVER so_far = 1, if(volume = last_traded_quantity, volume, 0),
            toUInt64(greatest(volume, max(volume) OVER earlier) - max(volume) OVER earlier)) AS traded
    FROM
    (
        SELECT
            instrument_token, date, symbol AS tick_symbol, exchange AS tick_exchange, timestamp, last_price,
            average_traded_price AS day_average, volume, last_traded_quantity,
            (timestamp, session, sequence, packet_index) AS place,
            session_type = 'closed' AS is_closed,
            minIf(timestamp, NOT is_closed) OVER (PARTITION BY instrument_token, date) AS opening
        FROM tick_data
        WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
            AND timestamp < {to:DateTime64(3, 'Asia/Kolkata')}
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
            AND volume > 0 AND NOT snapshot
            AND NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))
    )
    -- before the day's opening Kite may still send the totals of the day before
    WHERE NOT (is_closed AND timestamp < opening)
    WINDOW
        so_far AS (PARTITION BY instrument_token, date ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
        earlier AS (PARTITION BY instrument_token, date ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
WHERE timestamp >= {from:DateTime64(3, 'Asia/Kolkata')}
GROUP BY instrument_token
ORDER BY symbol, exchange
