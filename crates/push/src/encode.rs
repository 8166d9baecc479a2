//! Ticks back into the packets that they came from.
//!
//! What enters: ticks and the dialect that they are written in. What leaves: a binary message as Kite sends it, or the first
//! value that it can't hold. What never happens here: rounding beyond what floating-point arithmetic itself does, a value
//! that is left out silently.

use crate::{Dialect, PushError, PushedLevel, PushedOhlc, PushedTick, PushedTime, Refusal};
use bytes::Bytes;
use std::fmt;
use tickhouse_decode::FrameBuilder;
use tickhouse_model::{DEPTH_LEVELS, Level, Mode, Packet, PacketKind, Segment, Token};

/// Ticks that a push may have: about 0.9 MB of packets.
pub const MOST_TICKS: usize = 5_000;

/// How far from a whole number of the exchange's steps a price may be, in steps. A division and a multiplication of doubles
/// come within 0.000001 of it; a price of single precision, or one that was rounded or averaged, does not come near.
const NOISE: f64 = 1e-4;

const TWO_POW_31: f64 = 2_147_483_648.0;
const TWO_POW_32: f64 = 4_294_967_296.0;

/// Ticks as Kite's binary message: what a journal record of kind `pushed` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedMessage {
    bytes: Bytes,
    ticks: usize,
}

impl PushedMessage {
    /// The message.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn new(bytes: Vec<u8>, ticks: usize) -> Self {
        Self { bytes: bytes.into(), ticks }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Its packets.
    pub const fn ticks(&self) -> usize {
        self.ticks
    }
}

/// Makes the message of a push.
///
/// The one value that is made here is `net_change` of indices, which dictionaries don't have: last price minus close, as Kite
/// computes it; 0 without a close.
///
/// # Errors
/// [`PushError::Refused`] with the first tick and field that a packet can't hold; [`PushError::Count`].
pub fn encode(ticks: &[PushedTick], dialect: &Dialect) -> Result<PushedMessage, PushError> {
    if ticks.is_empty() || ticks.len() > MOST_TICKS {
        return Err(PushError::Count { found: ticks.len() });
    }
    let mut frame = FrameBuilder::default();
    for (index, tick) in ticks.iter().enumerate() {
        let packet = to_packet(tick, dialect).map_err(|refusal| Refusal { index, ..refusal })?;
        frame.push(&packet);
    }
    Ok(PushedMessage::new(frame.take(), ticks.len()))
}

/// The packet of one tick; [`encode`] says how.
///
/// # Errors
/// With the first field that a packet can't hold; the index is 0.
pub fn to_packet(tick: &PushedTick, dialect: &Dialect) -> Result<Packet, Refusal> {
    packet(tick, dialect).map_err(|(field, reason)| Refusal { index: 0, field: field.to_string(), reason })
}

/// A place in a tick; its text is made only for an error.
#[derive(Clone, Copy, Debug)]
enum Field {
    Of(&'static str),
    Level(&'static str, usize, &'static str),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(name) => f.write_str(name),
            Self::Level(side, index, name) => write!(f, "depth.{side}[{index}].{name}"),
        }
    }
}

type Refused = (Field, String);

fn refuse<T>(field: Field, reason: impl Into<String>) -> Result<T, Refused> {
    Err((field, reason.into()))
}

fn packet(tick: &PushedTick, dialect: &Dialect) -> Result<Packet, Refused> {
    let token = Token(tick.instrument_token);
    let segment = token.segment();
    if tick.tradable.is_some_and(|tradable| tradable == segment.is_index()) {
        let reason =
            format!("contradicts the token, whose segment {} is {}", segment.0, index_or_not(segment));
        return refuse(Field::Of("tradable"), reason);
    }
    let kind = match (tick.mode, segment.is_index()) {
        (Mode::Ltp, _) => PacketKind::Ltp,
        (Mode::Quote, true) => PacketKind::IndexQuote,
        (Mode::Full, true) => PacketKind::IndexFull,
        (Mode::Quote, false) => PacketKind::Quote,
        (Mode::Full, false) => PacketKind::Full,
    };
    let scale = Scale::of(segment, dialect)?;
    let mut packet = Packet::empty(token, kind);
    packet.last_price = scale.price(Field::Of("last_price"), tick.last_price)?;
    nothing_is_left_out(tick, kind)?;
    if kind == PacketKind::Ltp {
        return Ok(packet);
    }
    fill_ohlc(&mut packet, tick.ohlc, scale)?;
    if kind.is_index() {
        if packet.close_price != 0 {
            let change = packet.last_price.checked_sub(packet.close_price);
            packet.net_change = change.ok_or_else(|| {
                (Field::Of("ohlc.close"), "is too far from last_price for a packet".to_owned())
            })?;
        }
    } else {
        fill_totals(&mut packet, tick, scale)?;
    }
    if tick.mode == Mode::Full {
        packet.exchange_timestamp = seconds("exchange_timestamp", tick.exchange_timestamp, dialect)?;
    }
    if kind == PacketKind::Full {
        fill_full(&mut packet, tick, scale, dialect)?;
    }
    Ok(packet)
}

