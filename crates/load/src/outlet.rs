//! Stored ticks, published again as flat entries for programs written to the brief.
//!
//! What enters: the ticks of stored batches. What leaves: one entry per tick with the brief's fields, enriched, in the order of
//! the batches, in a stream that is kept short. What never happens here: storage waiting for it.
//!
//! Storage goes first. A batch is offered when it is recorded as stored; one waits while another is published, and whatever
//! is offered beyond that is skipped. A chunk that Redis does not take is tried again, three times within about a second, then
//! the rest of its batch is skipped. Skipped ticks are counted (`flat_skipped`). So an entry comes
//!
//! * once as a rule,
//! * twice when the answer to a chunk was lost,
//! * never when it was skipped, or its loader was killed after it had stored the batch and before it had published it.
//!
//! ClickHouse has all of them, each once; this is a tap for those who look at what is happening, as a stream with a
//! `MAXLEN` is anyway.

use crate::counters::Counters;
use crate::loader::Shared;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tickhouse_store::{Tick, TickLevel};
use tickhouse_stream::{Control, FlatLevel, FlatTick, StreamError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Entries of one round trip. One has about 70 fields and costs Redis some 10 µs: more of them would hold up recorders.
const CHUNK: usize = 64;
/// Batches that wait for the one that is being published.
const WAITING: usize = 1;
/// Pauses before a chunk is tried again.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];
/// How long a loader that was told to stop goes on publishing what it has stored.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Where stored ticks are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatOutlet {
    /// Name of the stream, in the Redis of the loader. None that a loader reads: everything in it is stored.
    pub stream: String,
    /// About how many entries are kept.
    pub keep: u64,
}

/// The loader's end of the way out.
#[derive(Debug, Default)]
pub(crate) struct Outlet(Mutex<Option<mpsc::Sender<Vec<FlatTick>>>>);

impl Outlet {
    /// An outlet and its other end, or one that takes nothing.
    pub(crate) fn new(options: Option<&FlatOutlet>) -> (Self, Option<mpsc::Receiver<Vec<FlatTick>>>) {
        if options.is_none() {
            return (Self::default(), None);
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(Mutex::new(Some(sender))), Some(receiver))
    }

    /// Whether anybody takes ticks.
    pub(crate) fn is_on(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Hands over the ticks of a stored batch, or counts them as skipped. Never waits.
    pub(crate) fn offer(&self, ticks: Vec<FlatTick>, counters: &Counters) {
        let count = ticks.len() as u64;
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count > 0 && guard.as_ref().is_none_or(|sender| sender.try_send(ticks).is_err()) {
            Counters::add(&counters.flat_skipped, count);
        }
    }

    /// No more comes: what was offered is published, for as long as [`LAST_WORDS`] last.
    pub(crate) async fn close(&self, mut publishing: JoinSet<()>) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        if tokio::time::timeout(LAST_WORDS, publishing.join_next()).await.is_err() {
            tracing::warn!("stored ticks were not published any more");
        }
    }
}

/// Publishes until the outlet is closed. What it returns ends when it is dropped.
pub(crate) fn start(shared: &Arc<Shared>, batches: Option<mpsc::Receiver<Vec<FlatTick>>>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if let (Some(batches), Some(options)) = (batches, shared.options.publish_flat.clone()) {
        tasks.spawn(publish(Arc::clone(shared), options, batches));
    }
    tasks
}

async fn publish(shared: Arc<Shared>, options: FlatOutlet, mut batches: mpsc::Receiver<Vec<FlatTick>>) {
    let control = match Control::new(shared.options.redis.clone()) {
        Ok(control) => control,
        // the loader itself can't begin with such a URL either
        Err(error) => return tracing::error!(%error, "stored ticks are not published"),
    };
    let counters = &shared.counters;
    let mut failing = false;
    while let Some(ticks) = batches.recv().await {
        let mut done = 0;
        for chunk in ticks.chunks(CHUNK) {
            let entries: Vec<_> = chunk.iter().map(FlatTick::to_fields).collect();
            match add(&control, &options, &entries, counters).await {
                Ok(()) => done += chunk.len(),
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        let stream = options.stream.as_str();
                        tracing::warn!(stream, %error, "stored ticks can't be published and are skipped");
                    }
                    break;
                }
            }
        }
        failing = failing && done < ticks.len();
        Counters::add(&counters.flat_published, done as u64);
        Counters::add(&counters.flat_skipped, (ticks.len() - done) as u64);
    }
}

async fn add(
    control: &Control,
    options: &FlatOutlet,
    entries: &[Vec<(&'static str, String)>],
    counters: &Counters,
) -> Result<(), StreamError> {
    for pause in PAUSES {
        if control.add_capped(&options.stream, entries, options.keep).await.is_ok() {
            return Ok(());
        }
        Counters::add(&counters.flat_retries, 1);
        tokio::time::sleep(pause).await;
    }
    control.add_capped(&options.stream, entries, options.keep).await
}

/// A row as a flat entry has it. What the brief has no field for (identity, snapshot flag, net change) stays behind.
pub(crate) fn flat_tick(tick: &Tick<'_>) -> FlatTick {
    let instrument = &tick.instrument;
    FlatTick {
        instrument_token: tick.token.0,
        symbol: instrument.symbol.to_owned(),
        tradingsymbol: instrument.tradingsymbol.to_owned(),
        exchange: instrument.exchange.to_owned(),
        segment: String::new(),
        underlying: instrument.underlying.to_owned(),
        sector: instrument.sector.to_owned(),
        asset_class: instrument.asset_class.to_owned(),
        instrument_type: instrument.instrument_type.to_owned(),
        expiry: (instrument.expiry_days > 0).then_some(i32::from(instrument.expiry_days)),
        strike: instrument.strike,
        timestamp: tick.timestamp,
        exchange_timestamp: tick.exchange_timestamp,
        last_trade_time: tick.last_trade_time,
        last_price: tick.last_price,
        open_price: tick.open_price,
        high_price: tick.high_price,
        low_price: tick.low_price,
        close_price: tick.close_price,
        average_traded_price: tick.average_traded_price,
        volume: tick.volume,
        last_traded_quantity: tick.last_traded_quantity,
        total_buy_quantity: tick.total_buy_quantity,
        total_sell_quantity: tick.total_sell_quantity,
        open_interest: tick.open_interest,
        oi_day_high: tick.oi_day_high,
        oi_day_low: tick.oi_day_low,
        bids: tick.bids.map(level),
        asks: tick.asks.map(level),
        packet_type: tick.packet_type.to_owned(),
        session_type: tick.session_type,
        data_quality: tick.data_quality,
    }
}

fn level(level: TickLevel) -> FlatLevel {
    FlatLevel { price: level.price, quantity: level.quantity, orders: level.orders }
}
