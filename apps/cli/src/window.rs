//! Flags that name a stretch of time.

use clap::Args;
use jiff::civil::Date;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_read::{Window, WindowError, duration, instant};

const A_DAY: Duration = Duration::from_hours(24);

/// Which stretch of time; without any of them today.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct When {
    /// Begin: 2026-11-20, '2026-11-20 10:15', 10:15 (of today) or 2h (ago); India's time
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// End, exclusive; a day alone is included whole [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// The last stretch: 90s, 15m, 1h, 2d
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["from", "to", "date"])]
    pub(crate) last: Option<String>,
    /// A day
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with_all = ["from", "to"])]
    pub(crate) date: Option<Date>,
}

impl When {
    /// The stretch that was asked for.
    pub(crate) fn window(&self, now: Timestamp) -> Result<Window, WindowError> {
        if let Some(date) = self.date {
            return Ok(Window::day(date));
        }
        if let Some(last) = &self.last {
            return Ok(Window::last(duration(last)?, now));
        }
        let from = match &self.from {
            Some(text) => instant(text, now)?,
            None => instant("today", now)?,
        };
        let to = match &self.to {
            // a date with a time parses as a date too
            Some(text) => match text.trim().parse::<Date>() {
                Ok(day) if text.trim().len() == 10 => Window::day(day).to,
                _ if matches!(text.trim(), "today" | "yesterday") => instant(text, now)?.plus(A_DAY),
                _ => instant(text, now)?,
            },
            None => now,
        };
        Window::new(from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_name_a_stretch() {
        let now = Timestamp::from_text("2026-11-20 10:15:30").unwrap();
        let window = |when: When| {
            let window = when.window(now).unwrap();
            format!("{} {}", window.from, window.to)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(window(When::default()), "2026-11-20T00:00:00.000+05:30 2026-11-20T10:15:30.000+05:30");
        let days = When { from: text("2026-11-18"), to: text("2026-11-19"), ..When::default() };
        assert_eq!(window(days), "2026-11-18T00:00:00.000+05:30 2026-11-20T00:00:00.000+05:30");
        let hour = When { from: text("2026-11-18 09:15"), to: text("2026-11-18 10:15"), ..When::default() };
        assert_eq!(window(hour), "2026-11-18T09:15:00.000+05:30 2026-11-18T10:15:00.000+05:30");
        let yesterday = When { from: text("yesterday"), to: text("yesterday"), ..When::default() };
        assert_eq!(window(yesterday), "2026-11-19T00:00:00.000+05:30 2026-11-20T00:00:00.000+05:30");
        let last = When { last: text("15m"), ..When::default() };
        assert_eq!(window(last), "2026-11-20T10:00:30.000+05:30 2026-11-20T10:15:30.000+05:30");
        let day = When { date: Some(Date::constant(2026, 11, 19)), ..When::default() };
        assert_eq!(window(day), "2026-11-19T00:00:00.000+05:30 2026-11-20T00:00:00.000+05:30");
        let wrong = When { from: text("10:15"), to: text("09:15"), ..When::default() };
        assert!(wrong.window(now).is_err());
    }
}
