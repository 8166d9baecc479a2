-- Open interest by minute, the newest first: the minute's last, its change from the minute before that had one, and the highest and
-- lowest of the day so far (of the minutes' last: Kite's own oi_day_high and oi_day_low are often 0).
WITH chosen AS
    (
        -- what the names and tokens asked for were on each day; every instrument where none is asked for
        SELECT date, instrument_token, max(latest_prices.symbol) AS symbol, max(latest_prices.exchange) AS exchange
        FROM latest_prices
        WHERE latest_prices.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
            AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
                OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
        GROUP BY date, instrument_token
    )
SELECT
    chosen.symbol AS symbol, chosen.exchange AS exchange, minute,
    current_oi,
    if(is_first, NULL, toInt64(current_oi) - toInt64(previous_oi)) AS change,
    day_high_oi, day_low_oi
FROM
(
    SELECT
        date, instrument_token, minute,
        toUInt64(bitAnd(state, 18446744073709551615)) AS current_oi,
        row_number() OVER so_far = 1 AS is_first,
        lagInFrame(current_oi) OVER so_far AS previous_oi,
        max(current_oi) OVER so_far AS day_high_oi,
        min(current_oi) OVER so_far AS day_low_oi
    FROM
    (
        -- what orders it stands in the bits above the value
        SELECT instrument_token, toDate(minute) AS date, minute, max(last_open_interest) AS state
        FROM tick_data_1min_state
        WHERE tick_data_1min_state.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
            AND minute < {to:DateTime64(3, 'Asia/Kolkata')} AND last_open_interest > 0
            AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}) AND {exchange:String} = '') OR (tick_data_1min_state.date, instrument_token) IN (SELECT date, instrument_token FROM chosen))
        GROUP BY instrument_token, minute
        HAVING bitAnd(state, 18446744073709551615) > 0
    )
    WINDOW so_far AS (PARTITION BY instrument_token, date ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
) AS minutes
INNER JOIN chosen USING (date, instrument_token)
WHERE minute >= toStartOfMinute({from:DateTime64(3, 'Asia/Kolkata')})
ORDER BY minute DESC, instrument_token
LIMIT {limit:UInt64}
