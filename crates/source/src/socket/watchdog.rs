//! Three clocks of a connection: when to ping, when it is dead, when it only looks alive. Pure: instants come from
//! outside.

use crate::TickerOptions;
use std::time::Duration;
use tokio::time::Instant;

/// Most doublings of the data timeout.
const MOST_STRIKES: u32 = 5;

/// Data timeouts without a silence of that length, after which the socket counts as busy again.
const DENSE_TIMEOUTS: u32 = 6;

/// What is wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dead {
    /// No frame of any kind.
    Silent,
    /// Heartbeats, but no data in session.
    HeartbeatsOnly,
}

/// The clocks of one connection.
#[derive(Debug)]
pub(crate) struct Watchdog {
    ping_every: Duration,
    read_timeout: Duration,
    data_timeout: Duration,
    opened: Instant,
    last_frame: Instant,
    /// Last data, or the last moment out of session: from where silence counts.
    data_since: Instant,
    last_data: Option<Instant>,
    dense_since: Instant,
    next_ping: Instant,
    strikes: u32,
}

impl Watchdog {
    /// A connection that opened `now`, after `strikes` connections of the socket that only looked alive.
    pub(crate) fn new(options: &TickerOptions, now: Instant, strikes: u32) -> Self {
        Self {
            ping_every: options.ping_every,
            read_timeout: options.read_timeout,
            data_timeout: options.data_timeout,
            opened: now,
            last_frame: now,
            data_since: now,
            last_data: None,
            dense_since: now,
            next_ping: now + options.ping_every,
            strikes: strikes.min(MOST_STRIKES),
        }
    }

    /// Any frame came, data or not.
    pub(crate) fn frame(&mut self, now: Instant) {
        self.last_frame = now;
    }

    /// A data frame came.
    pub(crate) fn data(&mut self, now: Instant) {
        if now.duration_since(self.data_since) >= self.data_timeout {
            self.dense_since = now;
        }
        self.data_since = now;
        self.last_data = Some(now);
    }

    /// Our own queue was full for `waited`: that silence is not the other end's.
    pub(crate) fn stalled(&mut self, waited: Duration) {
        self.last_frame += waited;
        self.data_since += waited;
    }

    /// Whether the connection is dead. `expects_data`: the exchange is in session and something is subscribed.
    pub(crate) fn verdict(&mut self, now: Instant, expects_data: bool) -> Option<Dead> {
        if !expects_data {
            self.data_since = now;
            self.strikes = 0;
        }
        if now >= self.dense_since + self.data_timeout * DENSE_TIMEOUTS {
            self.strikes = if now < self.data_since + self.data_timeout { 0 } else { self.strikes };
        }
        if now >= self.last_frame + self.read_timeout {
            return Some(Dead::Silent);
        }
        if now >= self.data_due() {
            self.strikes = (self.strikes + 1).min(MOST_STRIKES);
            return Some(Dead::HeartbeatsOnly);
        }
        None
    }

    /// Whether to ping; the next ping is due an interval later.
    pub(crate) fn ping_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next_ping;
        if due {
            self.next_ping = now + self.ping_every;
        }
        due
    }

    /// When to look again; frames that come before only move it later.
    pub(crate) fn next_look(&self) -> Instant {
        self.next_ping.min(self.last_frame + self.read_timeout).min(self.data_due())
    }

    /// Consecutive connections that only looked alive, this one included.
    pub(crate) fn strikes(&self) -> u32 {
        self.strikes
    }

    /// How long data was waited for when the last verdict was that there is none.
    pub(crate) fn waited_for_data(&self, now: Instant) -> Duration {
        now.duration_since(self.data_since)
    }

    pub(crate) fn has_data(&self) -> bool {
        self.last_data.is_some()
    }

    /// How long the connection was good for.
    pub(crate) fn lived(&self, dead: Option<Dead>) -> Duration {
        let end = if dead == Some(Dead::HeartbeatsOnly) { self.last_data } else { Some(self.last_frame) };
        end.map_or(Duration::ZERO, |end| end.duration_since(self.opened))
    }

    fn data_due(&self) -> Instant {
        self.data_since + self.data_timeout * (1 << self.strikes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn watchdog(strikes: u32) -> (Watchdog, Instant) {
        let now = Instant::now();
        (Watchdog::new(&TickerOptions::default(), now, strikes), now)
    }

    #[test]
    fn six_seconds_without_any_frame_are_death() {
        let (mut dog, start) = watchdog(0);
        assert_eq!(dog.next_look(), start + Duration::from_millis(2_500));
        assert!(dog.ping_due(start + 3 * SECOND) && !dog.ping_due(start + 3 * SECOND));
        assert_eq!(dog.verdict(start + 5 * SECOND, true), None);
        assert_eq!(dog.next_look(), start + Duration::from_millis(5_500));
        dog.frame(start + 5 * SECOND);
        assert_eq!(dog.verdict(start + 10 * SECOND, false), None);
        assert_eq!(dog.verdict(start + 11 * SECOND, false), Some(Dead::Silent));
    }

    #[test]
    fn heartbeats_alone_are_death_only_in_session() {
        let (mut dog, start) = watchdog(0);
        for second in 1..100 {
            dog.frame(start + second * SECOND);
            assert_eq!(dog.verdict(start + second * SECOND, false), None);
        }
        for second in 100..109 {
            dog.frame(start + second * SECOND);
            assert_eq!(dog.verdict(start + second * SECOND, true), None, "{second}");
        }
        dog.frame(start + 109 * SECOND);
        assert_eq!(dog.verdict(start + 109 * SECOND, true), Some(Dead::HeartbeatsOnly));
        assert_eq!(dog.lived(Some(Dead::HeartbeatsOnly)), Duration::ZERO);
    }

    #[test]
    fn a_quiet_socket_is_given_longer_each_time_until_it_is_busy() {
        let (mut dog, start) = watchdog(2);
        let mut verdict_at = |second: u32, data: bool| {
            let now = start + second * SECOND;
            dog.frame(now);
            if data {
                dog.data(now);
            }
            (dog.verdict(now, true), dog.strikes())
        };
        // 10 s × 2²
        assert_eq!(verdict_at(39, false), (None, 2));
        assert_eq!(verdict_at(40, false), (Some(Dead::HeartbeatsOnly), 3));
        // dense for a minute: ten seconds are long again
        (45..105).for_each(|second| assert_eq!(verdict_at(second, true), (None, 3)));
        assert_eq!(verdict_at(105, true), (None, 0));
        assert_eq!(verdict_at(115, false), (Some(Dead::HeartbeatsOnly), 1));
    }

    #[test]
    fn our_own_stall_is_not_their_silence() {
        let (mut dog, start) = watchdog(0);
        dog.stalled(20 * SECOND);
        assert_eq!(dog.verdict(start + 25 * SECOND, true), None);
        assert_eq!(dog.verdict(start + 26 * SECOND, true), Some(Dead::Silent));
    }
}
