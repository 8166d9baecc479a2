//! Rows in ClickHouse's `RowBinary` format: the columns of `TICK_COLUMNS`, row by row.

use tickhouse_model::Timestamp;
use tickhouse_store::{Partition, Tick};
use uuid::Uuid;

/// What every row of a batch shares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchValues {
    pub(crate) partition: Partition,
    pub(crate) batch_id: Uuid,
    pub(crate) processed_at: Timestamp,
}

/// Appends a row.
pub(crate) fn push(out: &mut Vec<u8>, tick: &Tick<'_>, batch: &BatchValues) {
    out.extend(tick.token.0.to_le_bytes());
    text(out, tick.instrument.symbol);
    text(out, tick.instrument.exchange);
    out.extend(tick.timestamp.as_millis().to_le_bytes());
    out.extend(tick.exchange_timestamp.as_millis().to_le_bytes());
    let prices = [
        tick.last_price,
        tick.open_price,
        tick.high_price,
        tick.low_price,
        tick.close_price,
        tick.average_traded_price,
    ];
    prices.iter().for_each(|price| out.extend(price.to_le_bytes()));
    out.extend(tick.volume.to_le_bytes());
    out.extend(tick.last_traded_quantity.to_le_bytes());
    let totals = [
        tick.total_buy_quantity,
        tick.total_sell_quantity,
        tick.open_interest,
        tick.oi_day_high,
        tick.oi_day_low,
    ];
    totals.iter().for_each(|total| out.extend(total.to_le_bytes()));
    for level in tick.bids.iter().chain(&tick.asks) {
        out.extend(level.price.to_le_bytes());
        out.extend(level.quantity.to_le_bytes());
        out.extend(level.orders.to_le_bytes());
    }
    text(out, tick.packet_type);
    out.push(tick.session_type as u8);
    out.push(tick.data_quality as u8);
    out.extend(batch.processed_at.as_millis().to_le_bytes());
    let (high, low) = batch.batch_id.as_u64_pair();
    out.extend(high.to_le_bytes());
    out.extend(low.to_le_bytes());
    out.extend(batch.partition.date.to_le_bytes());
    out.push(batch.partition.hour);
    push_rest(out, tick);
}

fn push_rest(out: &mut Vec<u8>, tick: &Tick<'_>) {
    let instrument = &tick.instrument;
    let texts = [
        instrument.tradingsymbol,
        instrument.underlying,
        instrument.sector,
        instrument.asset_class,
        instrument.instrument_type,
    ];
    texts.iter().for_each(|value| text(out, value));
    out.extend(instrument.expiry_days.to_le_bytes());
    out.extend(instrument.strike.to_le_bytes());
    out.extend(tick.net_change.to_le_bytes());
    out.extend(u32::try_from(tick.last_trade_time.as_seconds()).unwrap_or(0).to_le_bytes());
    out.push(u8::from(tick.snapshot));
    let identity = &tick.identity;
    text(out, identity.recorder);
    out.extend(identity.frame.session.to_le_bytes());
    out.extend(identity.frame.socket.to_le_bytes());
    out.extend(identity.frame.sequence.to_le_bytes());
    out.extend(identity.packet_index.to_le_bytes());
    text(out, identity.stream);
    out.extend(identity.epoch.to_le_bytes());
}

/// Texts of instruments are shorter than 128 bytes, so one byte holds the length.
fn text(out: &mut Vec<u8>, value: &str) {
    debug_assert!(value.len() < 128);
    out.push(value.len() as u8);
    out.extend(value.as_bytes());
}
