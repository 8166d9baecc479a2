//! Of the loader, and of the two servers that it sees.

use super::{Each, From, Metric, counter, gauge, histogram};

const LOADER: &[&str] = &["load"];
const STREAM_OF: Each = Each { array: "/stores/streams", label: "stream", value: "/stream" };
const TABLE_OF: Each = Each { array: "/stores/clickhouse/tables", label: "table", value: "/table" };

pub(super) const LOAD: &[Metric] = &[
    gauge("tickhouse_load_owner", "", "Whether this loader owns the streams.").of(LOADER).from(From::There("/state/fence")),
    gauge("tickhouse_load_failing", "", "Whether an error keeps it from loading.").of(LOADER).from(From::There("/state/error")),
    counter("tickhouse_load_read_entries_total", "/counters/entries_read", "Entries read from Redis, repeats included.").of(LOADER),
    counter("tickhouse_load_repeated_entries_total", "/counters/repeats", "Entries that were stored before: dropped.").of(LOADER),
    counter("tickhouse_load_packets_total", "/counters/packets", "Packets of stored frames.").of(LOADER),
    counter("tickhouse_load_batches_total", "/counters/batches", "Batches confirmed.").of(LOADER),
    counter(
        "tickhouse_load_ambiguous_batches_total",
        "/counters/batches_recovered",
        "Batches whose rows had to be counted before anything else, because an answer of ClickHouse was lost.",
    )
    .of(LOADER),
    counter(
        "tickhouse_load_reinserted_blocks_total",
        "/counters/blocks_reinserted",
        "Blocks that were not there and were inserted again.",
    )
    .of(LOADER),
    counter("tickhouse_load_surplus_rows_total", "/counters/surplus_rows", "Rows stored more than once: never seen.").of(LOADER),
    counter("tickhouse_load_holes_total", "/counters/holes", "Holes in the sequence of a stream.").of(LOADER),
    counter(
        "tickhouse_load_missing_holes_total",
        "/counters/holes_accepted",
        "Of these, those that no recorder could fill: rows are missing, and a gap says so.",
    )
    .of(LOADER),
    counter("tickhouse_load_trimmed_entries_total", "/counters/trimmed", "Entries trimmed from Redis after they were stored.").of(LOADER),
    counter(
        "tickhouse_load_restarts_total",
        "/counters/restarts",
        "Times the loader began again from what is stored: after an error of Redis or ClickHouse, or a lost lease.",
    )
    .of(LOADER),
    counter("tickhouse_load_flat_published_entries_total", "/counters/flat_published", "Stored ticks published as flat entries.").of(LOADER),
    counter(
        "tickhouse_load_flat_skipped_entries_total",
        "/counters/flat_skipped",
        "Stored ticks that were to be published as flat entries and were left out.",
    )
    .of(LOADER),
    gauge("tickhouse_load_stream_entries", "/entries", "Entries in the stream, stored ones that are not trimmed included.")
        .of(LOADER)
        .each(STREAM_OF),
    gauge("tickhouse_load_unacknowledged_entries", "/unacknowledged", "Entries that are not acknowledged: read or not.")
        .of(LOADER)
        .each(STREAM_OF),
    gauge(
        "tickhouse_load_oldest_unacknowledged_seconds",
        "/oldest_seconds",
        "Age of the oldest entry that is not acknowledged.",
    )
    .of(LOADER)
    .each(STREAM_OF),
    gauge("tickhouse_load_instruments", "/instruments", "Instruments that ticks are enriched with.").of(LOADER),
];

pub(super) const STORE: &[Metric] = &[
    counter("tickhouse_store_rows_total", "", "Rows stored.").of(LOADER).from(From::ByLabel(
        "table",
        &[
            ("tick_data", "/counters/ticks_stored"),
            ("frames", "/counters/frames_stored"),
            ("quarantine", "/counters/quarantined"),
            ("feed_gaps", "/counters/gaps_stored"),
            ("news_data", "/counters/news_stored"),
            ("indices_data", "/counters/index_values_stored"),
        ],
    )),
    counter(
        "tickhouse_store_raw_ticks_total",
        "/counters/raw_ticks_stored",
        "Rows of tick_data whose token was in no table of instruments.",
    )
    .of(LOADER),
    histogram(
        "tickhouse_store_latency_seconds",
        "/histograms/socket_to_clickhouse",
        "From the socket to queryable in ClickHouse, per tick.",
    )
    .of(LOADER),
    gauge("tickhouse_store_up", "", "Whether ClickHouse answered the last look.")
        .of(LOADER)
        .from(From::There("/stores/clickhouse")),
    gauge("tickhouse_store_parts", "/parts", "Active parts.").of(LOADER).each(TABLE_OF),
    gauge("tickhouse_store_partition_parts_max", "/most_parts", "Active parts in the fullest partition.")
        .of(LOADER)
        .each(TABLE_OF),
    gauge("tickhouse_store_disk_bytes", "/bytes", "Bytes on disk, compressed.").of(LOADER).each(TABLE_OF),
    gauge(
        "tickhouse_store_free_bytes",
        "/stores/clickhouse/free_bytes",
        "Bytes left on ClickHouse's fullest disk.",
    )
    .of(LOADER),
    gauge("tickhouse_stream_up", "", "Whether Redis answered the last look.")
        .of(LOADER)
        .from(From::There("/stores/redis")),
    gauge("tickhouse_stream_memory_bytes", "/stores/redis/used_bytes", "Memory that Redis uses.").of(LOADER),
    gauge("tickhouse_stream_memory_limit_bytes", "/stores/redis/max_bytes", "Its limit; 0 for none.")
        .of(LOADER),
    gauge(
        "tickhouse_stream_dead_letters",
        "/stores/redis/dead_letters",
        "Entries that can't be decoded, until somebody deletes them.",
    )
    .of(LOADER),
];
