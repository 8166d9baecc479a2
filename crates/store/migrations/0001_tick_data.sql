-- Every tick. The brief's columns first, in its order and with its types; what was added stands behind them.
-- Codecs were chosen by measurement: docs/schema-codecs.md.
CREATE TABLE IF NOT EXISTS tick_data
(
    instrument_token UInt32 CODEC(ZSTD(1)),
    symbol LowCardinality(String) CODEC(ZSTD(1)),
    exchange LowCardinality(String) CODEC(ZSTD(1)),
    -- when the recorder received it; partitions and order follow this one
    timestamp DateTime64(3, 'Asia/Kolkata') CODEC(DoubleDelta, ZSTD(1)),
    -- what the exchange says, in whole seconds; the receive time where it says nothing
    exchange_timestamp DateTime64(3, 'Asia/Kolkata') CODEC(DoubleDelta, ZSTD(1)),

    last_price Float64 CODEC(Delta, ZSTD(1)),
    -- of the day, not of the tick; close_price is the previous session's
    open_price Float64 CODEC(ZSTD(1)),
    high_price Float64 CODEC(ZSTD(1)),
    low_price Float64 CODEC(ZSTD(1)),
    close_price Float64 CODEC(ZSTD(1)),
    average_traded_price Float64 CODEC(Delta, ZSTD(1)),

    -- the day's running total
    volume UInt64 CODEC(Delta, ZSTD(1)),
    last_traded_quantity UInt32 CODEC(ZSTD(1)),
    total_buy_quantity UInt64 CODEC(Delta, ZSTD(3)),
    total_sell_quantity UInt64 CODEC(Delta, ZSTD(3)),
    open_interest UInt64 CODEC(ZSTD(1)),
    oi_day_high UInt64 CODEC(ZSTD(1)),
    oi_day_low UInt64 CODEC(ZSTD(1)),

    bid_1_price Float64 CODEC(Delta, ZSTD(1)), bid_1_quantity UInt32 CODEC(ZSTD(1)), bid_1_orders UInt16 CODEC(T64, ZSTD(1)),
    bid_2_price Float64 CODEC(Delta, ZSTD(1)), bid_2_quantity UInt32 CODEC(ZSTD(1)), bid_2_orders UInt16 CODEC(T64, ZSTD(1)),
    bid_3_price Float64 CODEC(Delta, ZSTD(1)), bid_3_quantity UInt32 CODEC(ZSTD(1)), bid_3_orders UInt16 CODEC(T64, ZSTD(1)),
    bid_4_price Float64 CODEC(Delta, ZSTD(1)), bid_4_quantity UInt32 CODEC(ZSTD(1)), bid_4_orders UInt16 CODEC(T64, ZSTD(1)),
    bid_5_price Float64 CODEC(Delta, ZSTD(1)), bid_5_quantity UInt32 CODEC(ZSTD(1)), bid_5_orders UInt16 CODEC(T64, ZSTD(1)),

    ask_1_price Float64 CODEC(Delta, ZSTD(1)), ask_1_quantity UInt32 CODEC(ZSTD(1)), ask_1_orders UInt16 CODEC(T64, ZSTD(1)),
    ask_2_price Float64 CODEC(Delta, ZSTD(1)), ask_2_quantity UInt32 CODEC(ZSTD(1)), ask_2_orders UInt16 CODEC(T64, ZSTD(1)),
    ask_3_price Float64 CODEC(Delta, ZSTD(1)), ask_3_quantity UInt32 CODEC(ZSTD(1)), ask_3_orders UInt16 CODEC(T64, ZSTD(1)),
    ask_4_price Float64 CODEC(Delta, ZSTD(1)), ask_4_quantity UInt32 CODEC(ZSTD(1)), ask_4_orders UInt16 CODEC(T64, ZSTD(1)),
    ask_5_price Float64 CODEC(Delta, ZSTD(1)), ask_5_quantity UInt32 CODEC(ZSTD(1)), ask_5_orders UInt16 CODEC(T64, ZSTD(1)),

    packet_type LowCardinality(String) CODEC(ZSTD(1)),
    session_type Enum8('pre_market' = 1, 'regular' = 2, 'post_market' = 3, 'closed' = 4) CODEC(ZSTD(1)),
    data_quality Enum8('raw' = 1, 'enriched' = 2, 'corrected' = 3) CODEC(ZSTD(1)),

    processed_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(ZSTD(3)),
    batch_id UUID CODEC(ZSTD(6)),

    date Date DEFAULT toDate(timestamp) CODEC(ZSTD(1)),
    hour UInt8 DEFAULT toHour(timestamp) CODEC(ZSTD(1)),

    -- the instrument, as it was known when the tick was loaded
    tradingsymbol LowCardinality(String) CODEC(ZSTD(1)),
    underlying LowCardinality(String) CODEC(ZSTD(1)),
    sector LowCardinality(String) CODEC(ZSTD(1)),
    asset_class LowCardinality(String) CODEC(ZSTD(1)),
    instrument_type LowCardinality(String) CODEC(ZSTD(1)),
    -- 1970-01-01 for what does not expire
    expiry Date CODEC(ZSTD(1)),
    strike Float64 CODEC(ZSTD(1)),

    -- index packets only
    net_change Float64 CODEC(Delta, ZSTD(1)),
    last_trade_time DateTime('Asia/Kolkata') CODEC(DoubleDelta, ZSTD(1)),
    -- a cached last value, sent after a subscribe
    snapshot Bool CODEC(ZSTD(1)),

    -- identity: which packet of which record; for a flat entry the stream, its epoch and the halves of its entry id
    recorder LowCardinality(String) CODEC(ZSTD(1)),
    session UInt64 CODEC(ZSTD(1)),
    socket UInt16 CODEC(ZSTD(1)),
    sequence UInt64 CODEC(Delta, ZSTD(3)),
    packet_index UInt16 CODEC(ZSTD(1)),
    stream LowCardinality(String) CODEC(ZSTD(1)),
    epoch UInt32 CODEC(ZSTD(1)),

    INDEX symbol_idx symbol TYPE bloom_filter GRANULARITY 1,
    INDEX timestamp_idx timestamp TYPE minmax GRANULARITY 1,

    -- counting a batch back reads one row per part and batch instead of every tick
    PROJECTION batch_rows (SELECT date, hour, batch_id, count() GROUP BY date, hour, batch_id)
)
ENGINE = MergeTree
PARTITION BY {partition}
ORDER BY (instrument_token, timestamp, exchange_timestamp)
SETTINGS index_granularity = 8192, non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;
