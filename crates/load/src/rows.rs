//! Records into rows: decode, enrich, judge the session.
//!
//! What enters: a journal record. What leaves: its rows, pushed into a batch: one of `frames`, one of `tick_data` per
//! packet, one of `quarantine` per thing that could not be read, one of `feed_gaps` per gap. What never happens here: I/O,
//! an allocation per packet, dropping anything.

use crate::batch::Batch;
use crate::published::Names;
use crate::source::payload_of_fields;
use bytes::Bytes;
use std::sync::Arc;
use tickhouse_decode::{Item, decode};
use tickhouse_enrich::{Calendar, InstrumentTable, Market, SessionClock};
use tickhouse_model::{
    DEPTH_LEVELS, DataQuality, Gap, Level, Packet, Record, RecordKind, Scale, SnapshotMarks, Timestamp, Token,
};
use tickhouse_store::{FrameRow, Origin, QuarantineRow, Tick, TickIdentity, TickInstrument, TickLevel};
use tickhouse_stream::{FlatLevel, FlatTick};
use tokio::sync::watch;

/// Makes rows with the instruments and the calendar of the moment.
#[derive(Debug)]
pub(crate) struct RowMaker {
    updates: watch::Receiver<Arc<InstrumentTable>>,
    pub(crate) instruments: Arc<InstrumentTable>,
    pub(crate) names: Names,
    sessions: SessionClock,
}

/// What became of a frame's packets.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    ticks: u16,
    quarantined: u16,
}

impl RowMaker {
    pub(crate) fn new(updates: watch::Receiver<Arc<InstrumentTable>>, calendar: Arc<Calendar>) -> Self {
        let instruments = Arc::clone(&updates.borrow());
        Self { updates, instruments, names: Names::default(), sessions: SessionClock::new(calendar) }
    }

    /// Takes over a newer table of instruments, if there is one. Called between batches.
    pub(crate) fn refresh(&mut self) {
        if self.updates.has_changed().unwrap_or(false) {
            self.instruments = Arc::clone(&self.updates.borrow_and_update());
        }
    }

    /// Pushes the rows of a record.
    pub(crate) fn push_record(&mut self, batch: &mut Batch, recorder: &str, record: &Record, checksum: u32) {
        let origin = Origin { recorder, id: record.id, stream: "", epoch: 0 };
        let outcome = match record.kind {
            // a push holds packets as a frame does
            RecordKind::Frame | RecordKind::Pushed => self.push_packets(batch, recorder, record),
            RecordKind::Gap => push_gap(batch, &origin, record),
            RecordKind::Text | RecordKind::Subscription | RecordKind::Connect | RecordKind::Disconnect => {
                Outcome::default()
            }
        };
        batch.push_frame(&FrameRow {
            recorder,
            id: record.id,
            received_at: record.received_at,
            kind: record.kind,
            packets: outcome.ticks.saturating_add(outcome.quarantined),
            ticks: outcome.ticks,
            quarantined: outcome.quarantined,
            bytes: record.payload.len() as u32,
            checksum,
        });
    }

    fn push_packets(&mut self, batch: &mut Batch, recorder: &str, record: &Record) -> Outcome {
        let mut outcome = Outcome::default();
        let day = day_of(record.received_at);
        decode(&record.payload).for_each(|item| {
            let (index, reason, detail, payload) = match item {
                Ok(Item::Packet { index, packet }) => {
                    self.push_packet(batch, recorder, record, day, index, &packet.to_packet());
                    outcome.ticks = outcome.ticks.saturating_add(1);
                    return;
                }
                Ok(Item::Unknown { index, offset, body }) => {
                    let detail = format!("a body of {} bytes at offset {offset}", body.len());
                    (index, "unknown_length", detail, body)
                }
                // the whole message: what is cut can only be understood with what precedes it
                Err(error) => {
                    (outcome.ticks + outcome.quarantined, "malformed", error.to_string(), &record.payload[..])
                }
            };
            outcome.quarantined = outcome.quarantined.saturating_add(1);
            let origin = Origin { recorder, id: record.id, stream: "", epoch: 0 };
            let received_at = record.received_at;
            let detail = detail.as_str();
            batch.push_quarantined(&QuarantineRow {
                origin,
                packet_index: index,
                received_at,
                reason,
                detail,
                payload,
            });
        });
        outcome
    }

