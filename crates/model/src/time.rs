//! One type for every instant, and India's wall clock without a time-zone database.

mod text;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// India Standard Time is UTC+05:30 all year and has no daylight saving.
pub const IST_OFFSET_SECONDS: i64 = 19_800;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// An instant: nanoseconds since 1970-01-01 00:00:00 UTC. Range: years 1678 to 2262. [`Timestamp::NONE`] (0) stands
/// for "not sent", as a zero does on Kite's wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The sentinel for an absent time: what Kite sends when there was no trade, or no exchange time.
    pub const NONE: Self = Self(0);

    /// An instant from nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// An instant from milliseconds since the Unix epoch; saturates at the ends of the range.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// An instant from Kite's wire: Unix seconds UTC, 0 for none.
    pub const fn from_kite_seconds(seconds: u32) -> Self {
        Self(seconds as i64 * NANOS_PER_SECOND)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, rounded down: what a `DateTime64(3)` column holds.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// Whether a time was sent at all.
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Time from `earlier` to `self`; zero when `earlier` is the later of the two.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The instant `duration` after this one; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The instant `duration` before this one; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// India's wall clock at this instant.
    pub fn ist(self) -> IstDateTime {
        let local = self.as_seconds() + IST_OFFSET_SECONDS;
        IstDateTime {
            days_since_epoch: local.div_euclid(SECONDS_PER_DAY) as i32,
            second_of_day: local.rem_euclid(SECONDS_PER_DAY) as u32,
        }
    }
}

impl fmt::Display for Timestamp {
    /// `2026-11-20T09:15:00.123+05:30`: India's time to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ist = self.ist();
        let (hour, minute, second) = ist.hms();
        let millis = self.as_millis().rem_euclid(1_000);
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}.{millis:03}+05:30", ist.date_text())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A date and time of day in India, as ClickHouse's `Date` and the calendar files count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IstDateTime {
    /// Days since 1970-01-01: the value of a `Date` column.
    pub days_since_epoch: i32,
    /// Seconds since midnight, 0 to 86 399.
    pub second_of_day: u32,
}

impl IstDateTime {
    /// Hour of the day, 0 to 23: the `hour` column.
    pub const fn hour(self) -> u8 {
        (self.second_of_day / 3_600) as u8
    }

    /// Hour, minute and second of the day.
    pub const fn hms(self) -> (u32, u32, u32) {
        (self.second_of_day / 3_600, self.second_of_day / 60 % 60, self.second_of_day % 60)
    }

    /// Proleptic Gregorian (year, month, day).
    pub fn date(self) -> (i32, u8, u8) {
        // Howard Hinnant's civil_from_days, <https://howardhinnant.github.io/date_algorithms.html>
        let z = i64::from(self.days_since_epoch) + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u8;
        let year = (year_of_era + era * 400) as i32 + i32::from(month <= 2);
        (year, month, day)
    }

    /// `2026-11-20`.
    pub fn date_text(self) -> String {
        let (year, month, day) = self.date();
        format!("{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_time_of_the_real_fixture_is_1041_in_india() {
        // mocks_ticker_full.json gives 2021-07-05T10:41:27+05:30 for 1625461887
        assert_eq!(Timestamp::from_kite_seconds(1_625_461_887).to_string(), "2021-07-05T10:41:27.000+05:30");
    }

    #[test]
    fn midnight_in_india_begins_a_new_date() {
        let last = Timestamp::from_millis(1_763_663_399_999).ist();
        let first = Timestamp::from_millis(1_763_663_400_000).ist();
        assert_eq!((last.date_text(), last.hour()), ("2025-11-20".to_owned(), 23));
        assert_eq!((first.date_text(), first.hour()), ("2025-11-21".to_owned(), 0));
    }

    proptest! {
        #[test]
        fn calendar_agrees_with_jiff(seconds in -2_000_000_000_i64..8_000_000_000) {
            let ours = Timestamp::from_millis(seconds * 1_000).ist();
            let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(5).saturating_add(jiff::Span::new().minutes(30)));
            let theirs = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(zone);
            prop_assert_eq!(ours.date_text(), theirs.date().to_string());
            prop_assert_eq!(u32::from(ours.hour()), theirs.hour() as u32);
        }

        #[test]
        fn arithmetic_never_panics(at in any::<i64>(), by in any::<u64>()) {
            let at = Timestamp::from_nanos(at);
            let by = Duration::from_nanos(by);
            prop_assert!(at.plus(by) >= at && at.minus(by) <= at);
        }
    }
}
