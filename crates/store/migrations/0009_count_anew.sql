-- As in 0007, and: a count that begins anew. Before the day's opening Kite may still send the running total of the day before, unmarked;
-- an exchange, or somebody on the way, may begin again at 0. Where a minute's total is below that of the minute before, and the next
-- one's is too, the minute is as the first one of a day: what was traded is what its own packets show, and known only if they show the
-- first trade. A single minute below the one before holds late packets only: it adds nothing, and the next goes on from before it.
-- The day's open is that of the last minute which stated one.
CREATE OR REPLACE VIEW tick_data_1min AS
SELECT
    instrument_token,
    minute AS timestamp,
    date,
    if(opens_day, day_open, first_price) AS open,
    multiIf(opens_day, day_high, same_day AND day_high > earlier_day_high, greatest(seen_high, day_high), seen_high) AS high,
    multiIf(opens_day, day_low, same_day AND day_low < earlier_day_low, least(seen_low, day_low), seen_low) AS low,
    closing_price AS last_price,
    if(total_low = 18446744073709551615, 0, greatest(total_high, baseline) - baseline) AS volume,
    toUInt64(bitAnd(day_open_interest, 18446744073709551615)) AS open_interest,
    toUInt64(ticks) AS tick_count,
    toUInt8((has_previous OR total_low = 0 OR (total_low = 18446744073709551615 AND previous_minute > 0)) AND uncut) AS complete
FROM
(
    SELECT
        instrument_token, minute, date, seen_high, seen_low, total_high, total_low, ticks, day_open, day_high, day_low,
        day_open_interest, previous_minute, earlier_day_high, earlier_day_low,
        last_gap <= previous_minute AS uncut,
        reinterpretAsFloat64(toUInt64(bitAnd(first, 18446744073709551615))) AS first_price,
        reinterpretAsFloat64(toUInt64(bitAnd(last, 18446744073709551615))) AS closing_price,
        previous_total != 18446744073709551615
            AND NOT (total_low != 18446744073709551615 AND total_high < previous_total AND next_total < previous_total) AS has_previous,
        multiIf(NOT has_previous, total_low,
            total_before > previous_total AND total_high >= total_before, total_before,
            previous_total) AS baseline,
        total_low != 18446744073709551615 AND total_high > 0 AND baseline = 0 AND (total_low = 0 OR uncut)
            AND day_open > 0 AND closing_price BETWEEN day_low AND day_high AS opens_day,
        uncut AND day_open > 0 AND day_open = earlier_day_open AS same_day
    FROM
    (
        SELECT
            instrument_token, minute, date, first, last, high AS seen_high, low AS seen_low, total_high, total_low, ticks,
            day_open, day_high, day_low,
            -- of the last minute that has one (2^64 - 1: none), the row before the last and the next row
            ifNull(anyLast(if(total_low != 18446744073709551615, total_high, NULL)) OVER earlier, 18446744073709551615) AS previous_total,
            lagInFrame(total_high, 2) OVER so_far AS total_before,
            leadInFrame(total_high) OVER following AS next_total,
            max(if(ticks > 0, toUnixTimestamp(minute), 0)) OVER earlier AS previous_minute,
            max(if(gap, toUnixTimestamp(minute), 0)) OVER so_far AS last_gap,
            max(last_open_interest) OVER so_far AS day_open_interest,
            ifNull(anyLast(if(day_open > 0, day_open, NULL)) OVER earlier, 0) AS earlier_day_open,
            max(day_high) OVER earlier AS earlier_day_high,
            min(day_low) OVER earlier AS earlier_day_low
        FROM
        (
            SELECT
                instrument_token, minute, date,
                min(first) AS first, max(last) AS last, max(high) AS high, min(low) AS low,
                max(total_high) AS total_high, min(total_low) AS total_low,
                max(last_open_interest) AS last_open_interest, sum(ticks) AS ticks, max(gap) AS gap,
                max(day_open) AS day_open, max(day_high) AS day_high, min(day_low) AS day_low
            FROM tick_data_1min_state
            GROUP BY instrument_token, minute, date
        )
        WINDOW
            earlier AS (PARTITION BY instrument_token, date ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
            so_far AS (PARTITION BY instrument_token, date ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
            following AS (PARTITION BY instrument_token, date ORDER BY minute ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)
    )
)
WHERE ticks > 0;
