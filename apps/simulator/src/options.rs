//! What a simulator is told at its start.

use crate::faults::FaultScript;
use crate::market::{ALL_OPEN, OpenSegments, slot};
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tickhouse_model::{Segment, Timestamp};
use tickhouse_telemetry::Clock;

/// Settings of a simulator. `SimOptions::default()` listens on a free port of 127.0.0.1 and accepts any credentials.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Where WebSocket and REST are served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Instruments listed, 1 to [`MOST_INSTRUMENTS`](crate::MOST_INSTRUMENTS).
    pub instruments: usize,
    /// Updates of the whole market per second of real time, 0 to 10 million. A connection gets those of the tokens that
    /// it subscribed to: one that has all of them in full mode gets `rate` packets a second, whatever their number.
    pub rate: f64,
    /// Packets in a frame. `None`: what is due goes out every 20 ms, at most 1,000 packets in one frame. `Some(n)`: every
    /// 2 ms in frames of exactly `n`; a remainder waits for company for at most 200 ms, and goes out before a pause.
    pub packets_per_frame: Option<u16>,
    /// Decides listings, prices and everything that happens.
    pub seed: u64,
    /// Dates the universe, the ticks and the ledger. The rate stays per second of real time, however fast it runs.
    pub clock: Clock,
    /// Where to append what was sent; see [`ledger`](crate::ledger).
    pub ledger: Option<PathBuf>,
    /// What goes wrong, and when.
    pub faults: Option<FaultScript>,
    /// `None` accepts any `api_key` and `access_token`.
    pub credentials: Option<Credentials>,
    /// When the exchange trades.
    pub session: Session,
    /// Factor on the rate at the opening (of a session, or of the simulator when it is always open); decays to 1 within
    /// about a minute. 1 for none.
    pub opening_burst: f64,
    /// Instruments that one connection may subscribe to. Kite documents 3,000.
    pub tokens_per_connection: usize,
    /// Open connections of one `api_key`. Kite documents 3.
    pub connections_per_key: usize,
    /// Whether Kite's documented request rates are enforced with 429.
    pub rate_limits: bool,
    /// What happens to a client that does not read as fast as the market moves.
    pub slow_client: SlowClient,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            instruments: 500,
            rate: 2_000.0,
            packets_per_frame: None,
            seed: 1,
            clock: Clock::system(),
            ledger: None,
            faults: None,
            credentials: None,
            session: Session::AlwaysOpen,
            opening_burst: 1.0,
            tokens_per_connection: 3_000,
            connections_per_key: 3,
            rate_limits: false,
            slow_client: SlowClient::Wait,
        }
    }
}

/// The one account that a strict simulator knows.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The app's public key.
    pub api_key: String,
    /// Checked as a part of `POST /session/token`'s checksum.
    pub api_secret: String,
    /// Valid from the start; `None` until somebody logs in.
    #[serde(default)]
    pub access_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("api_key", &self.api_key).finish_non_exhaustive()
    }
}

/// What happens when a connection's queue of updates is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowClient {
    /// The market waits, so nothing is lost and the ledger is a complete oracle; every other connection waits too.
    #[default]
    Wait,
    /// The connection is closed, as Kite does.
    Disconnect,
}

/// When the market moves. Subscriptions are answered with last values at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Every segment, every hour of every day.
    #[default]
    AlwaysOpen,
    /// Monday to Friday in each exchange's regular hours. Holidays are not known.
    Regular,
    /// Every segment, every day, from `open` (included) to `close`, in seconds since midnight in India.
    Window {
        /// First second of trade, 0 to 86 399.
        open: u32,
        /// First second without trade.
        close: u32,
    },
}

/// From 2026-08-03 on, equity derivatives trade to 15:40.
const LONGER_DERIVATIVES: i32 = 20_668;

impl Session {
    /// Which segments trade.
    pub(crate) fn open_segments(self, now: Timestamp) -> OpenSegments {
        let ist = now.ist();
        match self {
            Self::AlwaysOpen => ALL_OPEN,
            Self::Window { open, close } => [(open..close).contains(&ist.second_of_day); 16],
            Self::Regular => {
                let mut segments = [false; 16];
                // 1970-01-01 was a Thursday
                let weekend = (ist.days_since_epoch + 3).rem_euclid(7) >= 5;
                for number in 1..16 {
                    let (open, close) = regular_hours(Segment(number), ist.days_since_epoch);
                    segments[slot(Segment(number))] = !weekend && (open..close).contains(&ist.second_of_day);
                }
                segments
            }
        }
    }
}

/// First and last second of a segment's regular session.
pub(crate) fn regular_hours(segment: Segment, day: i32) -> (u32, u32) {
    const fn at(hour: u32, minute: u32) -> u32 {
        hour * 3_600 + minute * 60
    }
    match segment {
        Segment::NFO | Segment::BFO if day >= LONGER_DERIVATIVES => (at(9, 15), at(15, 40)),
        Segment::CDS | Segment::BCD => (at(9, 0), at(17, 0)),
        Segment::MCX | Segment::NCO => (at(9, 0), at(23, 30)),
        _ => (at(9, 15), at(15, 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(session: Session, millis: i64) -> Vec<u8> {
        let segments = session.open_segments(Timestamp::from_millis(millis));
        (1..13).filter(|number| segments[usize::from(*number)]).collect()
    }

    #[test]
    fn regular_hours_close_segment_by_segment() {
        let friday = 1_795_113_000_000; // 2026-11-20T00:00:00+05:30
        let minutes = |minutes: i64| friday + minutes * 60_000;
        assert!(open(Session::Regular, minutes(8 * 60)).is_empty());
        assert_eq!(open(Session::Regular, minutes(9 * 60 + 14)), [3, 6, 7, 12]);
        assert_eq!(open(Session::Regular, minutes(9 * 60 + 15)).len(), 12);
        assert_eq!(open(Session::Regular, minutes(15 * 60 + 35)), [2, 3, 5, 6, 7, 12]);
        assert!(open(Session::Regular, minutes(24 * 60 + 12 * 60)).is_empty(), "Saturday");
        assert_eq!(
            LONGER_DERIVATIVES,
            jiff::civil::date(2026, 8, 3).duration_since(jiff::civil::date(1970, 1, 1)).as_hours() as i32
                / 24
        );
    }
}
