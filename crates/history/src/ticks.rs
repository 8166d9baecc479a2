//! Candles into `tick_data`, as the brief reads them: `packet_type` names the interval.
//!
//! What enters: candles of the table `candles`. What leaves: a row in `tick_data` for each that has none yet. What never
//! happens here: a second row for a candle, whatever was killed when; a change to a row that is there.
//!
//! `tick_data` has a partition per hour and refuses nothing twice, so this goes window by window of some days: ask the
//! server which candles have no tick, insert them, one partition and block at a time under a token made of their keys, and
//! ask again until none is missing. One process per data directory at a time, by a lock on a file.

use crate::file::Pass;
use crate::instruments::Candidates;
use crate::lock::Lock;
use crate::markets::Markets;
use crate::{HistoryError, Interval};
use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_enrich::{Calendar, Rules, SessionClock};
use tickhouse_model::{DataQuality, FrameId, SessionType, Timestamp, Token};
use tickhouse_store::{
    CandleRange, Deduplicate, InsertId, MOST_LISTED, Partition, Store, StoreError, StoredCandle, Tick,
    TickColumns, TickIdentity, TickLevel,
};
use tickhouse_telemetry::Clock;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Candles of a window, give or take a day.
const WINDOW: u64 = 1_000_000;
/// How often a window is gone over while something of it is missing.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Inserts under way at once: one is built and sent while the server works on another.
const AT_ONCE: usize = 3;
const DAY_SECONDS: i64 = 86_400;

/// What it takes.
#[derive(Clone, Debug)]
pub struct TickMirror {
    /// Where the tables are.
    pub store: Store,
    /// Gives `processed_at`.
    pub clock: Clock,
    /// Gives `session_type`.
    pub calendar: Arc<Calendar>,
    /// Tells which commodities close early.
    pub rules: Arc<Rules>,
    /// Rows of one insert at most.
    pub batch_rows: usize,
    /// The file whose lock lets one process write at a time.
    pub lock: PathBuf,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mirrored {
    /// Rows inserted.
    pub written: u64,
    /// Candles that had their row.
    pub present: u64,
}

/// Whose candles, and from when to when.
#[derive(Debug)]
pub struct MirrorRange {
    /// Their interval.
    pub interval: Interval,
    /// What is known of each token; others are left out.
    pub instruments: Arc<FxHashMap<u32, Candidates>>,
    /// First and last begin, seconds since 1970-01-01 UTC.
    pub times: (u32, u32),
}

impl TickMirror {
    /// Gives every candle of the range its row. `progress` is told how many candles were dealt with; `pass` can end it.
    ///
    /// Not cancel safe, but running it again puts everything right.
    ///
    /// # Errors
    /// When ClickHouse stays away, or the lock's file can't be made.
    pub async fn run(
        &self,
        range: &MirrorRange,
        pass: &Pass,
        progress: impl Fn(u64),
    ) -> Result<Mirrored, HistoryError> {
        let mut tokens: Vec<u32> = range.instruments.keys().copied().collect();
        tokens.sort_unstable();
        let mut done = Mirrored::default();
        let markets = Arc::new(Markets::read(&self.store, Arc::clone(&self.rules)).await?);
        for tokens in tokens.chunks(MOST_LISTED) {
            self.instruments(tokens, (range, &markets), pass, &mut done, &progress).await?;
        }
        Ok(done)
    }

    /// The candles of some instruments.
    async fn instruments(
        &self,
        tokens: &[u32],
        (range, markets): (&MirrorRange, &Arc<Markets>),
        pass: &Pass,
        done: &mut Mirrored,
        progress: &impl Fn(u64),
    ) -> Result<(), HistoryError> {
        let whole = CandleRange {
            interval: range.interval.name(),
            tokens: (tokens[0], tokens[tokens.len() - 1]),
            only: tokens,
            times: range.times,
        };
        for (days, candles) in windows(&self.store.candle_days(&whole).await?) {
            let midnight = |day: i64| {
                (day * DAY_SECONDS - tickhouse_model::IST_OFFSET_SECONDS).clamp(0, i64::from(u32::MAX))
            };
            let from = midnight(i64::from(days.0)) as u32;
            let to = (midnight(i64::from(days.1) + 1) - 1) as u32;
            let times = (whole.times.0.max(from), whole.times.1.min(to));
            let window = CandleRange { times, ..whole.clone() };
            if pass.is_stopped() {
                return Err(HistoryError::Stopped);
            }
            let written = self.window(&window, (range, markets)).await?;
            done.written += written;
            done.present += candles.saturating_sub(written);
            progress(candles);
        }
        Ok(())
    }

