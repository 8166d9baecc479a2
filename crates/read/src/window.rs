//! Times as people type them.

use jiff::civil::Date;
use std::time::Duration;
use tickhouse_model::{IST_OFFSET_SECONDS, Timestamp};

const DAY: i64 = 86_400;

/// A text that names no time, or a window without time in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// Not a time.
    #[error(
        "{0:?} is not a time: write 2026-11-20, '2026-11-20 10:15', 10:15 (of today), now, or 15m (ago); \
         without an offset it is India's time"
    )]
    Time(String),
    /// Not a duration.
    #[error("{0:?} is not a duration: write 90s, 15m, 1h or 2d")]
    Duration(String),
    /// It ends before it begins.
    #[error("the window ends ({to}) before it begins ({from})")]
    Empty {
        /// Its begin.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
}

impl Window {
    /// From one instant to another.
    ///
    /// # Errors
    /// When it would end before it begins.
    pub const fn new(from: Timestamp, to: Timestamp) -> Result<Self, WindowError> {
        if from.as_nanos() > to.as_nanos() {
            return Err(WindowError::Empty { from, to });
        }
        Ok(Self { from, to })
    }

    /// A day of India.
    pub fn day(date: Date) -> Self {
        let epoch = Date::constant(1970, 1, 1);
        let days = i64::from((date - epoch).get_days());
        let from = Timestamp::from_millis((days * DAY - IST_OFFSET_SECONDS) * 1_000);
        Self { from, to: from.plus(Duration::from_hours(24)) }
    }

    /// The last stretch before `now`.
    pub fn last(duration: Duration, now: Timestamp) -> Self {
        Self { from: now.minus(duration), to: now }
    }

    /// India's date at its begin.
    pub fn first_day(&self) -> Date {
        date_of(self.from)
    }

    /// India's date of the last instant in it.
    pub fn last_day(&self) -> Date {
        date_of(self.to.minus(Duration::from_nanos(1)).max(self.from))
    }
}

/// A stretch of time as people ask for it; nothing: today so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Asked {
    /// Begin.
    pub from: Option<String>,
    /// End, exclusive; a day alone is included whole.
    pub to: Option<String>,
    /// The last stretch, as `15m`; it goes before the others.
    pub last: Option<String>,
    /// A day; it goes before begin and end.
    pub date: Option<Date>,
}

impl Asked {
    /// Whether nothing was asked for.
    pub const fn is_nothing(&self) -> bool {
        self.from.is_none() && self.to.is_none() && self.last.is_none() && self.date.is_none()
    }

    /// The stretch that was asked for.
    ///
    /// # Errors
    /// When a text names no time, or it would end before it begins.
    pub fn window(&self, now: Timestamp) -> Result<Window, WindowError> {
        if let Some(last) = &self.last {
            return Ok(Window::last(duration(last)?, now));
        }
        if let Some(date) = self.date {
            return Ok(Window::day(date));
        }
        Window::new(instant(self.from.as_deref().unwrap_or("today"), now)?, self.end(now)?)
    }

    /// Its end; the present where none was asked for.
    ///
    /// # Errors
    /// When the text names no time.
    pub fn end(&self, now: Timestamp) -> Result<Timestamp, WindowError> {
        let Some(text) = self.to.as_deref().map(str::trim) else { return Ok(now) };
        match text.parse::<Date>() {
            // a date with a time parses as a date too
            Ok(day) if text.len() == 10 => Ok(Window::day(day).to),
            _ if matches!(text, "today" | "yesterday") => {
                Ok(instant(text, now)?.plus(Duration::from_hours(24)))
            }
            _ => instant(text, now),
        }
    }
}

/// India's date at an instant.
pub(crate) fn date_of(at: Timestamp) -> Date {
    let (year, month, day) = at.ist().date();
    // within the years 1678 to 2262 that a timestamp can be
    Date::new(year as i16, month as i8, day as i8).unwrap_or(Date::ZERO)
}

/// The instant that a text names: a date, a date with a time (with or without an offset; without one it is India's), a time of
/// today, `now`, or a duration before `now`.
///
/// # Errors
/// When it names none.
pub fn instant(text: &str, now: Timestamp) -> Result<Timestamp, WindowError> {
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    let today = now.ist().date_text();
    match text {
        "today" => return Timestamp::from_text(&today).ok_or_else(|| WindowError::Time(text.to_owned())),
        "yesterday" => {
            let day = now.minus(Duration::from_hours(24)).ist().date_text();
            return Timestamp::from_text(&day).ok_or_else(|| WindowError::Time(text.to_owned()));
        }
        _ => {}
    }
    let of_today = || {
        let is_clock = text.as_bytes().get(2) == Some(&b':');
        is_clock.then(|| Timestamp::from_text(&format!("{today} {text}"))).flatten()
    };
    let ago = || duration(text).ok().map(|duration| now.minus(duration));
    Timestamp::from_text(text)
        .or_else(of_today)
        .or_else(ago)
        .ok_or_else(|| WindowError::Time(text.to_owned()))
}

/// A duration like `90s`, `15m`, `1h`, `2d`, `1w`.
///
/// # Errors
/// When the text is none, or it is 0.
pub fn duration(text: &str) -> Result<Duration, WindowError> {
    let wrong = || WindowError::Duration(text.to_owned());
    let split = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    if number == 0 {
        return Err(wrong());
    }
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_text("2026-11-20 10:15:30").unwrap()
    }

    #[test]
    fn times_as_people_type_them() {
        let at = |text: &str| instant(text, now()).unwrap().to_string();
        assert_eq!(at("2026-11-19"), "2026-11-19T00:00:00.000+05:30");
        assert_eq!(at("2026-11-19 09:15"), "2026-11-19T09:15:00.000+05:30");
        assert_eq!(at("2026-11-19T03:45:00Z"), "2026-11-19T09:15:00.000+05:30");
        assert_eq!(at("09:15"), "2026-11-20T09:15:00.000+05:30");
        assert_eq!(at("09:15:01.5"), "2026-11-20T09:15:01.500+05:30");
        assert_eq!(at("now"), "2026-11-20T10:15:30.000+05:30");
        assert_eq!(at("today"), "2026-11-20T00:00:00.000+05:30");
        assert_eq!(at("yesterday"), "2026-11-19T00:00:00.000+05:30");
        assert_eq!(at("15m"), "2026-11-20T10:00:30.000+05:30");
        for wrong in ["", "25:00", "tomorrow", "2026-13-01", "m", "0s", "1y", "é", "-1h", "99999999999d"] {
            assert!(instant(wrong, now()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_window_knows_its_days() {
        let day = Window::day(Date::constant(2026, 11, 20));
        assert_eq!(day.from.to_string(), "2026-11-20T00:00:00.000+05:30");
        assert_eq!(
            (day.first_day(), day.last_day()),
            (Date::constant(2026, 11, 20), Date::constant(2026, 11, 20))
        );
        let last = Window::last(Duration::from_hours(11), now());
        assert_eq!(
            (last.first_day(), last.last_day()),
            (Date::constant(2026, 11, 19), Date::constant(2026, 11, 20))
        );
        assert!(Window::new(now(), now().minus(Duration::from_secs(1))).is_err());
    }
}
