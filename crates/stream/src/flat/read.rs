//! Fields to a tick.

use super::names::{ASKS, BIDS, COMPUTED};
use super::value::Value;
use super::{FlatEntry, FlatError, FlatLevel, FlatTick};
use tickhouse_model::{DataQuality, SessionType};

impl FlatTick {
    /// Reads an entry's fields. Of a field that comes twice the last one counts, as in a Python dictionary.
    ///
    /// # Errors
    /// When there is no token, or a value does not fit its column; the first such field is named.
    pub fn from_fields<F: AsRef<[u8]>, V: AsRef<[u8]>>(
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<FlatEntry, FlatError> {
        let mut entry = FlatEntry::default();
        let mut has_token = false;
        for (field, value) in fields {
            let (field, value) = (field.as_ref(), Value { field: field.as_ref(), bytes: value.as_ref() });
            if field == b"instrument_token" {
                has_token = !value.is_nothing();
            }
            if !set(&mut entry.tick, field, value)? && !COMPUTED.iter().any(|name| name.as_bytes() == field) {
                entry.unknown_fields += 1;
            }
        }
        if !has_token {
            return Err(FlatError::NoToken);
        }
        if !entry.tick.exchange_timestamp.is_some() {
            entry.tick.exchange_timestamp = entry.tick.timestamp;
        }
        Ok(entry)
    }
}

/// Puts a value into its column; false when there is none of the name.
fn set(tick: &mut FlatTick, field: &[u8], value: Value<'_>) -> Result<bool, FlatError> {
    match field {
        b"instrument_token" => tick.instrument_token = value.integer()?,
        b"timestamp" => tick.timestamp = value.time()?,
        b"exchange_timestamp" => tick.exchange_timestamp = value.time()?,
        b"last_trade_time" => tick.last_trade_time = value.time()?,
        b"last_price" => tick.last_price = value.float()?,
        b"open_price" => tick.open_price = value.float()?,
        b"high_price" => tick.high_price = value.float()?,
        b"low_price" => tick.low_price = value.float()?,
        b"close_price" => tick.close_price = value.float()?,
        b"average_traded_price" => tick.average_traded_price = value.float()?,
        b"strike" => tick.strike = value.float()?,
        b"volume" => tick.volume = value.integer()?,
        b"last_traded_quantity" => tick.last_traded_quantity = value.integer()?,
        b"total_buy_quantity" => tick.total_buy_quantity = value.integer()?,
        b"total_sell_quantity" => tick.total_sell_quantity = value.integer()?,
        b"open_interest" => tick.open_interest = value.integer()?,
        b"oi_day_high" => tick.oi_day_high = value.integer()?,
        b"oi_day_low" => tick.oi_day_low = value.integer()?,
        b"expiry" => tick.expiry = value.day()?,
        b"session_type" => {
            tick.session_type = value.word(SessionType::ALL, SessionType::name, "session_type")?;
        }
        b"data_quality" => {
            tick.data_quality = value.word(DataQuality::ALL, DataQuality::name, "data_quality")?;
        }
        _ => {
            if let Some(text) = text_column(tick, field) {
                *text = value.text()?;
            } else {
                return set_level(tick, field, value);
            }
        }
    }
    Ok(true)
}

fn text_column<'a>(tick: &'a mut FlatTick, field: &[u8]) -> Option<&'a mut String> {
    Some(match field {
        b"symbol" => &mut tick.symbol,
        b"tradingsymbol" => &mut tick.tradingsymbol,
        b"exchange" => &mut tick.exchange,
        b"segment" => &mut tick.segment,
        b"underlying" => &mut tick.underlying,
        b"sector" => &mut tick.sector,
        b"asset_class" => &mut tick.asset_class,
        b"instrument_type" => &mut tick.instrument_type,
        b"packet_type" => &mut tick.packet_type,
        _ => return None,
    })
}

fn set_level(tick: &mut FlatTick, field: &[u8], value: Value<'_>) -> Result<bool, FlatError> {
    let (side, names) = match field.get(..4) {
        Some(b"bid_") => (&mut tick.bids, &BIDS),
        Some(b"ask_") => (&mut tick.asks, &ASKS),
        _ => return Ok(false),
    };
    for (level, names) in side.iter_mut().zip(names) {
        let FlatLevel { price, quantity, orders } = level;
        if field == names.price.as_bytes() {
            *price = value.float()?;
        } else if field == names.quantity.as_bytes() {
            *quantity = value.integer()?;
        } else if field == names.orders.as_bytes() {
            *orders = value.integer()?;
        } else {
            continue;
        }
        return Ok(true);
    }
    Ok(false)
}
