//! Times as Kite and Python write them.

use super::{IST_OFFSET_SECONDS, NANOS_PER_SECOND, SECONDS_PER_DAY, Timestamp};

impl Timestamp {
    /// The instant that a text names: `2017-12-15T09:15:00+0530`, with `+05:30`, `Z` or no offset at all (then it is India's
    /// wall clock), with a space instead of the `T`, with or without seconds and up to nine digits of them, or a date
    /// alone, which is India's midnight. `None` for anything else, dates that no calendar has among it, and years outside of
    /// 1678 to 2261.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut rest = text.as_bytes();
        let year = i64::from(digits(&mut rest, 4)?);
        sign(&mut rest, b'-')?;
        let month = digits(&mut rest, 2)?;
        sign(&mut rest, b'-')?;
        let day = digits(&mut rest, 2)?;
        if !(1_678..=2_261).contains(&year)
            || !(1..=12).contains(&month)
            || day == 0
            || day > last_day(year, month)
        {
            return None;
        }
        let mut seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY;
        let (mut nanos, mut offset) = (0, IST_OFFSET_SECONDS);
        if !rest.is_empty() {
            sign(&mut rest, b'T').or_else(|| sign(&mut rest, b' '))?;
            let hour = digits(&mut rest, 2).filter(|hour| *hour < 24)?;
            sign(&mut rest, b':')?;
            let minute = digits(&mut rest, 2).filter(|minute| *minute < 60)?;
            let second = match sign(&mut rest, b':') {
                Some(()) => digits(&mut rest, 2).filter(|second| *second < 60)?,
                None => 0,
            };
            if sign(&mut rest, b'.').is_some() {
                nanos = fraction(&mut rest)?;
            }
            seconds += i64::from(hour * 3_600 + minute * 60 + second);
            offset = offset_of(rest)?;
        }
        Some(Self::from_nanos((seconds - offset) * NANOS_PER_SECOND + nanos))
    }
}

/// The next `count` bytes as a number, when all of them are digits.
fn digits(rest: &mut &[u8], count: usize) -> Option<u32> {
    let (head, tail) = rest.split_at_checked(count)?;
    let number = head
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))?;
    *rest = tail;
    Some(number)
}

fn sign(rest: &mut &[u8], wanted: u8) -> Option<()> {
    let (first, tail) = rest.split_first()?;
    (*first == wanted).then(|| *rest = tail)
}

/// One to nine digits behind the point, as nanoseconds.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let number = i64::from(digits(rest, count)?);
    Some(number * 10_i64.pow(9 - count as u32))
}

/// Seconds east of Greenwich of what follows the time of day; India's where nothing does.
fn offset_of(mut rest: &[u8]) -> Option<i64> {
    if rest.is_empty() {
        return Some(IST_OFFSET_SECONDS);
    }
    if rest == b"Z" || rest == b"z" {
        return Some(0);
    }
    let west = match sign(&mut rest, b'+') {
        Some(()) => false,
        None => sign(&mut rest, b'-').map(|()| true)?,
    };
    let hours = digits(&mut rest, 2).filter(|hours| *hours < 24)?;
    sign(&mut rest, b':');
    let minutes = digits(&mut rest, 2).filter(|minutes| *minutes < 60)?;
    let offset = i64::from(hours * 3_600 + minutes * 60);
    rest.is_empty().then_some(if west { -offset } else { offset })
}

fn last_day(year: i64, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. Howard Hinnant's `days_from_civil`, <https://howardhinnant.github.io/date_algorithms.html>
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from(month);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_of_one_instant() {
        let at = Timestamp::from_millis(1_513_309_500_000);
        for text in [
            "2017-12-15T09:15:00+0530",
            "2017-12-15T09:15:00+05:30",
            "2017-12-15 09:15:00",
            "2017-12-15 09:15",
            "2017-12-15T09:15:00.000",
            "2017-12-15T03:45:00Z",
            "2017-12-14 22:45:00.0-05:00",
        ] {
            assert_eq!(Timestamp::from_text(text), Some(at), "{text}");
        }
        assert_eq!(Timestamp::from_text("2017-12-15"), Timestamp::from_text("2017-12-15 00:00"));
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "now",
            "2017-12-15T",
            "2017-13-01",
            "2017-02-29",
            "2017-12-15T24:00:00",
            "2017-12-15T09:60",
            "15-12-2017",
            "2017-12-15T09:15:00+5",
            "2017-12-15T09:15:00 ",
            "2017-12-15T09:15:00.",
            "0000-01-01",
            "2017-12-15T09:15:00+05:30x",
            "2017-12-1\u{661}",
        ] {
            assert_eq!(Timestamp::from_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(seconds in -9_000_000_000_i64..9_000_000_000, nanos in 0_i32..1_000_000_000, half_hours in -24_i8..=24) {
            let at = jiff::Timestamp::new(seconds, nanos).unwrap();
            let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(i32::from(half_hours) * 1_800).unwrap());
            let zoned = at.to_zoned(zone);
            let expected = Some(Timestamp::from_nanos(at.as_nanosecond() as i64));
            for form in ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S.%9f%z"] {
                let text = zoned.strftime(form).to_string();
                prop_assert_eq!(Timestamp::from_text(&text), expected, "{}", text);
            }
        }

        #[test]
        fn never_panics(text in ".{0,40}", almost in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}[:.+Z0-9]{0,12}") {
            Timestamp::from_text(&text);
            Timestamp::from_text(&almost);
        }
    }
}
