-- How much of a day is there, by instrument, the poorest first: minutes with ticks between the first and the last, and minutes in
-- which a gap of the feed began or ended.
WITH chosen AS
    (
        -- what the names and tokens asked for were on the day; every instrument where none is asked for
        SELECT instrument_token, max(latest_prices.symbol) AS symbol, max(latest_prices.exchange) AS exchange
        FROM latest_prices
        WHERE latest_prices.date = {date:Date}
            AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
                OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
        GROUP BY instrument_token
    )
SELECT
    chosen.symbol AS symbol, chosen.exchange AS exchange,
    first_minute, last_minute, minutes, span_minutes, longest_silence_minutes, gap_minutes, tick_count
FROM
(
    SELECT
        instrument_token,
        minIf(minute, seen > 0) AS first_minute,
        maxIf(minute, seen > 0) AS last_minute,
        countIf(seen > 0) AS minutes,
        dateDiff('minute', first_minute, last_minute) + 1 AS span_minutes,
        greatest(arrayMax(arrayPopFront(arrayDifference(arraySort(groupArrayIf(toUnixTimestamp(minute), seen > 0))))) / 60 - 1, 0) AS longest_silence_minutes,
        countIf(cut > 0) AS gap_minutes,
        toUInt64(sum(seen)) AS tick_count
    FROM
    (
        SELECT instrument_token, minute, sum(ticks) AS seen, max(gap) AS cut
        FROM tick_data_1min_state
        WHERE date = {date:Date} AND instrument_token IN (SELECT instrument_token FROM chosen)
        GROUP BY instrument_token, minute
    )
    GROUP BY instrument_token
    HAVING minutes > 0
) AS days
INNER JOIN chosen USING (instrument_token)
ORDER BY minutes, symbol, exchange
LIMIT {limit:UInt64}
