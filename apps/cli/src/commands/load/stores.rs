//! What the loader sees of Redis and ClickHouse, looked at every few seconds: what waits, what fills up.
//!
//! What enters: both servers, where the loader stands. What leaves: [`Stores`] for `/status`. What never happens here: a write to
//! either.

use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tickhouse_load::{Loader, LoaderState};
use tickhouse_model::{Record, Timestamp};
use tickhouse_store::{Store, StoreCondition};
use tickhouse_stream::{Control, EntryId, EntryValue, StreamError};
use tickhouse_telemetry::Clock;

/// Between two looks at Redis.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// ClickHouse is asked with every so many looks.
const CLICKHOUSE_EVERY: u32 = 3;

/// What was seen last; none of what did not answer.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Stores {
    redis: Option<RedisCondition>,
    clickhouse: Option<StoreCondition>,
    streams: Vec<Waiting>,
}

#[derive(Clone, Debug, Serialize)]
struct RedisCondition {
    used_bytes: u64,
    /// 0: no limit.
    max_bytes: u64,
    dead_letters: u64,
}

/// What waits in a stream.
#[derive(Clone, Debug, Serialize)]
struct Waiting {
    stream: String,
    entries: u64,
    unacknowledged: u64,
    /// Age of the oldest entry that is not stored.
    oldest_seconds: f64,
}

/// Shared with the status page.
pub(super) type SeenStores = Arc<Mutex<Stores>>;

/// Looks until it is dropped.
pub(super) async fn watch(
    control: Control,
    store: Store,
    loader: std::sync::Weak<Loader>,
    clock: Clock,
    seen: SeenStores,
) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count = 0_u32;
    loop {
        look.tick().await;
        let Some(state) = loader.upgrade().map(|loader| loader.state()) else { return };
        let redis = redis(&control).await.ok();
        let streams = match &redis {
            Some(_) => waiting(&control, &state, &clock).await.ok(),
            None => None,
        };
        let clickhouse =
            if count.is_multiple_of(CLICKHOUSE_EVERY) { Some(condition(&store).await) } else { None };
        count = count.wrapping_add(1);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.redis = redis;
        // while Redis is away the oldest entries go on getting older: what was seen stays
        if let Some(streams) = streams {
            seen.streams = streams;
        }
        if let Some(clickhouse) = clickhouse {
            seen.clickhouse = clickhouse;
        }
    }
}

/// None when ClickHouse does not answer; the loader says so itself, so this is for who looks for a fault.
async fn condition(store: &Store) -> Option<StoreCondition> {
    store.condition().await.inspect_err(|error| tracing::debug!(%error, "clickhouse is not seen")).ok()
}

async fn redis(control: &Control) -> Result<RedisCondition, StreamError> {
    let server = control.server().await?;
    let dead_letters = control.dead_letters().await?;
    Ok(RedisCondition { used_bytes: server.used_memory, max_bytes: server.max_memory, dead_letters })
}

async fn waiting(control: &Control, state: &LoaderState, clock: &Clock) -> Result<Vec<Waiting>, StreamError> {
    let mut found = Vec::with_capacity(state.streams.len());
    for stream in &state.streams {
        let Some(info) = control.info(&stream.stream).await? else { continue };
        let group = info.group.as_ref();
        let unacknowledged = group.map_or(info.length, |group| group.pending + group.lag.unwrap_or(0));
        let oldest = match stream.stored_id.parse::<EntryId>() {
            Ok(stored) if !stream.caught_up => {
                control.range(&stream.stream, stored.next(), EntryId::MAX, 1).await?
            }
            _ => Vec::new(),
        };
        let oldest_seconds = oldest
            .first()
            .and_then(|entry| since(entry.id, &entry.value, clock))
            .map_or(0.0, |since| clock.now().since(since).as_secs_f64());
        found.push(Waiting {
            stream: stream.stream.clone(),
            entries: info.length,
            unacknowledged,
            oldest_seconds,
        });
    }
    Ok(found)
}

/// Since when an entry is there: the receive time of a record; the id of others, which is Redis' time and says nothing to a
/// simulated clock.
fn since(id: EntryId, value: &EntryValue, clock: &Clock) -> Option<Timestamp> {
    match value {
        EntryValue::Record(bytes) => Record::decode(bytes).ok().map(|record| record.received_at),
        EntryValue::Flat(_) if clock.to_string() == Clock::system().to_string() => {
            Some(Timestamp::from_millis(i64::try_from(id.ms).ok()?))
        }
        EntryValue::Flat(_) | EntryValue::Gone => None,
    }
}
