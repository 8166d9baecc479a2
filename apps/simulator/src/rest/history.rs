//! `GET /instruments/historical/{token}/{interval}`: candles, the same for the same seed and times.
//!
//! Every interval is built from the same minutes, so five one-minute candles make exactly the five-minute one. Minutes in which the
//! market was running are made of its trades, as far back as it keeps them; before that, history is a formula around a listing's base
//! price, which does not join them.

use super::{Answer, KiteError, success};
use crate::market::{Minute, Traded};
use crate::options::regular_hours;
use crate::shared::Shared;
use crate::universe::{Listing, Pricing, on_grid};
use axum::extract::{Path, Query, State};
use jiff::civil::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tickhouse_model::{IST_OFFSET_SECONDS, Timestamp, Token};

const DAY: i64 = 86_400;

#[derive(Deserialize)]
pub(super) struct Span {
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    continuous: u8,
    #[serde(default)]
    oi: u8,
}

/// Minutes of a candle and most days in one request; 0 minutes stands for a day.
fn interval_of(name: &str) -> Option<(i64, i64)> {
    Some(match name {
        "minute" => (1, 60),
        "3minute" => (3, 100),
        "5minute" => (5, 100),
        "10minute" => (10, 100),
        "15minute" => (15, 200),
        "30minute" => (30, 200),
        "60minute" => (60, 400),
        "day" => (0, 2_000),
        _ => return None,
    })
}

pub(super) async fn candles(
    State(shared): State<Arc<Shared>>,
    Path((token, interval)): Path<(u32, String)>,
    Query(span): Query<Span>,
) -> Answer {
    let (minutes, most_days) = interval_of(&interval).ok_or_else(|| KiteError::input("invalid interval"))?;
    let from = seconds(span.from.as_deref(), false).ok_or_else(|| KiteError::input("invalid from date"))?;
    let to = seconds(span.to.as_deref(), true).ok_or_else(|| KiteError::input("invalid to date"))?;
    if from > to {
        return Err(KiteError::input("from date cannot be after to date"));
    }
    if to - from > most_days * DAY {
        return Err(KiteError::input(format!("interval exceeds max limit: {most_days} days")));
    }
    let index = shared.universe.index_of(Token(token)).ok_or_else(|| KiteError::input("invalid token"))?;
    let listing = shared.universe.listings()[index as usize].clone();
    if span.continuous == 1 && (minutes != 0 || listing.instrument_type != "FUT") {
        return Err(KiteError::input("continuous data is available for day candles of futures only"));
    }
    let to = to.min(shared.clock.now().as_seconds() + IST_OFFSET_SECONDS);
    let traded = shared.traded(index).await.ok_or_else(KiteError::closed)?;
    let history = History { seed: shared.seed, listing, open_interest: span.oi == 1, traded };
    // a long span is work: not on a thread that sends ticks
    let candles = tokio::task::spawn_blocking(move || history.candles(minutes, from, to)).await;
    Ok(success(json!({"candles": candles.map_err(|_| KiteError::closed())?})))
}

/// India's wall clock as seconds since 1970-01-01 00:00 there; a date alone is its first or last second.
fn seconds(text: Option<&str>, last: bool) -> Option<i64> {
    let text = text?.trim().replacen('T', " ", 1);
    let text = text.strip_suffix("+0530").or_else(|| text.strip_suffix("+05:30")).unwrap_or(&text);
    let whole = match (text.len(), last) {
        (10, false) => format!("{text} 00:00:00"),
        (10, true) => format!("{text} 23:59:59"),
        (16, _) => format!("{text}:00"),
        _ => text.to_owned(),
    };
    let parsed: DateTime = whole.parse().ok()?;
    Some(
        parsed
            .duration_since(DateTime::from_parts(
                jiff::civil::date(1970, 1, 1),
                jiff::civil::Time::midnight(),
            ))
            .as_secs(),
    )
}

struct History {
    seed: u64,
    listing: Listing,
    open_interest: bool,
    traded: Traded,
}

/// One minute, or several.
#[derive(Clone, Copy)]
struct Candle {
    start: i64,
    open: i32,
    high: i32,
    low: i32,
    close: i32,
    volume: u64,
    /// Of trades; of the formula none.
    traded_interest: Option<u32>,
}

impl History {
    /// Candles that begin in `from..=to`, both in seconds of India's wall clock.
    fn candles(&self, minutes: i64, from: i64, to: i64) -> Vec<Value> {
        let mut found = Vec::new();
        for day in from.div_euclid(DAY)..=to.div_euclid(DAY) {
            // 1970-01-01 was a Thursday
            if (day + 3).rem_euclid(7) >= 5 {
                continue;
            }
            let (open, close) = regular_hours(self.listing.token.segment(), day as i32);
            let (open, close) = (day * DAY + i64::from(open), day * DAY + i64::from(close));
            let length = if minutes == 0 { close - open } else { minutes * 60 };
            let mut start = open;
            while start < close {
                let end = (start + length).min(close);
                // a day's candle is stamped with its midnight
                let stamp = if minutes == 0 { day * DAY } else { start };
                if (from..=to).contains(&stamp)
                    && start <= to
                    && let Some(candle) = self.merged(start, end)
                {
                    found.push(self.describe(stamp, candle));
                }
                start = end;
            }
        }
        found
    }

