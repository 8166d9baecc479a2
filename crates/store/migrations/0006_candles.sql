-- Historical candles: from Kite's REST, or from files. A later value of the same candle replaces the earlier one: read with FINAL,
-- or argMax(..., processed_at). Never mixed with the bars made from ticks (tick_data_1min).
CREATE TABLE IF NOT EXISTS candles
(
    instrument_token UInt32 CODEC(Delta, ZSTD(1)),
    -- as the token was known on the candle's day
    symbol LowCardinality(String) CODEC(ZSTD(1)),
    exchange LowCardinality(String) CODEC(ZSTD(1)),
    -- Kite's word: minute, 3minute, ..., 60minute, day; continuous_day is the series that runs through expired contracts of a
    -- future, under the token of the contract that it was asked with
    interval LowCardinality(String) CODEC(ZSTD(1)),
    -- the candle's begin; of a day its midnight
    timestamp DateTime('Asia/Kolkata') CODEC(DoubleDelta, ZSTD(1)),
    open Float64 CODEC(Delta, ZSTD(1)),
    high Float64 CODEC(Delta, ZSTD(1)),
    low Float64 CODEC(Delta, ZSTD(1)),
    close Float64 CODEC(Delta, ZSTD(1)),
    -- of the candle, not of the day
    volume UInt64 CODEC(ZSTD(1)),
    open_interest UInt64 CODEC(ZSTD(1)),
    date Date DEFAULT toDate(timestamp) CODEC(ZSTD(1)),
    processed_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(processed_at)
PARTITION BY toYear(date)
ORDER BY (instrument_token, interval, timestamp);

-- What was asked of Kite's historical REST and is stored: whole days, the last one included, none of which was still going on when it
-- was asked. What stands here is not asked again.
CREATE TABLE IF NOT EXISTS backfill_progress
(
    instrument_token UInt32,
    interval LowCardinality(String),
    `from` Date,
    `to` Date,
    -- 0 is an answer too: no trade, or the exchange was closed
    candles UInt32,
    asked_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(asked_at)
ORDER BY (instrument_token, interval, `from`, `to`);

-- Which windows of feed_gaps were filled with candles afterwards, per instrument. feed_gaps itself is only ever added to; its first
-- columns name the gap.
CREATE TABLE IF NOT EXISTS gap_fills
(
    recorder LowCardinality(String),
    session UInt64,
    socket UInt16,
    sequence UInt64,
    stream LowCardinality(String),
    epoch UInt32,
    instrument_token UInt32,
    interval LowCardinality(String),
    `from` DateTime64(3, 'Asia/Kolkata'),
    `to` DateTime64(3, 'Asia/Kolkata'),
    candles UInt32,
    filled_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(filled_at)
ORDER BY (recorder, stream, socket, session, sequence, epoch, instrument_token, interval);