    /// One window: until none of its candles is without a row.
    async fn window(
        &self,
        window: &CandleRange<'_>,
        (range, markets): (&MirrorRange, &Arc<Markets>),
    ) -> Result<u64, HistoryError> {
        let _lock = Lock::take(&self.lock).await?;
        let packet_type = range.interval.packet_type();
        let (mut written, mut pause) = (0, FIRST_PAUSE);
        let mut deduplicate = Deduplicate::ByToken;
        let mut batches = Vec::new();
        for attempt in 1..=ATTEMPTS {
            let outcome = self.fill(window, (range, markets), deduplicate, &mut batches).await;
            let missing = match outcome {
                Ok(0) => return Ok(written),
                Ok(rows) => {
                    written += rows;
                    self.store.count_candles_without_tick(window, packet_type).await.map(|left| (left, rows))
                }
                Err(error) => Err(error),
            };
            match missing {
                Ok((0, _)) => return Ok(written),
                Ok((missing, rows)) => {
                    tracing::warn!(missing, rows, attempt, "ticks of candles are missing after their insert");
                    written = written.saturating_sub(missing);
                }
                Err(error) if attempt == ATTEMPTS => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, attempt, "ticks of candles were not stored, trying again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
            // what was under way has ended before anybody counts again; and the server may know a token without its rows
            for batch in batches.drain(..) {
                if let Err(error) = self.store.kill_inserts(batch).await {
                    tracing::debug!(%error, "an insert could not be ended");
                }
            }
            deduplicate = Deduplicate::Never;
        }
        let missing = self.store.count_candles_without_tick(window, packet_type).await?;
        Err(HistoryError::NotStored { missing, attempts: ATTEMPTS })
    }

    /// Inserts what is missing now; gives the rows.
    async fn fill(
        &self,
        window: &CandleRange<'_>,
        (range, markets): (&MirrorRange, &Arc<Markets>),
        deduplicate: Deduplicate,
        batches: &mut Vec<Uuid>,
    ) -> Result<u64, StoreError> {
        let failed = |source| StoreError::query("read candles without ticks", source);
        let mut missing = self.store.candles_without_tick(window, range.interval.packet_type())?;
        let mut inserts: JoinSet<Result<(), StoreError>> = JoinSet::new();
        let mut block: Vec<StoredCandle> = Vec::new();
        let mut rows = 0;
        loop {
            let next = missing.next().await.map_err(failed)?;
            let ends = next.as_ref().is_none_or(|next| {
                block.len() >= self.batch_rows
                    || block.last().is_some_and(|last| partition(last) != partition(next))
            });
            if ends && !block.is_empty() {
                while inserts.len() >= AT_ONCE {
                    inserts.join_next().await.map_or(Ok(()), joined)?;
                }
                rows += block.len() as u64;
                let batch = Batch::new(std::mem::take(&mut block), (range, markets), self);
                batches.push(batch.id);
                inserts.spawn(batch.insert(deduplicate));
            }
            match next {
                Some(candle) => block.push(candle),
                None => break,
            }
        }
        while let Some(inserted) = inserts.join_next().await {
            joined(inserted)?;
        }
        Ok(rows)
    }
}

fn joined(outcome: Result<Result<(), StoreError>, tokio::task::JoinError>) -> Result<(), StoreError> {
    match outcome {
        Ok(inserted) => inserted,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn partition(candle: &StoredCandle) -> Partition {
    Partition::of(candle.timestamp())
}

/// Days with about [`WINDOW`] candles, first and last.
fn windows(days: &[(u16, u64)]) -> Vec<((u16, u16), u64)> {
    let mut windows: Vec<((u16, u16), u64)> = Vec::new();
    for (day, candles) in days {
        match windows.last_mut() {
            Some(((_, last), sum)) if *sum + candles <= WINDOW => {
                *last = *day;
                *sum += candles;
            }
            _ => windows.push(((*day, *day), *candles)),
        }
    }
    windows
}

/// Rows of one partition, under one token.
struct Batch {
    id: Uuid,
    candles: Vec<StoredCandle>,
    interval: Interval,
    instruments: Arc<FxHashMap<u32, Candidates>>,
    store: Store,
    calendar: Arc<Calendar>,
    markets: Arc<Markets>,
    now: Timestamp,
}

impl Batch {
    fn new(
        candles: Vec<StoredCandle>,
        (range, markets): (&MirrorRange, &Arc<Markets>),
        mirror: &TickMirror,
    ) -> Self {
        // whoever inserts the same candles again, after a kill or beside us, gives the same token
        let mut hash = Sha256::new().chain_update(range.interval.packet_type());
        for candle in &candles {
            hash.update(candle.instrument_token.to_le_bytes());
            hash.update(candle.at.to_le_bytes());
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self {
            id: uuid::Builder::from_custom_bytes(id).into_uuid(),
            candles,
            interval: range.interval,
            instruments: Arc::clone(&range.instruments),
            store: mirror.store.clone(),
            calendar: Arc::clone(&mirror.calendar),
            markets: Arc::clone(markets),
            now: mirror.clock.now(),
        }
    }

    async fn insert(self, deduplicate: Deduplicate) -> Result<(), StoreError> {
        let Some(first) = self.candles.first() else { return Ok(()) };
        let at = partition(first);
        let mut sessions = SessionClock::new(Arc::clone(&self.calendar));
        let mut columns = TickColumns::new(at, self.id, self.now);
        for candle in &self.candles {
            columns.push(&self.tick(candle, at, &mut sessions));
        }
        let block = columns.finish();
        let part = format!("tick_data/{}/{}", at.date, at.hour);
        self.store
            .insert_block("tick_data", &block, InsertId { batch_id: self.id, part: &part }, deduplicate)
            .await
    }

    fn tick(&self, candle: &StoredCandle, at: Partition, sessions: &mut SessionClock) -> Tick<'_> {
        let known =
            self.instruments.get(&candle.instrument_token).and_then(|candidates| candidates.on(at.date));
        let timestamp = candle.timestamp();
        Tick {
            token: Token(candle.instrument_token),
            instrument: known.map(|known| known.tick_instrument()).unwrap_or_default(),
            timestamp,
            exchange_timestamp: timestamp,
            last_price: candle.close,
            open_price: candle.open,
            high_price: candle.high,
            low_price: candle.low,
            close_price: candle.close,
            average_traded_price: 0.0,
            net_change: 0.0,
            volume: candle.volume,
            last_traded_quantity: 0,
            total_buy_quantity: 0,
            total_sell_quantity: 0,
            open_interest: candle.open_interest,
            oi_day_high: 0,
            oi_day_low: 0,
            bids: [TickLevel::default(); 5],
            asks: [TickLevel::default(); 5],
            packet_type: self.interval.packet_type(),
            session_type: match self.interval {
                // a day's candle is stamped with its midnight
                Interval::Day => SessionType::Regular,
                _ => known
                    .map_or(SessionType::Regular, |known| sessions.phase(self.markets.of(known), timestamp)),
            },
            data_quality: if known.is_some() { DataQuality::Enriched } else { DataQuality::Raw },
            last_trade_time: Timestamp::NONE,
            snapshot: false,
            identity: TickIdentity {
                recorder: "",
                frame: FrameId { session: 0, socket: 0, sequence: 0 },
                packet_index: 0,
                stream: "",
                epoch: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_whole_days_of_about_the_same_size() {
        assert_eq!(windows(&[]), []);
        let days = [(1, 400_000), (2, 600_000), (3, 1), (4, 3_000_000), (9, 5)];
        assert_eq!(windows(&days), [((1, 2), 1_000_000), ((3, 3), 1), ((4, 4), 3_000_000), ((9, 9), 5)]);
    }
}
