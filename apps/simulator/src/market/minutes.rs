//! What was traded in each minute, as the exchange would make candles of it.
//!
//! What enters: an instrument's packet before and after each update. What leaves: prices and volume by minute, for history. What never
//! happens here: memory that grows for ever; a minute of which the begin was not seen.

use std::collections::VecDeque;
use tickhouse_model::{Packet, Timestamp};

/// As many minutes as are kept of an instrument: those in which it traded last.
const KEPT: usize = 120;

/// One minute of an instrument. Prices are raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minute {
    /// Its begin, minutes since 1970-01-01 UTC.
    pub(crate) number: i64,
    pub(crate) open: i32,
    pub(crate) high: i32,
    pub(crate) low: i32,
    pub(crate) close: i32,
    pub(crate) volume: u64,
    /// The last one; 0 where there is none.
    pub(crate) open_interest: u32,
}

/// The minutes of an instrument.
#[derive(Clone, Debug)]
pub(crate) struct Traded {
    /// From this one on, every minute with a trade is known.
    pub(crate) since: i64,
    pub(crate) minutes: Vec<Minute>,
}

/// The minutes of all instruments, by place in the universe.
#[derive(Debug)]
pub(super) struct Minutes {
    since: i64,
    kept: Vec<VecDeque<Minute>>,
}

impl Minutes {
    /// From the first whole minute after `now` on.
    pub(super) fn since(now: Timestamp, instruments: usize) -> Self {
        Self { since: minute_of(now) + 1, kept: vec![VecDeque::new(); instruments] }
    }

    /// Takes an update in. Of an index every value counts, of others what a trade changed.
    pub(super) fn note(&mut self, index: u32, now: Timestamp, before: &Packet, after: &Packet) {
        let number = minute_of(now);
        // on a new day the count begins anew
        let volume = u64::from(after.volume.checked_sub(before.volume).unwrap_or(after.volume));
        if number < self.since {
            return;
        }
        let (price, open_interest) = (after.last_price, after.open_interest);
        let is_trade = volume > 0 || after.kind.is_index();
        let kept = &mut self.kept[index as usize];
        match kept.back_mut() {
            Some(last) if last.number == number => {
                last.open_interest = open_interest;
                if !is_trade {
                    return;
                }
                last.high = last.high.max(price);
                last.low = last.low.min(price);
                last.close = price;
                last.volume += volume;
            }
            _ if !is_trade => {}
            _ => {
                if kept.len() == KEPT {
                    kept.pop_front();
                }
                kept.push_back(Minute {
                    number,
                    open: price,
                    high: price,
                    low: price,
                    close: price,
                    volume,
                    open_interest,
                });
            }
        }
    }

    pub(super) fn of(&self, index: u32) -> Traded {
        let kept = &self.kept[index as usize];
        let dropped = kept.front().filter(|_| kept.len() == KEPT).map_or(0, |first| first.number);
        Traded { since: self.since.max(dropped), minutes: kept.iter().copied().collect() }
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhouse_model::{PacketKind, Token};

    #[test]
    fn minutes_hold_their_trades_and_are_forgotten_one_day() {
        let at = |minute: i64, second: i64| Timestamp::from_millis((minute * 60 + second) * 1_000);
        let packet = |price: i32, volume: u32| {
            let mut packet = Packet::empty(Token(257), PacketKind::Full);
            (packet.last_price, packet.volume, packet.open_interest) = (price, volume, volume * 2);
            packet
        };
        let mut minutes = Minutes::since(at(10, 5), 1);
        minutes.note(0, at(10, 50), &packet(1, 0), &packet(2, 5));
        for (second, price, before, after) in [(1, 7, 5, 9), (2, 4, 9, 10), (3, 9, 10, 10), (4, 6, 10, 12)] {
            minutes.note(0, at(11, second), &packet(0, before), &packet(price, after));
        }
        let found = minutes.of(0);
        let minute = Minute { number: 11, open: 7, high: 7, low: 4, close: 6, volume: 7, open_interest: 24 };
        assert_eq!(
            (found.since, found.minutes),
            (11, vec![minute]),
            "the tenth was under way; 9 was no trade"
        );
        for minute in 12..12 + KEPT as i64 {
            minutes.note(0, at(minute, 0), &packet(0, 0), &packet(5, 3));
        }
        let found = minutes.of(0);
        assert_eq!((found.since, found.minutes.len()), (12, KEPT));
    }
}
