//! Of the recorder: sockets, journal, publishers.

use super::{Each, From, Metric, counter, gauge, histogram};

const RECORD: &[&str] = &["record"];
const SOCKET: Each = Each { array: "/sockets", label: "socket", value: "/socket" };
const JOURNAL_OF: Each = Each { array: "/journal/sockets", label: "socket", value: "/socket" };

const fn socket(metric: Metric) -> Metric {
    metric.of(RECORD).each(SOCKET)
}

const fn journal(metric: Metric) -> Metric {
    metric.of(RECORD).each(JOURNAL_OF)
}

pub(super) const SOURCE: &[Metric] = &[
    socket(
        gauge("tickhouse_source_connected", "", "Whether the socket is open.")
            .from(From::Is("/source/state", "connected")),
    ),
    socket(gauge(
        "tickhouse_source_data_expected",
        "/expects_data",
        "Whether one of the socket's markets trades, so that data must flow.",
    )),
    socket(gauge(
        "tickhouse_source_data_age_seconds",
        "/data_age_seconds",
        "Time since the last message with packets, at most since the start of the process.",
    )),
    socket(gauge(
        "tickhouse_source_frame_age_seconds",
        "/frame_age_seconds",
        "Time since the last message of any kind, heartbeats included, at most since the start of the process.",
    )),
    socket(counter(
        "tickhouse_source_frames_total",
        "/source/frames",
        "Binary messages received, heartbeats included.",
    )),
    socket(counter(
        "tickhouse_source_heartbeats_total",
        "/source/heartbeats",
        "Binary messages too short for a packet.",
    )),
    socket(counter(
        "tickhouse_source_packets_total",
        "/source/packets",
        "Packets in binary messages, as these count them.",
    )),
    socket(counter("tickhouse_source_texts_total", "/source/texts", "Text messages received.")),
    socket(counter("tickhouse_source_received_bytes_total", "/source/bytes", "Bytes of messages received.")),
    socket(counter("tickhouse_source_records_total", "/source/records", "Records handed to the journal.")),
    socket(counter(
        "tickhouse_source_connection_attempts_total",
        "/source/attempts",
        "Attempts to connect, failed ones included.",
    )),
    socket(counter("tickhouse_source_connects_total", "/source/connects", "Connections that opened.")),
    socket(counter("tickhouse_source_disconnects_total", "/source/disconnects", "Connections that ended.")),
    socket(counter(
        "tickhouse_source_gaps_total",
        "/source/gaps",
        "Holes in the feed, each a row of feed_gaps once it has ended.",
    )),
    socket(counter(
        "tickhouse_source_subscriptions_total",
        "/source/subscriptions",
        "Subscribe, unsubscribe and mode messages sent.",
    )),
    socket(gauge(
        "tickhouse_source_subscribed_instruments",
        "/source/subscribed",
        "Instruments on the open connection.",
    )),
    socket(gauge(
        "tickhouse_source_silent_instruments",
        "/source/awaiting_snapshot",
        "Instruments that have sent nothing since they were subscribed.",
    )),
    socket(counter(
        "tickhouse_source_orders_total",
        "/source/orders",
        "Text messages that are order updates; they are recorded only.",
    )),
    socket(counter(
        "tickhouse_source_error_texts_total",
        "/source/error_texts",
        "Text messages that are errors.",
    )),
    socket(counter(
        "tickhouse_source_over_limit_total",
        "/source/over_limit",
        "Errors that say the socket has more instruments than are allowed.",
    )),
    socket(counter(
        "tickhouse_source_queue_stalls_total",
        "/source/queue_stalls",
        "Times the journal's queue was full.",
    )),
    socket(
        counter(
            "tickhouse_source_queue_stalled_seconds_total",
            "",
            "Time the socket waited for room in the journal's queue.",
        )
        .from(From::Number("/source/queue_stalled_ms", 1e-3)),
    ),
    gauge("tickhouse_source_instruments", "/instruments", "Instruments that the rules want.").of(RECORD),
    gauge(
        "tickhouse_source_left_out_instruments",
        "/left_out",
        "Instruments that the rules want and the keys do not carry.",
    )
    .of(RECORD),
    gauge("tickhouse_source_market_open", "", "Whether a recorded market trades.")
        .of(RECORD)
        .from(From::Is("/market", "open")),
    gauge(
        "tickhouse_source_login_wanted_keys",
        "/keys_wanting_login",
        "API keys whose access token is missing, refused or over.",
    )
    .of(RECORD),
    gauge(
        "tickhouse_source_token_expiry_timestamp_seconds",
        "/token_ends_seconds",
        "When the first access token ends, Unix time by the process' clock; 0 where there is none.",
    )
    .of(RECORD),
    gauge(
        "tickhouse_source_clock_skew_seconds",
        "/clock_skew_seconds",
        "This machine's clock minus the exchange's, as of the last look; its REST tells whole seconds.",
    )
    .of(RECORD),
];

