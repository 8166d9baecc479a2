//! A tick to fields.

use super::names::{ASKS, BIDS};
use super::{FlatLevel, FlatTick};
use tickhouse_model::{IST_OFFSET_SECONDS, Timestamp};

impl FlatTick {
    /// The fields of an entry that reads back as this tick: all of the brief's columns, so that programs that index them
    /// find them; of the added ones those that have a value. Times carry their offset and microseconds.
    pub fn to_fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::with_capacity(70);
        fields.push(("instrument_token", self.instrument_token.to_string()));
        fields.push(("symbol", self.symbol.clone()));
        fields.push(("exchange", self.exchange.clone()));
        fields.push(("timestamp", time_text(self.timestamp)));
        fields.push(("exchange_timestamp", time_text(self.exchange_timestamp)));
        self.prices_and_totals(&mut fields);
        for (levels, names) in [(&self.bids, &BIDS), (&self.asks, &ASKS)] {
            for (FlatLevel { price, quantity, orders }, names) in levels.iter().zip(names) {
                fields.push((names.price, price.to_string()));
                fields.push((names.quantity, quantity.to_string()));
                fields.push((names.orders, orders.to_string()));
            }
        }
        fields.push(("packet_type", self.packet_type.clone()));
        fields.push(("session_type", self.session_type.name().to_owned()));
        fields.push(("data_quality", self.data_quality.name().to_owned()));
        self.added(&mut fields);
        fields
    }

    fn prices_and_totals(&self, fields: &mut Vec<(&'static str, String)>) {
        let prices = [
            ("last_price", self.last_price),
            ("open_price", self.open_price),
            ("high_price", self.high_price),
            ("low_price", self.low_price),
            ("close_price", self.close_price),
            ("average_traded_price", self.average_traded_price),
        ];
        let totals = [
            ("volume", self.volume),
            ("last_traded_quantity", u64::from(self.last_traded_quantity)),
            ("total_buy_quantity", self.total_buy_quantity),
            ("total_sell_quantity", self.total_sell_quantity),
            ("open_interest", self.open_interest),
            ("oi_day_high", self.oi_day_high),
            ("oi_day_low", self.oi_day_low),
        ];
        fields.extend(prices.map(|(name, price)| (name, price.to_string())));
        fields.extend(totals.map(|(name, total)| (name, total.to_string())));
    }

    fn added(&self, fields: &mut Vec<(&'static str, String)>) {
        let texts = [
            ("tradingsymbol", &self.tradingsymbol),
            ("segment", &self.segment),
            ("underlying", &self.underlying),
            ("sector", &self.sector),
            ("asset_class", &self.asset_class),
            ("instrument_type", &self.instrument_type),
        ];
        fields.extend(
            texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, text.clone())),
        );
        if let Some(days) = self.expiry {
            let midnight = Timestamp::from_millis((i64::from(days) * 86_400 - IST_OFFSET_SECONDS) * 1_000);
            fields.push(("expiry", midnight.ist().date_text()));
        }
        if self.strike != 0.0 {
            fields.push(("strike", self.strike.to_string()));
        }
        if self.last_trade_time.is_some() {
            fields.push(("last_trade_time", time_text(self.last_trade_time)));
        }
    }
}

/// `2026-11-20T09:15:00.123456+05:30`, which Python's `fromisoformat` reads; empty for none.
pub(super) fn time_text(at: Timestamp) -> String {
    if !at.is_some() {
        return String::new();
    }
    let ist = at.ist();
    let (hour, minute, second) = ist.hms();
    let micros = at.as_nanos().rem_euclid(1_000_000_000) / 1_000;
    format!("{}T{hour:02}:{minute:02}:{second:02}.{micros:06}+05:30", ist.date_text())
}
