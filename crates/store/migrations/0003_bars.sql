-- One-minute bars: states that a repeated insert can't spoil, and a view that reads like the brief's table.
--
-- Which ticks: live ones, not candles of history. Which minute: of the exchange's time while that is within ten minutes of
-- the receive time, else of the receive time. Snapshots (cached last values) make no bar; one whose exchange time is known
-- and of the same day gives its running total to the minute of its exchange time.
CREATE TABLE IF NOT EXISTS tick_data_1min_state
(
    instrument_token UInt32 CODEC(Delta, ZSTD(1)),
    date Date CODEC(ZSTD(1)),
    minute DateTime('Asia/Kolkata') CODEC(DoubleDelta, ZSTD(1)),
    -- the first and last price with what orders them in one number, from the highest bit down: time used and receive time (42
    -- bits of milliseconds each), session, sequence (42 each), packet index (16), the price's bits (64). As tuples the same
    -- states cost several times the time: an aggregate over a number is a comparison, one over a tuple allocates
    first SimpleAggregateFunction(min, UInt256) CODEC(ZSTD(1)),
    last SimpleAggregateFunction(max, UInt256) CODEC(ZSTD(1)),
    high SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)),
    low SimpleAggregateFunction(min, Float64) CODEC(ZSTD(1)),
    -- the day's running total, highest and lowest seen in the minute; lowest is 2^64 - 1 where no packet carried one, and 0
    -- where the day's first trade was seen
    total_high SimpleAggregateFunction(max, UInt64) CODEC(ZSTD(1)),
    total_low SimpleAggregateFunction(min, UInt64) CODEC(ZSTD(1)),
    -- ordered like `last`, of packets that carry it
    last_open_interest SimpleAggregateFunction(max, UInt256) CODEC(ZSTD(1)),
    -- a sum: the one state that a repeat spoils and a lost view insert leaves short; mended by a signed correction
    ticks SimpleAggregateFunction(sum, Int64) CODEC(ZSTD(1)),
    -- a gap of the feed began or ended in this minute
    gap SimpleAggregateFunction(max, UInt8) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY date
ORDER BY (instrument_token, minute)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS tick_data_1min_feed TO tick_data_1min_state AS
-- begin of bar states (also run by Store::repair_batch over the minutes of one batch)
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
    toUInt8(0) AS gap
FROM
(
    SELECT
        instrument_token, last_price, volume, last_traded_quantity, open_interest, snapshot,
        if(snapshot OR abs(toUnixTimestamp64Milli(exchange_timestamp) - toUnixTimestamp64Milli(timestamp)) <= 600000,
            exchange_timestamp, timestamp) AS used,
        bitShiftLeft(toUInt256(toUnixTimestamp64Milli(used)), 206)
            + bitShiftLeft(toUInt256(toUnixTimestamp64Milli(timestamp)), 164)
            + bitShiftLeft(toUInt256(bitAnd(session, 4398046511103)), 122)
            + bitShiftLeft(toUInt256(bitAnd(sequence, 4398046511103)), 80)
            + bitShiftLeft(toUInt256(packet_index), 64) AS place,
        -- a flat entry may have any type and leave any field out
        if(stream = '', packet_type IN ('quote', 'full'), volume > 0) AS carries_total,
        if(stream = '', packet_type = 'full', open_interest > 0) AND NOT snapshot AS carries_open_interest
    FROM tick_data
    WHERE (packet_type IN ('ltp', 'quote', 'full', 'index_quote', 'index_full')
            OR (stream != '' AND NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))))
        AND (NOT snapshot
            OR (exchange_timestamp != timestamp AND toDate(exchange_timestamp) = toDate(timestamp)))
)
GROUP BY instrument_token, date, minute
-- end of bar states
;

-- the minutes in which a gap begins and ends; between them there is no bar to mark
CREATE MATERIALIZED VIEW IF NOT EXISTS feed_gaps_1min_feed TO tick_data_1min_state AS
SELECT
    instrument_token,
    toDate(edge) AS date,
    toStartOfMinute(edge) AS minute,
    bitNot(toUInt256(0)) AS first,
    toUInt256(0) AS last,
    -inf AS high,
    inf AS low,
    toUInt64(0) AS total_high,
    18446744073709551615 AS total_low,
    toUInt256(0) AS last_open_interest,
    toInt64(0) AS ticks,
    toUInt8(1) AS gap
FROM
(
    SELECT arrayJoin(tokens) AS instrument_token, arrayJoin([`from`, `to`]) AS edge
    FROM feed_gaps
)
WHERE toUnixTimestamp64Milli(edge) > 0;

-- volume: the last total of the minute less the previous one of the day; where none was seen before, less the lowest of the
-- minute. open_interest: the last one of the day so far.
-- complete: 0 where something is known to be missing: no earlier observation of the day (and the day's first trade not seen),
-- or a gap of the feed that touches the time since the bar before
CREATE VIEW IF NOT EXISTS tick_data_1min AS
SELECT
    instrument_token,
    minute AS timestamp,
    date,
    reinterpretAsFloat64(toUInt64(bitAnd(first, 18446744073709551615))) AS open,
    high,
    low,
    reinterpretAsFloat64(toUInt64(bitAnd(last, 18446744073709551615))) AS last_price,
    if(total_low = 18446744073709551615, 0, greatest(total_high, baseline) - baseline) AS volume,
    toUInt64(bitAnd(day_open_interest, 18446744073709551615)) AS open_interest,
    toUInt64(ticks) AS tick_count,
    toUInt8((has_previous OR total_low = 0 OR (total_low = 18446744073709551615 AND previous_minute > 0))
        AND last_gap <= previous_minute) AS complete
FROM
(
    SELECT
        instrument_token, minute, date, first, last, high, low, total_high, total_low, ticks,
        max(total_low != 18446744073709551615) OVER earlier AS has_previous,
        if(has_previous, max(total_high) OVER earlier, total_low) AS baseline,
        max(if(ticks > 0, toUnixTimestamp(minute), 0)) OVER earlier AS previous_minute,
        max(if(gap, toUnixTimestamp(minute), 0)) OVER so_far AS last_gap,
        max(last_open_interest) OVER so_far AS day_open_interest
    FROM
    (
        SELECT
            instrument_token, minute, date,
            min(first) AS first, max(last) AS last, max(high) AS high, min(low) AS low,
            max(total_high) AS total_high, min(total_low) AS total_low,
            max(last_open_interest) AS last_open_interest, sum(ticks) AS ticks, max(gap) AS gap
        FROM tick_data_1min_state
        GROUP BY instrument_token, minute, date
    )
    WINDOW
        earlier AS (PARTITION BY instrument_token, date ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        so_far AS (PARTITION BY instrument_token, date ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE ticks > 0;
