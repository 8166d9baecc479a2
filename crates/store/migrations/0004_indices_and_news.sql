-- Index values. Fed from the index packets of tick_data, and by whoever publishes to indices:stream. Partitioned by month: values
-- that are published may be of many days, and each partition that a batch touches is an insert of its own.
CREATE TABLE IF NOT EXISTS indices_data
(
    instrument_token UInt32 CODEC(Delta, ZSTD(1)),
    symbol LowCardinality(String) CODEC(ZSTD(1)),
    timestamp DateTime64(3, 'Asia/Kolkata') CODEC(DoubleDelta, ZSTD(1)),
    last_price Float64 CODEC(Delta, ZSTD(1)),
    net_change Float64 CODEC(Delta, ZSTD(1)),
    percent_change Float64 CODEC(Delta, ZSTD(1)),
    open Float64 CODEC(Delta, ZSTD(1)),
    high Float64 CODEC(Delta, ZSTD(1)),
    low Float64 CODEC(Delta, ZSTD(1)),
    -- the previous session's
    close Float64 CODEC(Delta, ZSTD(1)),
    -- an index has none: 0
    volume UInt64 CODEC(ZSTD(1)),
    date Date DEFAULT toDate(timestamp) CODEC(ZSTD(1)),
    hour UInt8 DEFAULT toHour(timestamp) CODEC(ZSTD(1)),
    batch_id UUID CODEC(ZSTD(3)),
    -- identity of a published value: stream, its epoch and the halves of its entry id; empty for one that comes from a tick
    stream LowCardinality(String) CODEC(ZSTD(1)),
    epoch UInt32 CODEC(ZSTD(1)),
    session UInt64 CODEC(ZSTD(1)),
    sequence UInt64 CODEC(ZSTD(1)),
    INDEX timestamp_idx timestamp TYPE minmax GRANULARITY 1,
    PROJECTION batch_rows (SELECT batch_id, stream, toYYYYMM(date), count() GROUP BY batch_id, stream, toYYYYMM(date))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(date)
ORDER BY (symbol, timestamp)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS indices_data_feed TO indices_data AS
-- begin of index values (also run by Store::repair_batch)
SELECT
    instrument_token,
    symbol,
    timestamp,
    last_price,
    net_change,
    if(close_price = 0, 0, net_change / close_price * 100) AS percent_change,
    open_price AS open,
    high_price AS high,
    low_price AS low,
    close_price AS close,
    volume,
    date,
    hour,
    batch_id
FROM tick_data
WHERE packet_type IN ('index_quote', 'index_full')
-- end of index values
;

-- Not partitioned, like `quarantine`: the items of a batch go in with one insert, whatever their dates.
CREATE TABLE IF NOT EXISTS news_data
(
    id String,
    source LowCardinality(String),
    title String CODEC(ZSTD(1)),
    content String CODEC(ZSTD(1)),
    link String CODEC(ZSTD(1)),
    published_at DateTime64(3, 'Asia/Kolkata'),
    -- what the item is about: as published, else found in the title
    symbols Array(String),
    -- -1 to +1
    sentiment Float32,
    sentiment_confidence Float32,
    categories Array(String),
    date Date DEFAULT toDate(published_at),
    processed_at DateTime64(3, 'UTC') DEFAULT now64(3),
    batch_id UUID,
    -- identity: stream, its epoch and the halves of its entry id
    stream LowCardinality(String),
    epoch UInt32,
    session UInt64,
    sequence UInt64
)
ENGINE = MergeTree
ORDER BY (published_at, source, id)
SETTINGS non_replicated_deduplication_window = 1000;
