-- The current instrument of each token. A newer row replaces an older one when parts merge; whoever loads a master ends with
-- OPTIMIZE TABLE token_metadata FINAL, so that plain look-ups find one row.
CREATE TABLE IF NOT EXISTS token_metadata
(
    instrument_token UInt32,
    symbol String,
    tradingsymbol String,
    underlying String,
    exchange LowCardinality(String),
    segment LowCardinality(String),
    sector LowCardinality(String),
    asset_class LowCardinality(String),
    instrument_type LowCardinality(String),
    -- 1970-01-01 for what does not expire
    expiry Date,
    strike Float64,
    tick_size Float64,
    lot_size UInt32,
    updated_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY instrument_token;

-- What each token meant on each day: tokens are used again after an expiry. `date BETWEEN valid_from AND valid_to` joins a row
-- to its instrument; the versions of one token never overlap. Read it with FINAL, or after a load, which ends with OPTIMIZE … FINAL.
CREATE TABLE IF NOT EXISTS instruments
(
    instrument_token UInt32,
    symbol String,
    tradingsymbol String,
    underlying String,
    exchange LowCardinality(String),
    segment LowCardinality(String),
    sector LowCardinality(String),
    asset_class LowCardinality(String),
    instrument_type LowCardinality(String),
    expiry Date,
    strike Float64,
    tick_size Float64,
    lot_size UInt32,
    -- first and last day, both included. 1970-01-01: before our first master; 2149-06-06: until a later master says otherwise.
    -- What expires is valid up to its expiry at most
    valid_from Date,
    valid_to Date,
    updated_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (instrument_token, valid_from);

-- The masters that made `instruments`: which exchanges they listed, and whether all of each. Written last of a load, so a row says
-- that the load is whole.
CREATE TABLE IF NOT EXISTS instrument_masters
(
    exchange LowCardinality(String),
    day Date,
    -- whether it lists everything of the exchange: what it lacks is gone
    whole Bool,
    source String,
    instruments UInt32,
    loaded_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (exchange, day, whole);

-- The 10,000 tokens with most ticks in the last seven days, then any others. Refreshed by itself; after loading a master
-- SYSTEM REFRESH VIEW hot_token_metadata brings it up to date at once.
CREATE MATERIALIZED VIEW IF NOT EXISTS hot_token_metadata
REFRESH EVERY 10 MINUTE
ENGINE = MergeTree
ORDER BY instrument_token
AS SELECT
    metadata.instrument_token AS instrument_token,
    metadata.symbol AS symbol,
    metadata.tradingsymbol AS tradingsymbol,
    metadata.underlying AS underlying,
    metadata.exchange AS exchange,
    metadata.segment AS segment,
    metadata.sector AS sector,
    metadata.asset_class AS asset_class,
    metadata.instrument_type AS instrument_type,
    metadata.expiry AS expiry,
    metadata.strike AS strike,
    metadata.tick_size AS tick_size,
    metadata.lot_size AS lot_size,
    metadata.updated_at AS updated_at,
    activity.seen AS ticks_last_week
FROM (SELECT * FROM token_metadata FINAL) AS metadata
LEFT JOIN
(
    SELECT instrument_token, sum(ticks) AS seen
    FROM tick_data_1min_state
    WHERE date >= today() - 7
    GROUP BY instrument_token
) AS activity ON activity.instrument_token = metadata.instrument_token
ORDER BY activity.seen DESC
LIMIT 10000;