    #[inline]
    fn push_packet(
        &mut self,
        batch: &mut Batch,
        recorder: &str,
        record: &Record,
        day: u16,
        index: u16,
        packet: &Packet,
    ) {
        let snapshot =
            !matches!(record.snapshots, SnapshotMarks::None) && record.snapshots.contains(index.into());
        let Self { instruments, sessions, .. } = self;
        let (instrument, market, data_quality) = instrument_of(instruments, packet.token, day);
        let timestamp = record.received_at;
        let scale = packet.segment().scale();
        let exchange_time = packet.exchange_time();
        batch.push_tick(&Tick {
            token: packet.token,
            instrument,
            timestamp,
            exchange_timestamp: if exchange_time.is_some() { exchange_time } else { timestamp },
            last_price: scale.rupees(packet.last_price),
            open_price: scale.rupees(packet.open_price),
            high_price: scale.rupees(packet.high_price),
            low_price: scale.rupees(packet.low_price),
            close_price: scale.rupees(packet.close_price),
            average_traded_price: scale.rupees(packet.average_traded_price),
            net_change: scale.rupees(packet.net_change),
            volume: packet.volume.into(),
            last_traded_quantity: packet.last_traded_quantity,
            total_buy_quantity: packet.total_buy_quantity.into(),
            total_sell_quantity: packet.total_sell_quantity.into(),
            open_interest: packet.open_interest.into(),
            oi_day_high: packet.oi_day_high.into(),
            oi_day_low: packet.oi_day_low.into(),
            bids: levels(scale, &packet.bids),
            asks: levels(scale, &packet.asks),
            packet_type: packet.kind.name(),
            session_type: sessions.phase(market, timestamp),
            data_quality,
            last_trade_time: Timestamp::from_kite_seconds(packet.last_trade_time),
            snapshot,
            identity: TickIdentity { recorder, frame: record.id, packet_index: index, stream: "", epoch: 0 },
        });
    }

    /// Pushes the row of a flat entry, or quarantines it. Its own values count; what it lacks is filled from the table of
    /// instruments.
    pub(crate) fn push_flat(
        &mut self,
        batch: &mut Batch,
        origin: &Origin<'_>,
        arrived_at: Timestamp,
        fields: &[(Bytes, Bytes)],
    ) {
        let tick = match FlatTick::from_fields(fields.iter().map(|(field, value)| (field, value))) {
            Ok(entry) => entry.tick,
            Err(error) => {
                let payload = payload_of_fields(fields);
                quarantine(batch, origin, arrived_at, "flat_entry", &error.to_string(), &payload);
                return;
            }
        };
        let timestamp = first_time(tick.timestamp, arrived_at);
        let (known, _, quality) =
            instrument_of(&self.instruments, Token(tick.instrument_token), day_of(timestamp));
        batch.push_tick(&Tick {
            token: Token(tick.instrument_token),
            instrument: merged(&tick, &known),
            timestamp,
            exchange_timestamp: first_time(tick.exchange_timestamp, timestamp),
            last_price: tick.last_price,
            open_price: tick.open_price,
            high_price: tick.high_price,
            low_price: tick.low_price,
            close_price: tick.close_price,
            average_traded_price: tick.average_traded_price,
            net_change: 0.0,
            volume: tick.volume,
            last_traded_quantity: tick.last_traded_quantity,
            total_buy_quantity: tick.total_buy_quantity,
            total_sell_quantity: tick.total_sell_quantity,
            open_interest: tick.open_interest,
            oi_day_high: tick.oi_day_high,
            oi_day_low: tick.oi_day_low,
            bids: flat_levels(&tick.bids),
            asks: flat_levels(&tick.asks),
            packet_type: &tick.packet_type,
            session_type: tick.session_type,
            data_quality: if tick.data_quality == DataQuality::Raw { quality } else { tick.data_quality },
            last_trade_time: tick.last_trade_time,
            snapshot: false,
            identity: TickIdentity {
                recorder: "",
                frame: origin.id,
                packet_index: 0,
                stream: origin.stream,
                epoch: origin.epoch,
            },
        });
    }
}

/// The first that was sent.
pub(crate) fn first_time(sent: Timestamp, otherwise: Timestamp) -> Timestamp {
    if sent.is_some() { sent } else { otherwise }
}

/// What a flat entry says of its instrument; where it says nothing, what the table knows.
fn merged<'a>(tick: &'a FlatTick, known: &TickInstrument<'a>) -> TickInstrument<'a> {
    let either = |own: &'a str, known: &'a str| if own.is_empty() { known } else { own };
    TickInstrument {
        symbol: either(&tick.symbol, known.symbol),
        exchange: either(&tick.exchange, known.exchange),
        tradingsymbol: either(&tick.tradingsymbol, known.tradingsymbol),
        underlying: either(&tick.underlying, known.underlying),
        sector: either(&tick.sector, known.sector),
        asset_class: either(&tick.asset_class, known.asset_class),
        instrument_type: either(&tick.instrument_type, known.instrument_type),
        expiry_days: tick.expiry.map_or(known.expiry_days, |days| u16::try_from(days).unwrap_or(0)),
        strike: if tick.strike == 0.0 { known.strike } else { tick.strike },
    }
}