    /// `None` where nothing was traded.
    fn merged(&self, start: i64, end: i64) -> Option<Candle> {
        let minutes = (start..end).step_by(60).filter_map(|at| self.minute(at));
        minutes.reduce(|candle, next| Candle {
            high: candle.high.max(next.high),
            low: candle.low.min(next.low),
            close: next.close,
            volume: candle.volume + next.volume,
            traded_interest: next.traded_interest.or(candle.traded_interest),
            ..candle
        })
    }

    fn minute(&self, start: i64) -> Option<Candle> {
        let number = (start - IST_OFFSET_SECONDS).div_euclid(60);
        if number < self.traded.since {
            return Some(self.formula(start));
        }
        let found = self.traded.minutes.binary_search_by_key(&number, |minute| minute.number).ok()?;
        let Minute { open, high, low, close, volume, open_interest, .. } = self.traded.minutes[found];
        Some(Candle { start, open, high, low, close, volume, traded_interest: Some(open_interest) })
    }

    fn formula(&self, start: i64) -> Candle {
        let (open, close) = (self.price(start), self.price(start + 60));
        let chance = self.chance(start);
        let wick = |bits: u64| (bits % 5) as i32 * self.listing.tick;
        let activity = (self.listing.weight * 400.0) as u64 + 1;
        Candle {
            start,
            open,
            high: open.max(close) + wick(chance),
            low: (open.min(close) - wick(chance >> 8)).max(self.listing.tick),
            close,
            volume: if self.listing.is_index() {
                0
            } else {
                (chance >> 16) % activity * u64::from(self.listing.lot_size)
            },
            traded_interest: None,
        }
    }

    /// Three waves of a year, a week and two hours, with phases of the instrument's own, and a little noise.
    fn price(&self, at: i64) -> i32 {
        let own = self.chance(0);
        let wave = |period: f64, shift: u32| {
            let phase = f64::from((own >> shift) as u16) / 65_536.0;
            ((at as f64 / period + phase) * std::f64::consts::TAU).sin()
        };
        let noise = f64::from(self.chance(at) as u16) / 65_536.0 - 0.5;
        let size = if matches!(self.listing.pricing, Pricing::Option { .. }) { 4.0 } else { 1.0 };
        let away = 0.08 * wave(31_536_000.0, 0)
            + 0.02 * wave(604_800.0, 16)
            + 0.004 * wave(7_200.0, 32)
            + 0.0006 * noise;
        on_grid(f64::from(self.listing.base) * (1.0 + size * away), self.listing.tick)
    }

    /// 64 bits of an instrument and a time: splitmix64.
    fn chance(&self, at: i64) -> u64 {
        let mut bits = self.seed
            ^ (u64::from(self.listing.token.0) << 32)
            ^ at.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn describe(&self, stamp: i64, candle: Candle) -> Value {
        let price = |raw| self.listing.token.segment().rupees(raw);
        let time = Timestamp::from_millis((stamp - IST_OFFSET_SECONDS) * 1_000).to_string();
        let time = format!("{}+0530", &time[..19]);
        let Candle { open, high, low, close, volume, .. } = candle;
        if self.open_interest {
            let open_interest = match candle.traded_interest {
                Some(open_interest) => u64::from(open_interest),
                None if self.listing.is_derivative() => {
                    let lots = self.chance(candle.start.div_euclid(900)) % 50_000 + 100;
                    lots * u64::from(self.listing.lot_size)
                }
                None => 0,
            };
            return json!([time, price(open), price(high), price(low), price(close), volume, open_interest]);
        }
        json!([time, price(open), price(high), price(low), price(close), volume])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::universe::Universe;
    use jiff::civil::date;

    fn history() -> History {
        let universe = Universe::generate(1, 500, date(2026, 11, 20));
        let infy = universe.find("NSE:INFY").unwrap();
        let traded = Traded { since: i64::MAX, minutes: Vec::new() };
        History { seed: 1, listing: universe.listings()[infy as usize].clone(), open_interest: false, traded }
    }

    fn at(text: &str) -> i64 {
        seconds(Some(text), false).unwrap()
    }

    #[test]
    fn times_are_indias() {
        assert_eq!(at("1970-01-02 00:00:01"), DAY + 1);
        assert_eq!(at("2026-11-20T09:15:00+0530"), at("2026-11-20 09:15"));
        assert_eq!(seconds(Some("2026-11-20"), true).unwrap() - at("2026-11-20"), DAY - 1);
        assert_eq!(seconds(Some("yesterday"), true), None);
    }

    #[test]
    fn a_day_of_minutes_makes_the_larger_candles() {
        let history = history();
        let (from, to) = (at("2026-11-19"), at("2026-11-19 23:59:59"));
        let minutes = history.candles(1, from, to);
        assert_eq!((minutes.len(), &minutes[0][0]), (375, &json!("2026-11-19T09:15:00+0530")));
        let day = &history.candles(0, from, to)[0];
        let column = |place: usize| minutes.iter().map(move |candle| candle[place].as_f64().unwrap());
        assert_eq!(day[0], "2026-11-19T00:00:00+0530");
        assert_eq!(day[1], minutes[0][1]);
        assert_eq!(day[2].as_f64(), column(2).max_by(f64::total_cmp));
        assert_eq!(day[3].as_f64(), column(3).min_by(f64::total_cmp));
        assert_eq!(day[4], minutes[374][4]);
        assert!((day[5].as_f64().unwrap() - column(5).sum::<f64>()).abs() < 0.5);
        assert_eq!(history.candles(60, from, to).len(), 7);
        assert!(history.candles(1, at("2026-11-21"), at("2026-11-22")).is_empty(), "a weekend");
    }
}
