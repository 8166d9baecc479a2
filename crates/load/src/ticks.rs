//! What a packet or a flat entry is as a row of `tick_data`: for the loader, and for whoever follows what it has not stored yet.
//!
//! What enters: a packet with its record, or a flat tick; what is known of its token. What leaves: the row. What never happens
//! here: I/O, an allocation, dropping anything.

use tickhouse_enrich::{InstrumentTable, Market};
use tickhouse_model::{
    DEPTH_LEVELS, DataQuality, Level, Packet, Record, Scale, SessionType, Timestamp, Token,
};
use tickhouse_store::{Origin, Tick, TickIdentity, TickInstrument, TickLevel};
use tickhouse_stream::{FlatLevel, FlatTick};

/// What is known of a token on the day of its tick.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its names and class; all empty but the exchange for an unknown one.
    pub instrument: TickInstrument<'a>,
    /// Whether it is known at all.
    pub data_quality: DataQuality,
}

/// Where a packet stands.
#[derive(Clone, Copy, Debug)]
pub struct PacketPlace<'a> {
    /// Who received it.
    pub recorder: &'a str,
    /// The record that holds it.
    pub record: &'a Record,
    /// Its place in the record.
    pub index: u16,
    /// Whether it is one of Kite's cached last values.
    pub snapshot: bool,
}

/// The row of a packet.
#[inline]
pub fn packet_tick<'a>(
    packet: &Packet,
    known: Known<'a>,
    session_type: SessionType,
    at: &PacketPlace<'a>,
) -> Tick<'a> {
    let timestamp = at.record.received_at;
    let scale = packet.segment().scale();
    Tick {
        token: packet.token,
        instrument: known.instrument,
        timestamp,
        exchange_timestamp: first_time(packet.exchange_time(), timestamp),
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
        session_type,
        data_quality: known.data_quality,
        last_trade_time: Timestamp::from_kite_seconds(packet.last_trade_time),
        snapshot: at.snapshot,
        identity: TickIdentity {
            recorder: at.recorder,
            frame: at.record.id,
            packet_index: at.index,
            stream: "",
            epoch: 0,
        },
    }
}

/// The row of a flat entry. Its own values count; what it lacks is filled from what is known. `timestamp`: its own, else that of
/// its arrival.
pub fn flat_tick<'a>(
    tick: &'a FlatTick,
    known: &Known<'a>,
    timestamp: Timestamp,
    origin: &Origin<'a>,
) -> Tick<'a> {
    let said = tick.data_quality;
    Tick {
        token: Token(tick.instrument_token),
        instrument: merged(tick, &known.instrument),
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
        data_quality: if said == DataQuality::Raw { known.data_quality } else { said },
        last_trade_time: tick.last_trade_time,
        snapshot: false,
        identity: TickIdentity {
            recorder: "",
            frame: origin.id,
            packet_index: 0,
            stream: origin.stream,
            epoch: origin.epoch,
        },
    }
}

/// What a token meant on a day; for an unknown one what its segment tells.
pub fn instrument_of(
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

/// India's day of a time, as a `Date` column counts it.
pub fn day_of(at: Timestamp) -> u16 {
    u16::try_from(at.ist().days_since_epoch).unwrap_or(0)
}

/// The first that was sent.
pub fn first_time(sent: Timestamp, otherwise: Timestamp) -> Timestamp {
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

#[inline]
fn levels(scale: Scale, levels: &[Level; DEPTH_LEVELS]) -> [TickLevel; DEPTH_LEVELS] {
    levels.map(|level| TickLevel {
        price: scale.rupees(level.price),
        quantity: level.quantity,
        orders: level.orders,
    })
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
