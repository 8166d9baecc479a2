//! A row of `tick_data`, and many of them as columns.

use crate::native::{BlockBuilder, ColumnSpec, NativeBlock, Row, column};
use tickhouse_model::{DEPTH_LEVELS, DataQuality, FrameId, SessionType, Timestamp, Token};
use uuid::Uuid;

const IST_MILLIS: &str = "DateTime64(3, 'Asia/Kolkata')";
const TEXT: &str = "LowCardinality(String)";
const PRICE: &str = "Float64";

/// The columns of `tick_data` in the order in which [`TickColumns::push`] writes them.
pub const TICK_COLUMNS: &[ColumnSpec] = &[
    column("instrument_token", "UInt32"),
    column("symbol", TEXT),
    column("exchange", TEXT),
    column("timestamp", IST_MILLIS),
    column("exchange_timestamp", IST_MILLIS),
    column("last_price", PRICE),
    column("open_price", PRICE),
    column("high_price", PRICE),
    column("low_price", PRICE),
    column("close_price", PRICE),
    column("average_traded_price", PRICE),
    column("volume", "UInt64"),
    column("last_traded_quantity", "UInt32"),
    column("total_buy_quantity", "UInt64"),
    column("total_sell_quantity", "UInt64"),
    column("open_interest", "UInt64"),
    column("oi_day_high", "UInt64"),
    column("oi_day_low", "UInt64"),
    column("bid_1_price", PRICE),
    column("bid_1_quantity", "UInt32"),
    column("bid_1_orders", "UInt16"),
    column("bid_2_price", PRICE),
    column("bid_2_quantity", "UInt32"),
    column("bid_2_orders", "UInt16"),
    column("bid_3_price", PRICE),
    column("bid_3_quantity", "UInt32"),
    column("bid_3_orders", "UInt16"),
    column("bid_4_price", PRICE),
    column("bid_4_quantity", "UInt32"),
    column("bid_4_orders", "UInt16"),
    column("bid_5_price", PRICE),
    column("bid_5_quantity", "UInt32"),
    column("bid_5_orders", "UInt16"),
    column("ask_1_price", PRICE),
    column("ask_1_quantity", "UInt32"),
    column("ask_1_orders", "UInt16"),
    column("ask_2_price", PRICE),
    column("ask_2_quantity", "UInt32"),
    column("ask_2_orders", "UInt16"),
    column("ask_3_price", PRICE),
    column("ask_3_quantity", "UInt32"),
    column("ask_3_orders", "UInt16"),
    column("ask_4_price", PRICE),
    column("ask_4_quantity", "UInt32"),
    column("ask_4_orders", "UInt16"),
    column("ask_5_price", PRICE),
    column("ask_5_quantity", "UInt32"),
    column("ask_5_orders", "UInt16"),
    column("packet_type", TEXT),
    column("session_type", "Enum8('pre_market' = 1, 'regular' = 2, 'post_market' = 3, 'closed' = 4)"),
    column("data_quality", "Enum8('raw' = 1, 'enriched' = 2, 'corrected' = 3)"),
    column("processed_at", "DateTime64(3, 'UTC')"),
    column("batch_id", "UUID"),
    column("date", "Date"),
    column("hour", "UInt8"),
    column("tradingsymbol", TEXT),
    column("underlying", TEXT),
    column("sector", TEXT),
    column("asset_class", TEXT),
    column("instrument_type", TEXT),
    column("expiry", "Date"),
    column("strike", PRICE),
    column("net_change", PRICE),
    column("last_trade_time", "DateTime('Asia/Kolkata')"),
    column("snapshot", "Bool"),
    column("recorder", TEXT),
    column("session", "UInt64"),
    column("socket", "UInt16"),
    column("sequence", "UInt64"),
    column("packet_index", "UInt16"),
    column("stream", TEXT),
    column("epoch", "UInt32"),
];

/// A level of depth in rupees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TickLevel {
    /// In rupees, 0 for an empty level.
    pub price: f64,
    /// Bid or offered.
    pub quantity: u32,
    /// Orders.
    pub orders: u16,
}

/// Who stored a tick: what makes a row itself and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickIdentity<'a> {
    /// The recorder, empty for a flat entry.
    pub recorder: &'a str,
    /// Session, socket and sequence of its frame; for a flat entry session and sequence are the two halves of its entry id.
    pub frame: FrameId,
    /// Place in the frame, 0 for a flat entry.
    pub packet_index: u16,
    /// The stream of a flat entry, empty for a frame.
    pub stream: &'a str,
    /// How often that stream's ids began anew, 0 for a frame.
    pub epoch: u32,
}

/// What an instrument adds to a tick. All empty when the token is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TickInstrument<'a> {
    /// See [`tickhouse_model::Instrument`] for each field.
    pub symbol: &'a str,
    /// Kite's exchange.
    pub exchange: &'a str,
    /// Kite's trading symbol.
    pub tradingsymbol: &'a str,
    /// Kite's name.
    pub underlying: &'a str,
    /// Sector.
    pub sector: &'a str,
    /// Asset class.
    pub asset_class: &'a str,
    /// `EQ`, `FUT`, `CE`, `PE`, `INDEX`.
    pub instrument_type: &'a str,
    /// Days since 1970-01-01, 0 for none.
    pub expiry_days: u16,
    /// In rupees, 0 for none.
    pub strike: f64,
}

