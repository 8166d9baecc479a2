//! Flags that name a stretch of time.

use clap::Args;
use jiff::civil::Date;
use tickhouse_model::Timestamp;
use tickhouse_read::{Asked, Window, WindowError};

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
        let When { from, to, last, date } = self.clone();
        Asked { from, to, last, date }.window(now)
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
