//! The words that settings with a choice are written in.

use crate::{Backend, Level, Partition, Sync};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

impl FromStr for Sync {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = |text: &str| text.strip_suffix("ms")?.trim().parse::<u64>().ok();
        match text {
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            text => match millis(text) {
                Some(millis @ 1..=60_000) => Ok(Self::Every(Duration::from_millis(millis))),
                _ => {
                    Err(format!("`{text}` is no policy: use always, never or an interval of 1ms to 60000ms"))
                }
            },
        }
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "external" => Ok(Self::External),
            other => Err(format!("`{other}` is no mode: use embedded or external")),
        }
    }
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            other => Err(format!("`{other}` is no partition: use hour or day")),
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];
        all.into_iter()
            .find(|level| level.name() == text)
            .ok_or_else(|| format!("`{text}` is no level: use error, warn, info, debug or trace"))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