pub(super) const JOURNAL: &[Metric] = &[
    journal(counter("tickhouse_journal_records_total", "/records", "Records written.")),
    journal(counter("tickhouse_journal_frames_total", "/frames", "Of these, binary messages.")),
    journal(counter(
        "tickhouse_journal_written_bytes_total",
        "/bytes",
        "Bytes written, before closed segments are compressed.",
    )),
    journal(counter("tickhouse_journal_writes_total", "/batches", "Writes.")),
    journal(counter("tickhouse_journal_segments_total", "/segments", "Segments begun.")),
    journal(counter(
        "tickhouse_journal_write_errors_total",
        "/write_errors",
        "Writes that failed and were tried again.",
    )),
    journal(counter(
        "tickhouse_journal_sync_errors_total",
        "/sync_errors",
        "Failures to force bytes to the disk.",
    )),
    journal(counter(
        "tickhouse_journal_abandoned_records_total",
        "/abandoned",
        "Records given up at the end of the process because the disk stayed full.",
    )),
    journal(
        gauge("tickhouse_journal_faulted", "", "Whether it can't be written; the socket waits meanwhile.")
            .from(From::There("/fault")),
    ),
    counter(
        "tickhouse_journal_compressed_segments_total",
        "/journal/compressed_segments",
        "Closed segments compressed.",
    )
    .of(RECORD),
    counter(
        "tickhouse_journal_compression_errors_total",
        "/journal/compression_errors",
        "Segments that could not be compressed and stay as they are.",
    )
    .of(RECORD),
    histogram(
        "tickhouse_journal_latency_seconds",
        "/histograms/socket_to_journal",
        "From the socket to the journal's file, per record.",
    )
    .of(RECORD),
];

pub(super) const STREAM: &[Metric] = &[
    socket(gauge(
        "tickhouse_stream_connected",
        "/publisher/connected",
        "Whether Redis answered the last command.",
    )),
    socket(counter(
        "tickhouse_stream_published_entries_total",
        "/publisher/published",
        "Entries added to Redis.",
    )),
    socket(counter(
        "tickhouse_stream_repeated_entries_total",
        "/publisher/already_there",
        "Records that Redis had already, because an answer was lost.",
    )),
    socket(counter(
        "tickhouse_stream_published_bytes_total",
        "/publisher/bytes",
        "Bytes of the records added.",
    )),
    socket(counter(
        "tickhouse_stream_batches_total",
        "/publisher/batches",
        "Round trips that added entries.",
    )),
    socket(gauge(
        "tickhouse_stream_backlog_records",
        "/backlog_records",
        "Records in the journal that are not in Redis yet.",
    )),
    socket(counter(
        "tickhouse_stream_restarts_total",
        "/publisher/restarts",
        "Times that publishing began anew.",
    )),
    socket(counter(
        "tickhouse_stream_vanished_total",
        "/publisher/vanished",
        "Times that the stream was gone from Redis.",
    )),
    socket(counter(
        "tickhouse_stream_resends_total",
        "/publisher/resends",
        "Times that a loader asked for records again.",
    )),
    socket(counter(
        "tickhouse_stream_errors_total",
        "/publisher/errors",
        "Failures of Redis: refused, timed out, out of memory.",
    )),
    socket(counter(
        "tickhouse_stream_damaged_bytes_total",
        "/publisher/damaged_bytes",
        "Bytes of the journal that fit no record.",
    )),
    histogram(
        "tickhouse_stream_latency_seconds",
        "/histograms/socket_to_redis",
        "From the socket to the answer of Redis, per record.",
    )
    .of(RECORD),
];
