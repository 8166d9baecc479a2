//! Expiry dates relative to a day. Holidays are not looked at: an expiry that falls on one stays there.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan as _};

/// One expiry of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    pub(super) date: Date,
    /// The month's last one: named by month, not by day.
    pub(super) monthly: bool,
}

impl Expiry {
    /// The part of a trading symbol between underlying and strike: `26NOV`, or `26N24` (months 1–9, O, N, D).
    pub(super) fn code(self) -> String {
        let (year, month, day) = (self.date.year() % 100, self.date.month() as usize, self.date.day());
        if self.monthly {
            const MONTHS: [&str; 12] =
                ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
            return format!("{year:02}{}", MONTHS[month - 1]);
        }
        format!("{year:02}{}{day:02}", char::from(b"123456789OND"[month - 1]))
    }

    /// Years from a day to the close of the expiry day.
    pub(super) fn years_from(self, day: Date) -> f64 {
        let days = day.until(self.date).map_or(0, |span| span.get_days());
        (f64::from(days) + 0.5) / 365.0
    }
}

/// The next expiries on or after `day`: `weeks` weekly ones and `months` monthly ones, in order.
pub(super) fn expiries(day: Date, weekday: Weekday, weeks: usize, months: usize) -> Vec<Expiry> {
    let monthly = |date: Date| date.saturating_add(7.days()).month() != date.month();
    let first = day.saturating_add(Span::new().days(i64::from(day.weekday().until(weekday))));
    let mut found = Vec::with_capacity(weeks + months);
    let (mut weeks_left, mut months_left) = (weeks, months);
    for week in 0_i64.. {
        let date = first.saturating_add(Span::new().weeks(week));
        let expiry = Expiry { date, monthly: monthly(date) };
        let wanted = weeks_left > 0 || (expiry.monthly && months_left > 0);
        weeks_left = weeks_left.saturating_sub(1);
        months_left = months_left.saturating_sub(usize::from(expiry.monthly));
        if wanted {
            found.push(expiry);
        }
        if weeks_left == 0 && months_left == 0 {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn nifty_of_november_2026() {
        let codes = |day| -> Vec<_> {
            expiries(day, Weekday::Tuesday, 2, 2)
                .into_iter()
                .map(|expiry| (expiry.date, expiry.code()))
                .collect()
        };
        assert_eq!(
            codes(date(2026, 11, 11)),
            [
                (date(2026, 11, 17), "26N17".to_owned()),
                (date(2026, 11, 24), "26NOV".to_owned()),
                (date(2026, 12, 29), "26DEC".to_owned()),
            ]
        );
        assert_eq!(codes(date(2026, 11, 24))[0].0, date(2026, 11, 24), "the day itself still trades");
    }

    #[test]
    fn single_digit_months_have_their_digit() {
        assert_eq!(Expiry { date: date(2026, 3, 3), monthly: false }.code(), "26303");
    }
}