const fn index_or_not(segment: Segment) -> &'static str {
    if segment.is_index() { "that of indices" } else { "not that of indices" }
}

fn fill_ohlc(packet: &mut Packet, ohlc: Option<PushedOhlc>, scale: Scale) -> Result<(), Refused> {
    let Some(ohlc) = ohlc else { return missing("ohlc") };
    packet.open_price = scale.price(Field::Of("ohlc.open"), ohlc.open)?;
    packet.high_price = scale.price(Field::Of("ohlc.high"), ohlc.high)?;
    packet.low_price = scale.price(Field::Of("ohlc.low"), ohlc.low)?;
    packet.close_price = scale.price(Field::Of("ohlc.close"), ohlc.close)?;
    Ok(())
}

fn fill_totals(packet: &mut Packet, tick: &PushedTick, scale: Scale) -> Result<(), Refused> {
    let needed = |name, value: Option<i64>| match value {
        Some(value) => scale.quantity(Field::Of(name), value),
        None => missing(name),
    };
    let Some(average) = tick.average_traded_price else { return missing("average_traded_price") };
    packet.last_traded_quantity = needed("last_traded_quantity", tick.last_traded_quantity)?;
    packet.average_traded_price = scale.price(Field::Of("average_traded_price"), average)?;
    packet.volume = needed("volume_traded", tick.volume_traded)?;
    packet.total_buy_quantity = needed("total_buy_quantity", tick.total_buy_quantity)?;
    packet.total_sell_quantity = needed("total_sell_quantity", tick.total_sell_quantity)?;
    Ok(())
}

/// What only a full packet has. Kite sends 0 where there is no trade or no open interest, so that may be absent.
fn fill_full(packet: &mut Packet, tick: &PushedTick, scale: Scale, dialect: &Dialect) -> Result<(), Refused> {
    let or_zero =
        |name, value: Option<i64>| value.map_or(Ok(0), |value| scale.quantity(Field::Of(name), value));
    packet.last_trade_time = seconds("last_trade_time", tick.last_trade_time, dialect)?;
    packet.open_interest = or_zero("oi", tick.oi)?;
    packet.oi_day_high = or_zero("oi_day_high", tick.oi_day_high)?;
    packet.oi_day_low = or_zero("oi_day_low", tick.oi_day_low)?;
    let Some(depth) = &tick.depth else { return missing("depth") };
    fill_side(&mut packet.bids, "buy", &depth.buy, scale)?;
    fill_side(&mut packet.asks, "sell", &depth.sell, scale)
}

fn fill_side(
    levels: &mut [Level; DEPTH_LEVELS],
    side: &'static str,
    pushed: &[PushedLevel; DEPTH_LEVELS],
    scale: Scale,
) -> Result<(), Refused> {
    for (index, (level, pushed)) in levels.iter_mut().zip(pushed).enumerate() {
        let field = |name| Field::Level(side, index, name);
        level.price = scale.price(field("price"), pushed.price)?;
        level.quantity = scale.quantity(field("quantity"), pushed.quantity)?;
        level.orders = match u16::try_from(pushed.orders) {
            Ok(orders) => orders,
            Err(_) => return refuse(field("orders"), format!("{} is not within 0 to 65535", pushed.orders)),
        };
    }
    Ok(())
}

fn missing<T>(name: &'static str) -> Result<T, Refused> {
    refuse(Field::Of(name), "is missing: packets of this mode have it")
}

