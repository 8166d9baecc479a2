//! Candles into the table `candles`: what is there already is not written again.

use crate::instruments::Known;
use crate::{HistoryError, Interval};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_store::{CandleColumns, CandleRange, Store, StoreError, StoredCandle};
use tickhouse_telemetry::Clock;

/// How often a batch is tried while ClickHouse is away, and how long between.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A candle and its instrument.
#[derive(Clone, Debug)]
pub(crate) struct Candle {
    pub(crate) interval: &'static str,
    pub(crate) numbers: StoredCandle,
    pub(crate) known: Arc<Known>,
}

/// What became of a batch; the three add up to its candles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Rows inserted: new candles, and such with other values than before.
    pub(crate) written: u64,
    /// Stored before with the same values.
    pub(crate) unchanged: u64,
    /// Given again later in the same batch.
    pub(crate) repeated: u64,
}

/// Writes batches, one after the other.
#[derive(Debug)]
pub(crate) struct CandleWriter {
    store: Store,
    clock: Clock,
    last: Timestamp,
    dry_run: bool,
}

impl CandleWriter {
    /// With `dry_run` everything is looked up and nothing is written.
    pub(crate) const fn new(store: Store, clock: Clock, dry_run: bool) -> Self {
        Self { store, clock, last: Timestamp::NONE, dry_run }
    }

    /// Writes what is not there yet. While ClickHouse is away it tries again: a repeat after an insert whose answer was
    /// lost finds its rows.
    pub(crate) async fn write(&mut self, batch: &[Candle]) -> Result<Tally, HistoryError> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.try_write(batch).await {
                Ok(written) => return Ok(written),
                Err(error) if attempt == ATTEMPTS => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, attempt, "candles were not stored, trying again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn try_write(&mut self, batch: &[Candle]) -> Result<Tally, StoreError> {
        let mut wanted: FxHashMap<(&'static str, u32, u32), &Candle> = FxHashMap::default();
        for candle in batch {
            let key = (candle.interval, candle.numbers.instrument_token, candle.numbers.at);
            wanted.insert(key, candle);
        }
        let mut written = Tally { repeated: (batch.len() - wanted.len()) as u64, ..Tally::default() };
        let mut intervals: Vec<&'static str> = batch.iter().map(|candle| candle.interval).collect();
        intervals.sort_unstable();
        intervals.dedup();
        let mut replaced = Timestamp::NONE;
        for interval in intervals {
            replaced = replaced.max(self.leave_out(interval, batch, &mut wanted, &mut written).await?);
        }
        if wanted.is_empty() {
            return Ok(written);
        }
        // of two rows of a candle the later one counts: never the same instant twice
        let next = Duration::from_millis(1);
        self.last = self.clock.now().max(self.last.plus(next));
        // nor one before that of a row that is to be replaced, whose clock may have been ahead of this one
        let mut columns = CandleColumns::new(self.last.max(replaced.plus(next)));
        for candle in wanted.values() {
            let instrument = &candle.known.instrument;
            columns.push(&candle.numbers, candle.interval, &instrument.symbol, &instrument.exchange);
        }
        written.written = columns.rows() as u64;
        if !self.dry_run {
            self.store.insert_candles(&columns.finish()).await?;
        }
        Ok(written)
    }

    /// Takes out of `wanted` what is stored with the same values. Gives the latest `processed_at` of what is stored with
    /// others, or [`Timestamp::NONE`].
    async fn leave_out(
        &self,
        interval: &'static str,
        batch: &[Candle],
        wanted: &mut FxHashMap<(&'static str, u32, u32), &Candle>,
        written: &mut Tally,
    ) -> Result<Timestamp, StoreError> {
        let numbers =
            || batch.iter().filter(|candle| candle.interval == interval).map(|candle| &candle.numbers);
        let mut tokens: Vec<u32> = numbers().map(|numbers| numbers.instrument_token).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let (Some(low), Some(high)) = (tokens.first(), tokens.last()) else { return Ok(Timestamp::NONE) };
        let times =
            numbers().fold((u32::MAX, 0), |(from, to), numbers| (from.min(numbers.at), to.max(numbers.at)));
        let range = CandleRange { interval, tokens: (*low, *high), only: &tokens, times };
        let mut stored = self.store.candles(&range)?;
        let failed = |source| StoreError::query("read the stored candles", source);
        let mut replaced = Timestamp::NONE;
        while let Some((candle, processed_at)) = stored.next().await.map_err(failed)? {
            let key = (interval, candle.instrument_token, candle.at);
            let Some(new) = wanted.get(&key) else { continue };
            if new.numbers == candle {
                wanted.remove(&key);
                written.unchanged += 1;
            } else {
                replaced = replaced.max(Timestamp::from_millis(processed_at));
            }
        }
        Ok(replaced)
    }
}

/// Word of the column `interval` of the series that runs through expired contracts.
pub(crate) const CONTINUOUS_DAY: &str = "continuous_day";

/// Word of the column `interval`.
pub(crate) const fn word(interval: Interval, continuous: bool) -> &'static str {
    if continuous { CONTINUOUS_DAY } else { interval.name() }
}
