-- The day's own open, high and low, as the packets of a minute state them. They show trades between two packets: where the day's high
-- rose above any last price that was seen, somebody traded there. Defaults are neutral, so old rows and the rows that gaps make
-- say nothing of them.
ALTER TABLE tick_data_1min_state
    ADD COLUMN IF NOT EXISTS day_open SimpleAggregateFunction(max, Float64) DEFAULT 0 CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS day_high SimpleAggregateFunction(max, Float64) DEFAULT 0 CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS day_low SimpleAggregateFunction(min, Float64) DEFAULT inf CODEC(ZSTD(1));

-- As 0003 has it, and the three columns. Only packets that a trade of this day stands behind state the day: before the first one
-- Kite may still send those of the day before.
ALTER TABLE tick_data_1min_feed MODIFY QUERY
-- begin of bar states (also run by Store::repair_batch over the minutes of one batch, and by bar_states over seconds)
SELECT
    instrument_token,
    toDate(used) AS date,
    toStartOfMinute(used) AS minute,
    min(if(snapshot, bitNot(toUInt256(0)), bitOr(place, toUInt256(reinterpretAsUInt64(last_price))))) AS first,
    max(if(snapshot, toUInt256(0), bitOr(place, toUInt256(reinterpretAsUInt64(last_price))))) AS last,
    max(if(snapshot, -inf, last_price)) AS high,
    min(if(snapshot, inf, last_price)) AS low,
    max(if(carries_total, volume, 0)) AS total_high,
    min(multiIf(NOT carries_total, 18446744073709551615, volume = last_traded_quantity, 0, volume)) AS total_low,
    max(if(carries_open_interest, bitOr(place, toUInt256(open_interest)), toUInt256(0))) AS last_open_interest,
    toInt64(countIf(NOT snapshot)) AS ticks,
    toUInt8(0) AS gap,
    max(if(states_day, open_price, 0)) AS day_open,
    max(if(states_day, high_price, 0)) AS day_high,
    min(if(states_day AND low_price > 0, low_price, inf)) AS day_low
FROM
(
    SELECT
        instrument_token, last_price, open_price, high_price, low_price, volume, last_traded_quantity, open_interest, snapshot,
        if(snapshot OR abs(toUnixTimestamp64Milli(exchange_timestamp) - toUnixTimestamp64Milli(timestamp)) <= 600000,
            exchange_timestamp, timestamp) AS used,
        bitShiftLeft(toUInt256(toUnixTimestamp64Milli(used)), 206)
            + bitShiftLeft(toUInt256(toUnixTimestamp64Milli(timestamp)), 164)
            + bitShiftLeft(toUInt256(bitAnd(session, 4398046511103)), 122)
            + bitShiftLeft(toUInt256(bitAnd(sequence, 4398046511103)), 80)
            + bitShiftLeft(toUInt256(packet_index), 64) AS place,
        -- a flat entry may have any type and leave any field out
        if(stream = '', packet_type IN ('quote', 'full'), volume > 0) AS carries_total,
        if(stream = '', packet_type = 'full', open_interest > 0) AND NOT snapshot AS carries_open_interest,
        NOT snapshot AND open_price > 0 AND (volume > 0 OR (stream = '' AND packet_type IN ('index_quote', 'index_full'))) AS states_day
    FROM tick_data
    WHERE (packet_type IN ('ltp', 'quote', 'full', 'index_quote', 'index_full')
            OR (stream != '' AND NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))))
        AND (NOT snapshot
            OR (exchange_timestamp != timestamp AND toDate(exchange_timestamp) = toDate(timestamp)))
)
GROUP BY instrument_token, date, minute
-- end of bar states
;

-- What the ticks that are there state, day by day (`each_date`: run for each date of tick_data). Highest and lowest: a repeat
-- changes nothing.
INSERT INTO tick_data_1min_state (instrument_token, date, minute, first, last, high, low, total_low, day_open, day_high, day_low)
SELECT
    instrument_token, toDate(used) AS day, toStartOfMinute(used) AS minute,
    bitNot(toUInt256(0)), toUInt256(0), -inf, inf, 18446744073709551615,
    max(open_price), max(high_price), min(if(low_price > 0, low_price, inf))
FROM
(
    SELECT
        instrument_token, open_price, high_price, low_price,
        if(abs(toUnixTimestamp64Milli(exchange_timestamp) - toUnixTimestamp64Milli(timestamp)) <= 600000,
            exchange_timestamp, timestamp) AS used
    FROM tick_data
    WHERE date = '{each_date}' AND NOT snapshot AND open_price > 0
        AND (packet_type IN ('index_quote', 'index_full') AND stream = '' OR volume > 0)
        AND (packet_type IN ('ltp', 'quote', 'full', 'index_quote', 'index_full')
            OR (stream != '' AND NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))))
)
GROUP BY instrument_token, day, minute;

-- As in 0003, and: open, high and low take the day's own into account. Where the day's first trade is known to lie in the minute,
-- they are the day's (before it packets show the price of the day before). Where the day's high or low has moved since the minute
-- before beyond any price that was seen, and no gap lies between, they are in this minute.
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
        *,
        last_gap <= previous_minute AS uncut,
        reinterpretAsFloat64(toUInt64(bitAnd(first, 18446744073709551615))) AS first_price,
        reinterpretAsFloat64(toUInt64(bitAnd(last, 18446744073709551615))) AS closing_price,
        total_low != 18446744073709551615 AND total_high > 0 AND baseline = 0 AND (total_low = 0 OR uncut)
            AND day_open > 0 AND closing_price BETWEEN day_low AND day_high AS opens_day,
        uncut AND day_open > 0 AND day_open = earlier_day_open AS same_day
    FROM
    (
        SELECT
            instrument_token, minute, date, first, last, high AS seen_high, low AS seen_low, total_high, total_low, ticks,
            day_open, day_high, day_low,
            max(total_low != 18446744073709551615) OVER earlier AS has_previous,
            if(has_previous, max(total_high) OVER earlier, total_low) AS baseline,
            max(if(ticks > 0, toUnixTimestamp(minute), 0)) OVER earlier AS previous_minute,
            max(if(gap, toUnixTimestamp(minute), 0)) OVER so_far AS last_gap,
            max(last_open_interest) OVER so_far AS day_open_interest,
            max(day_open) OVER earlier AS earlier_day_open,
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
            so_far AS (PARTITION BY instrument_token, date ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
)
WHERE ticks > 0;
