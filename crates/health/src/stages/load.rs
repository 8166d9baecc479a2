//! The loader, and the two servers that it sees.

use super::{Seen, Verdict, full_disk, grouped, lag, lag_state};
use crate::State;
use crate::thresholds::{PARTS_BAD, PARTS_WARN, REDIS_BAD_FRACTION, REDIS_WARN_FRACTION};

/// The age of the oldest entry that is not stored where the loader says it, else what is behind in seconds of the feed.
pub(super) fn lag_seconds(seen: &Seen<'_>) -> f64 {
    let progress = seen.progress;
    let by_count = lag(progress.load_lag, progress.rates.published.max(progress.rates.records_stored));
    let waiting = seen.load.into_iter().flat_map(|load| &load.stores.streams);
    waiting.map(|stream| stream.oldest_seconds).fold(by_count, f64::max)
}

pub(super) fn verdict(seen: &Seen<'_>, lag_seconds: f64) -> Verdict {
    let Some(load) = seen.load else {
        return seen.missing("load").unwrap_or_else(|| Verdict::ok("does not run"));
    };
    let behind = grouped(seen.progress.load_lag);
    if let Some(error) = &load.state.error {
        return Verdict::new(
            lag_state(lag_seconds).max(State::Warn),
            format!("not loading: {error}; {behind} records behind"),
            "nothing is lost: Redis and the journal keep what is not stored; mend what the text names, it goes on by itself",
        );
    }
    if load.counters.surplus_rows > 0 {
        return Verdict::new(
            State::Bad,
            format!("{} rows are stored more than once", load.counters.surplus_rows),
            "this must never happen: please report it, with log/pipeline.log",
        );
    }
    if let Some(letters) =
        load.stores.redis.as_ref().map(|redis| redis.dead_letters).filter(|count| *count > 0)
    {
        return Verdict::new(
            State::Warn,
            format!("{letters} dead letters: entries that can't be decoded"),
            "see docs/runbook.md, dead letters: read them in the stream of dead letters, then XDEL them",
        );
    }
    let text = format!("{} records stored, {behind} behind", grouped(seen.progress.totals.records_stored));
    match (lag_state(lag_seconds), load.state.fence) {
        (State::Ok, None) => Verdict::new(
            State::Warn,
            "another loader owns the streams, or the lease of one that was killed runs out",
            "wait for load.lease_ms; two loaders need not run at once",
        ),
        (State::Ok, Some(_)) => Verdict::ok(text),
        (state, _) => Verdict::new(
            state,
            format!("{text}; the oldest waits since {lag_seconds:.0} s"),
            "look at ClickHouse's CPU and disk: after an outage this falls by itself, many times as fast as the feed",
        ),
    }
}

/// Redis near its memory limit.
pub(super) fn full_redis(seen: &Seen<'_>) -> Option<Verdict> {
    let redis = seen.load?.stores.redis.as_ref().filter(|redis| redis.max_bytes > 0)?;
    let fraction = redis.used_bytes as f64 / redis.max_bytes as f64;
    let state = match fraction {
        fraction if fraction >= REDIS_BAD_FRACTION => State::Bad,
        fraction if fraction >= REDIS_WARN_FRACTION => State::Warn,
        _ => return None,
    };
    Some(Verdict::new(
        state,
        format!("Redis uses {:.0} % of its memory limit", fraction * 100.0),
        "the loader trims what is stored: see why it is behind; beyond the limit entries wait in the journal, nothing is lost",
    ))
}

pub(super) fn store(seen: &Seen<'_>) -> Verdict {
    if let Some(verdict) = seen.down("clickhouse") {
        return verdict;
    }
    let Some(load) = seen.load else {
        return seen.missing("load").unwrap_or_else(|| Verdict::ok("nobody loads"));
    };
    let tables = load.stores.clickhouse.iter().flat_map(|clickhouse| &clickhouse.tables);
    let fullest = tables.max_by_key(|table| table.most_parts);
    let parts = fullest.map_or(0, |table| table.most_parts);
    let state = match parts {
        parts if parts >= PARTS_BAD => State::Bad,
        parts if parts >= PARTS_WARN => State::Warn,
        _ => State::Ok,
    };
    if state != State::Ok {
        let table = fullest.map_or("a table", |table| table.table.as_str());
        return Verdict::new(
            state,
            format!("{parts} parts in one partition of {table}: ClickHouse merges too slowly"),
            "look at its disk and memory; other programs must insert in large batches",
        );
    }
    let totals = &seen.progress.totals;
    let quarantined = if totals.quarantined > 0 {
        format!(", {} quarantined", grouped(totals.quarantined))
    } else {
        String::new()
    };
    full_disk(seen, "clickhouse")
        .unwrap_or_else(|| Verdict::ok(format!("{} ticks stored{quarantined}", grouped(totals.ticks_stored))))
}
