-- The latest tick of each instrument and day: what "latest prices of everything" reads instead of the day's ticks. Columns are named as in
-- tick_data and mean the same.
--
-- Which tick is the latest is one number, `place`: the time used, the receive time (42 bits of milliseconds each), the sequence (28
-- bits) and the packet index (16). As for bars the time used is the exchange's while that is within ten minutes of the receive
-- time, else the receive time; candles of history are no ticks; a snapshot (cached last value) counts by its exchange time where
-- that is known and of the same day. A row of a lower place never replaces one of a higher, whenever it comes, and the same row
-- twice is one: so a repeated insert spoils nothing, and whoever is unsure writes the rows again.
--
-- The view gives every tick, and the engine keeps one of each block, key and place as it writes the block (optimize_on_insert): 25 ms
-- for 97,000 ticks of 9,000 instruments, where a GROUP BY with an argMax for each column took 56.
--
-- session_type stands in the key so that the last price of the regular session stays to be read when later ones come; packet_type,
-- because a packet of less detail says nothing of the columns it lacks, which then come from the last that has them. Rows that a
-- later one replaces are there until parts merge: read with argMax(…, place), as `tickhouse query latest --sql` shows, or FINAL.
-- No codecs: with ZSTD reading a dozen fresh parts took half as long again, and a day has 2 MB.
CREATE TABLE IF NOT EXISTS latest_prices
(
    date Date,
    instrument_token UInt32,
    session_type Enum8('pre_market' = 1, 'regular' = 2, 'post_market' = 3, 'closed' = 4),
    packet_type LowCardinality(String),
    symbol LowCardinality(String),
    exchange LowCardinality(String),
    timestamp DateTime64(3, 'Asia/Kolkata'),
    exchange_timestamp DateTime64(3, 'Asia/Kolkata'),
    last_price Float64,
    -- of the day; close_price is the previous session's
    open_price Float64,
    high_price Float64,
    low_price Float64,
    close_price Float64,
    average_traded_price Float64,
    -- the day's running total
    volume UInt64,
    total_buy_quantity UInt64,
    total_sell_quantity UInt64,
    open_interest UInt64,
    place UInt128
)
ENGINE = ReplacingMergeTree(place)
PARTITION BY date
ORDER BY (date, session_type, instrument_token, packet_type)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS latest_prices_feed TO latest_prices AS
-- begin of latest prices (also run by Store::repair_batch over the rows of one batch, and below over all)
SELECT
    toDate(if(snapshot OR abs(toUnixTimestamp64Milli(exchange_timestamp) - toUnixTimestamp64Milli(timestamp)) <= 600000,
        exchange_timestamp, timestamp) AS used) AS date,
    instrument_token, session_type, packet_type, symbol, exchange, timestamp, exchange_timestamp,
    last_price, open_price, high_price, low_price, close_price, average_traded_price,
    volume, total_buy_quantity, total_sell_quantity, open_interest,
    bitShiftLeft(toUInt128(toUnixTimestamp64Milli(used)), 86)
        + bitShiftLeft(toUInt128(toUnixTimestamp64Milli(timestamp)), 44)
        + toUInt128(bitShiftLeft(bitAnd(sequence, 268435455), 16) + packet_index) AS place
FROM tick_data
WHERE (packet_type IN ('ltp', 'quote', 'full', 'index_quote', 'index_full')
        OR (stream != '' AND NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))))
    AND (NOT snapshot
        OR (exchange_timestamp != timestamp AND toDate(exchange_timestamp) = toDate(timestamp)))
-- end of latest prices
;

-- How many ticks of which quality and session there are, and when the first and the last came: a few rows per part instead of all
-- ticks. What was stored before stays as it is and is read in full.
ALTER TABLE tick_data
    ADD PROJECTION IF NOT EXISTS quality_rows
    (
        SELECT date, hour, data_quality, session_type, count(), min(timestamp), max(timestamp)
        GROUP BY date, hour, data_quality, session_type
    );

-- what was stored before, day by day
INSERT INTO latest_prices
SELECT
    toDate(if(snapshot OR abs(toUnixTimestamp64Milli(exchange_timestamp) - toUnixTimestamp64Milli(timestamp)) <= 600000,
        exchange_timestamp, timestamp) AS used) AS date,
    instrument_token, session_type, packet_type, symbol, exchange, timestamp, exchange_timestamp,
    last_price, open_price, high_price, low_price, close_price, average_traded_price,
    volume, total_buy_quantity, total_sell_quantity, open_interest,
    bitShiftLeft(toUInt128(toUnixTimestamp64Milli(used)), 86)
        + bitShiftLeft(toUInt128(toUnixTimestamp64Milli(timestamp)), 44)
        + toUInt128(bitShiftLeft(bitAnd(sequence, 268435455), 16) + packet_index) AS place
FROM tick_data
WHERE date = '{each_date}'
    AND (packet_type IN ('ltp', 'quote', 'full', 'index_quote', 'index_full')
        OR (stream != '' AND NOT (packet_type LIKE 'candle%' OR packet_type LIKE '%minute' OR packet_type IN ('day', 'week', 'month', 'hour', 'import'))))
    AND (NOT snapshot
        OR (exchange_timestamp != timestamp AND toDate(exchange_timestamp) = toDate(timestamp)));
