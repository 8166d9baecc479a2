//! Packets as rows of `tick_data`, for inserts without the loader.

use crate::market::{Feed, RECORDER};
use anyhow::bail;
use tickhouse_decode::{Item, decode};
use tickhouse_enrich::InstrumentTable;
use tickhouse_model::{DEPTH_LEVELS, DataQuality, Level, Packet, Record, Segment, SessionType, Timestamp};
use tickhouse_store::{Tick, TickIdentity, TickInstrument, TickLevel};

/// Calls `each` with every tick of the feed.
pub(crate) fn for_each_tick<'a>(feed: &'a Feed, mut each: impl FnMut(Tick<'a>)) -> anyhow::Result<()> {
    for record in &feed.records {
        for item in decode(&record.payload) {
            let Item::Packet { index, packet } = item? else { bail!("a packet of unknown length") };
            each(tick(&feed.instruments, record, index, &packet.to_packet()));
        }
    }
    Ok(())
}

fn tick<'a>(table: &'a InstrumentTable, record: &Record, index: u16, packet: &Packet) -> Tick<'a> {
    let segment = packet.segment();
    let timestamp = record.received_at;
    let exchange_time = packet.exchange_time();
    Tick {
        token: packet.token,
        instrument: instrument(table, packet),
        timestamp,
        exchange_timestamp: if exchange_time.is_some() { exchange_time } else { timestamp },
        last_price: segment.rupees(packet.last_price),
        open_price: segment.rupees(packet.open_price),
        high_price: segment.rupees(packet.high_price),
        low_price: segment.rupees(packet.low_price),
        close_price: segment.rupees(packet.close_price),
        average_traded_price: segment.rupees(packet.average_traded_price),
        net_change: segment.rupees(packet.net_change),
        volume: packet.volume.into(),
        last_traded_quantity: packet.last_traded_quantity,
        total_buy_quantity: packet.total_buy_quantity.into(),
        total_sell_quantity: packet.total_sell_quantity.into(),
        open_interest: packet.open_interest.into(),
        oi_day_high: packet.oi_day_high.into(),
        oi_day_low: packet.oi_day_low.into(),
        bids: levels(segment, &packet.bids),
        asks: levels(segment, &packet.asks),
        packet_type: packet.kind.name(),
        session_type: SessionType::Regular,
        data_quality: DataQuality::Enriched,
        last_trade_time: Timestamp::from_kite_seconds(packet.last_trade_time),
        snapshot: false,
        identity: TickIdentity {
            recorder: RECORDER,
            frame: record.id,
            packet_index: index,
            stream: "",
            epoch: 0,
        },
    }
}

fn instrument<'a>(table: &'a InstrumentTable, packet: &Packet) -> TickInstrument<'a> {
    let Some(found) = table.get(packet.token) else { return TickInstrument::default() };
    TickInstrument {
        symbol: table.text(found.symbol),
        exchange: table.text(found.exchange),
        tradingsymbol: table.text(found.tradingsymbol),
        underlying: table.text(found.underlying),
        sector: table.text(found.sector),
        asset_class: table.text(found.asset_class),
        instrument_type: table.text(found.instrument_type),
        expiry_days: found.expiry_days,
        strike: found.strike,
    }
}

fn levels(segment: Segment, levels: &[Level; DEPTH_LEVELS]) -> [TickLevel; DEPTH_LEVELS] {
    levels.map(|level| TickLevel {
        price: segment.rupees(level.price),
        quantity: level.quantity,
        orders: level.orders,
    })
}