fn flat_levels(levels: &[FlatLevel; DEPTH_LEVELS]) -> [TickLevel; DEPTH_LEVELS] {
    levels.map(|level| TickLevel { price: level.price, quantity: level.quantity, orders: level.orders })
}

/// India's day of a time, as a `Date` column counts it.
fn day_of(at: Timestamp) -> u16 {
    u16::try_from(at.ist().days_since_epoch).unwrap_or(0)
}

/// What a token meant on a day; for an unknown one what its segment tells.
pub(crate) fn instrument_of(
    table: &InstrumentTable,
    token: Token,
    day: u16,
) -> (TickInstrument<'_>, Market, DataQuality) {
    let Some(found) = table.get_on(token, day) else {
        let segment = token.segment();
        let exchange = if segment.is_index() { "" } else { segment.name() };
        let instrument = TickInstrument { exchange, ..TickInstrument::default() };
        return (instrument, Market::of_token(token), DataQuality::Raw);
    };
    let instrument = TickInstrument {
        symbol: table.text(found.symbol),
        exchange: table.text(found.exchange),
        tradingsymbol: table.text(found.tradingsymbol),
        underlying: table.text(found.underlying),
        sector: table.text(found.sector),
        asset_class: table.text(found.asset_class),
        instrument_type: table.text(found.instrument_type),
        expiry_days: found.expiry_days,
        strike: found.strike,
    };
    (instrument, found.market, DataQuality::Enriched)
}

#[inline]
fn levels(scale: Scale, levels: &[Level; DEPTH_LEVELS]) -> [TickLevel; DEPTH_LEVELS] {
    levels.map(|level| TickLevel {
        price: scale.rupees(level.price),
        quantity: level.quantity,
        orders: level.orders,
    })
}

fn push_gap(batch: &mut Batch, origin: &Origin<'_>, record: &Record) -> Outcome {
    match serde_json::from_slice::<Gap>(&record.payload) {
        Ok(gap) => {
            batch.push_gap(origin, &gap);
            Outcome::default()
        }
        Err(error) => {
            quarantine(batch, origin, record.received_at, "gap_record", &error.to_string(), &record.payload);
            Outcome { ticks: 0, quarantined: 1 }
        }
    }
}

/// Pushes one thing that could not be read.
pub(crate) fn quarantine(
    batch: &mut Batch,
    origin: &Origin<'_>,
    received_at: Timestamp,
    reason: &str,
    detail: &str,
    payload: &[u8],
) {
    batch.push_quarantined(&QuarantineRow {
        origin: *origin,
        packet_index: 0,
        received_at,
        reason,
        detail,
        payload,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhouse_enrich::InstrumentTableBuilder;

    #[test]
    fn a_tick_gets_the_instrument_of_its_own_day() {
        let csv = |symbol: &str, expiry: &str| {
            format!(
                "instrument_token,tradingsymbol,expiry,instrument_type,segment,exchange\n\
                 12073986,{symbol},{expiry},CE,NFO-OPT,NFO\n"
            )
        };
        let mut builder = InstrumentTableBuilder::new();
        for (symbol, expiry, from, to) in
            [("OLD", "2026-11-20", 0, 20_779), ("NEW", "2026-12-24", 20_780, u16::MAX)]
        {
            let add = |instrument| builder.add_version(instrument, from, to).map(|()| false);
            tickhouse_enrich::read_kite_csv(csv(symbol, expiry).as_bytes(), add).unwrap();
        }
        let table = builder.finish();
        // a minute before midnight of the expiry in India, and the first minute of each of the next days
        let midnight = 1_795_199_400_000;
        let found: Vec<_> = [-60_000, 0, 86_400_000, 2 * 86_400_000, 3 * 86_400_000]
            .map(|after| {
                let day = day_of(Timestamp::from_millis(midnight + after));
                let (instrument, _, quality) = instrument_of(&table, Token(12_073_986), day);
                (day, instrument.symbol, instrument.exchange, quality)
            })
            .into();
        assert_eq!(
            found,
            [
                (20_777, "OLD", "NFO", DataQuality::Enriched),
                (20_778, "", "NFO", DataQuality::Raw),
                (20_779, "", "NFO", DataQuality::Raw),
                (20_780, "NEW", "NFO", DataQuality::Enriched),
                (20_781, "NEW", "NFO", DataQuality::Enriched),
            ]
        );
    }
}