/// A row of `tick_data`: prices in rupees, names as columns.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are columns: docs/data-dictionary.md describes each")]
pub struct Tick<'a> {
    pub token: Token,
    pub instrument: TickInstrument<'a>,
    pub timestamp: Timestamp,
    pub exchange_timestamp: Timestamp,
    pub last_price: f64,
    pub open_price: f64,
    pub high_price: f64,
    pub low_price: f64,
    pub close_price: f64,
    pub average_traded_price: f64,
    pub net_change: f64,
    pub volume: u64,
    pub last_traded_quantity: u32,
    pub total_buy_quantity: u64,
    pub total_sell_quantity: u64,
    pub open_interest: u64,
    pub oi_day_high: u64,
    pub oi_day_low: u64,
    pub bids: [TickLevel; DEPTH_LEVELS],
    pub asks: [TickLevel; DEPTH_LEVELS],
    pub packet_type: &'a str,
    pub session_type: SessionType,
    pub data_quality: DataQuality,
    pub last_trade_time: Timestamp,
    pub snapshot: bool,
    pub identity: TickIdentity<'a>,
}

/// The partition of `tick_data` that a row falls into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// Days since 1970-01-01, India's date.
    pub date: u16,
    /// India's hour, 0 to 23.
    pub hour: u8,
}

impl Partition {
    /// Of a row with this timestamp.
    pub fn of(timestamp: Timestamp) -> Self {
        let ist = timestamp.ist();
        Self { date: ist.days_since_epoch.clamp(0, i32::from(u16::MAX)) as u16, hour: ist.hour() }
    }
}

/// Ticks of one partition as columns: what one insert carries.
#[derive(Debug)]
pub struct TickColumns {
    block: BlockBuilder,
    partition: Partition,
    batch_id: Uuid,
    processed_at: Timestamp,
}

impl TickColumns {
    /// No rows yet. Every row gets this batch and this time of processing.
    pub fn new(partition: Partition, batch_id: Uuid, processed_at: Timestamp) -> Self {
        Self { block: BlockBuilder::new(TICK_COLUMNS), partition, batch_id, processed_at }
    }

    /// Rows so far.
    pub const fn rows(&self) -> usize {
        self.block.rows()
    }

    /// Adds a row, which must be of this partition.
    pub fn push(&mut self, tick: &Tick<'_>) {
        debug_assert_eq!(Partition::of(tick.timestamp), self.partition);
        let mut row = self.block.row();
        push_prices(&mut row, tick);
        row.text(tick.packet_type)
            .i8(tick.session_type as i8)
            .i8(tick.data_quality as i8)
            .i64(self.processed_at.as_millis())
            .uuid(self.batch_id)
            .u16(self.partition.date)
            .u8(self.partition.hour);
        push_instrument(&mut row, tick);
        push_identity(&mut row, tick);
        row.end();
    }

    /// The block.
    pub fn finish(self) -> NativeBlock {
        self.block.finish()
    }
}

fn push_prices(row: &mut Row<'_>, tick: &Tick<'_>) {
    row.u32(tick.token.0)
        .text(tick.instrument.symbol)
        .text(tick.instrument.exchange)
        .i64(tick.timestamp.as_millis())
        .i64(tick.exchange_timestamp.as_millis())
        .f64(tick.last_price)
        .f64(tick.open_price)
        .f64(tick.high_price)
        .f64(tick.low_price)
        .f64(tick.close_price)
        .f64(tick.average_traded_price)
        .u64(tick.volume)
        .u32(tick.last_traded_quantity)
        .u64(tick.total_buy_quantity)
        .u64(tick.total_sell_quantity)
        .u64(tick.open_interest)
        .u64(tick.oi_day_high)
        .u64(tick.oi_day_low);
    for level in tick.bids.iter().chain(&tick.asks) {
        row.f64(level.price).u32(level.quantity).u16(level.orders);
    }
}

fn push_instrument(row: &mut Row<'_>, tick: &Tick<'_>) {
    let instrument = &tick.instrument;
    row.text(instrument.tradingsymbol)
        .text(instrument.underlying)
        .text(instrument.sector)
        .text(instrument.asset_class)
        .text(instrument.instrument_type)
        .u16(instrument.expiry_days)
        .f64(instrument.strike)
        .f64(tick.net_change)
        .u32(u32::try_from(tick.last_trade_time.as_seconds()).unwrap_or(0))
        .u8(u8::from(tick.snapshot));
}

fn push_identity(row: &mut Row<'_>, tick: &Tick<'_>) {
    let identity = &tick.identity;
    row.text(identity.recorder)
        .u64(identity.frame.session)
        .u16(identity.frame.socket)
        .u64(identity.frame.sequence)
        .u16(identity.packet_index)
        .text(identity.stream)
        .u32(identity.epoch);
}
