-- One row per journal record: the ledger that outlives pruned segments.
CREATE TABLE IF NOT EXISTS frames
(
    recorder LowCardinality(String) CODEC(ZSTD(1)),
    session UInt64 CODEC(Delta, ZSTD(1)),
    socket UInt16 CODEC(ZSTD(1)),
    sequence UInt64 CODEC(DoubleDelta, ZSTD(1)),
    received_at DateTime64(6, 'Asia/Kolkata') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    -- packets = ticks + quarantined
    packets UInt16 CODEC(ZSTD(1)),
    ticks UInt16 CODEC(ZSTD(1)),
    quarantined UInt16 CODEC(ZSTD(1)),
    bytes UInt32 CODEC(ZSTD(1)),
    -- CRC-32C of the payload
    checksum UInt32 CODEC(NONE),
    batch_id UUID CODEC(ZSTD(3)),
    date Date DEFAULT toDate(received_at) CODEC(ZSTD(1)),
    PROJECTION batch_rows (SELECT batch_id, count() GROUP BY batch_id)
)
ENGINE = MergeTree
PARTITION BY date
ORDER BY (recorder, socket, session, sequence)
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1;

-- Windows in which ticks may have been missed. Few rows, and not partitioned: the rows of a batch go in with one insert, whole or not
-- at all, whatever months they belong to. The same holds for `quarantine`.
CREATE TABLE IF NOT EXISTS feed_gaps
(
    recorder LowCardinality(String),
    session UInt64,
    socket UInt16,
    sequence UInt64,
    stream LowCardinality(String),
    epoch UInt32,
    `from` DateTime64(3, 'Asia/Kolkata'),
    -- 1970-01-01 while it is open
    `to` DateTime64(3, 'Asia/Kolkata'),
    cause LowCardinality(String),
    detail String,
    -- empty: every instrument of the socket
    tokens Array(UInt32) CODEC(Delta(4), ZSTD(1)),
    batch_id UUID,
    date Date DEFAULT toDate(`from`)
)
ENGINE = MergeTree
ORDER BY (recorder, stream, socket, `from`)
SETTINGS non_replicated_deduplication_window = 1000;

-- What could not be read, with its reason.
CREATE TABLE IF NOT EXISTS quarantine
(
    recorder LowCardinality(String),
    session UInt64,
    socket UInt16,
    sequence UInt64,
    packet_index UInt16,
    stream LowCardinality(String),
    epoch UInt32,
    received_at DateTime64(6, 'Asia/Kolkata'),
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    payload String CODEC(ZSTD(1)),
    batch_id UUID,
    date Date DEFAULT toDate(received_at)
)
ENGINE = MergeTree
ORDER BY (recorder, stream, socket, session, sequence, packet_index)
SETTINGS non_replicated_deduplication_window = 1000;

-- What a batch is: written before its rows are inserted ('sealed') and after they were counted ('stored'). The mark of an origin is
-- the highest end of its stored ranges. Synced: a seal that a power cut undoes while rows stay would make them twice.
CREATE TABLE IF NOT EXISTS loader_seals
(
    loader LowCardinality(String),
    fence UInt64,
    number UInt64,
    batch_id UUID,
    state Enum8('sealed' = 1, 'stored' = 2),
    ranges Array(Tuple(origin String, epoch UInt32, first_session UInt64, first_sequence UInt64,
        last_session UInt64, last_sequence UInt64, entries UInt32)),
    partitions Array(Tuple(date Date, hour UInt8, ticks UInt32)),
    frames UInt32,
    quarantined UInt32,
    gaps UInt32,
    news UInt32,
    indices UInt32,
    written_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(written_at)
ORDER BY (loader, fence, number)
-- a power cut that takes a seal and leaves its rows would make them twice, so this small table is synced
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
