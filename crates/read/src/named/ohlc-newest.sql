-- One-minute bars, the newest so many of the window. Open, high, low and close come from the minute's prices: open_price, high_price,
-- low_price and close_price of a tick are the day's (and the previous day's), its volume is a running total.
WITH
    -- values, which are computed once (a subquery is, wherever it is named), and which find rows by key as arguments of has()
    (
        SELECT groupArray((instrument_token, minute))
        FROM
        (
            -- a minute has a row in each part that is not merged yet, and rarely in more than a dozen
            SELECT DISTINCT instrument_token, minute
            FROM
            (
                SELECT instrument_token, minute
                FROM tick_data_1min_state
                WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
                    AND minute >= toStartOfMinute({from:DateTime64(3, 'Asia/Kolkata')}) AND minute < {to:DateTime64(3, 'Asia/Kolkata')}
                    AND ticks > 0
                    AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}) AND {exchange:String} = '') OR (date, instrument_token) IN
                    (
                        SELECT date, instrument_token FROM latest_prices
                        WHERE latest_prices.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
                            AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
                                OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
                            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
                    ))
                ORDER BY minute DESC, instrument_token
                LIMIT {limit:UInt64} * 32
            )
            ORDER BY minute DESC, instrument_token
            LIMIT {limit:UInt64}
        )
    ) AS newest,
    -- what the tokens were on each day
    (
        SELECT (groupArray(bitShiftLeft(toUInt64(date), 32) + instrument_token), groupArray(symbol), groupArray(exchange))
        FROM
        (
            SELECT date, instrument_token, toString(max(latest_prices.symbol)) AS symbol, toString(max(latest_prices.exchange)) AS exchange
            FROM latest_prices
            WHERE latest_prices.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
                AND has(newest.1, instrument_token)
            GROUP BY date, instrument_token
        )
    ) AS names
SELECT
    transform(bitShiftLeft(toUInt64(date), 32) + instrument_token, names.1, names.2, '') AS symbol,
    transform(bitShiftLeft(toUInt64(date), 32) + instrument_token, names.1, names.3, '') AS exchange,
    timestamp AS minute,
    open, high, low, last_price AS close, volume, open_interest, tick_count, complete
FROM tick_data_1min
WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
    AND has(newest.1, instrument_token)
    AND has(newest, (instrument_token, timestamp))
ORDER BY minute, symbol, exchange