/// A packet of a smaller mode has no place for the fields of a larger one. Zeros and nothing lose nothing.
fn nothing_is_left_out(tick: &PushedTick, kind: PacketKind) -> Result<(), Refused> {
    let number = |value: Option<i64>| value.is_some_and(|value| value != 0);
    let time = |value: PushedTime| !matches!(value, PushedTime::None | PushedTime::Unix(0));
    let (trades, full) = (matches!(kind, PacketKind::Quote | PacketKind::Full), kind == PacketKind::Full);
    let ohlc = tick
        .ohlc
        .is_some_and(|ohlc| [ohlc.open, ohlc.high, ohlc.low, ohlc.close].iter().any(|price| *price != 0.0));
    let of_trades = [
        ("last_traded_quantity", number(tick.last_traded_quantity)),
        ("average_traded_price", tick.average_traded_price.is_some_and(|price| price != 0.0)),
        ("volume_traded", number(tick.volume_traded)),
        ("total_buy_quantity", number(tick.total_buy_quantity)),
        ("total_sell_quantity", number(tick.total_sell_quantity)),
    ];
    let of_full = [
        ("last_trade_time", time(tick.last_trade_time)),
        ("oi", number(tick.oi)),
        ("oi_day_high", number(tick.oi_day_high)),
        ("oi_day_low", number(tick.oi_day_low)),
        ("depth", tick.depth.is_some_and(|depth| depth != crate::PushedDepth::default())),
    ];
    let stamped = full || kind == PacketKind::IndexFull;
    let left_out = (kind == PacketKind::Ltp && ohlc)
        .then_some("ohlc")
        .or_else(|| (!stamped && time(tick.exchange_timestamp)).then_some("exchange_timestamp"))
        .or_else(|| of_trades.iter().find(|(_, there)| *there && !trades).map(|(name, _)| *name))
        .or_else(|| of_full.iter().find(|(_, there)| *there && !full).map(|(name, _)| *name));
    match left_out {
        Some(name) => refuse(Field::Of(name), format!("is no part of a packet of kind {}", kind.name())),
        None => Ok(()),
    }
}

/// From what a program made of integers back to them.
#[derive(Clone, Copy, Debug)]
struct Scale {
    divisor: u32,
    unsigned_prices: bool,
    signed_quantities: bool,
}

impl Scale {
    fn of(segment: Segment, dialect: &Dialect) -> Result<Self, Refused> {
        let source = dialect.source;
        let Some(divisor) = source.divisor(segment) else {
            let reason = format!(
                "programs disagree about prices of segment {} ({}): declare the source, as in source=pykiteconnect/5.2.2",
                segment.0,
                segment.name()
            );
            return refuse(Field::Of("last_price"), reason);
        };
        let (unsigned_prices, signed_quantities) = (source.unsigned_prices(), source.signed_quantities());
        Ok(Self { divisor, unsigned_prices, signed_quantities })
    }

    #[inline]
    fn price(self, field: Field, value: f64) -> Result<i32, Refused> {
        let steps = value * f64::from(self.divisor);
        let whole = steps.round();
        // false for what is no number, too
        let on_grid = (steps - whole).abs() <= NOISE;
        if !on_grid {
            return refuse(
                field,
                format!("{value} is no multiple of 1/{}: a packet can't hold it", self.divisor),
            );
        }
        if (-TWO_POW_31..TWO_POW_31).contains(&whole) {
            return Ok(whole as i32);
        }
        if self.unsigned_prices && (TWO_POW_31..TWO_POW_32).contains(&whole) {
            return Ok((whole as u32).cast_signed());
        }
        refuse(
            field,
            format!(
                "{value} is out of range: a packet holds prices up to {}",
                TWO_POW_31 / f64::from(self.divisor)
            ),
        )
    }

    #[inline]
    fn quantity(self, field: Field, value: i64) -> Result<u32, Refused> {
        if let Ok(number) = u32::try_from(value) {
            return Ok(number);
        }
        match i32::try_from(value) {
            Ok(wrapped) if self.signed_quantities => Ok(wrapped.cast_unsigned()),
            _ => refuse(field, format!("{value} is not within 0 to {}", u32::MAX)),
        }
    }
}

fn seconds(name: &'static str, time: PushedTime, dialect: &Dialect) -> Result<u32, Refused> {
    let seconds = match time {
        PushedTime::None => return Ok(0),
        PushedTime::Unix(seconds) => seconds,
        PushedTime::Local(local) => match dialect.zone.to_ambiguous_timestamp(local).unambiguous() {
            Ok(at) => at.as_second(),
            Err(_) => {
                return refuse(
                    Field::Of(name),
                    format!("{local} was shown twice or never by clocks of this zone: write an offset"),
                );
            }
        },
    };
    let in_range = u32::try_from(seconds);
    in_range.map_err(|_| (Field::Of(name), format!("{seconds} s since 1970 is not within 0 to {}", u32::MAX)))
}

#[cfg(test)]
mod tests;
