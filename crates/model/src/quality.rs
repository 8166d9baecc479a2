//! Two columns with a closed set of values, and their numbers in ClickHouse.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The column `session_type`: the phase of a market's day. The numbers are those of its `Enum8`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i8)]
pub enum SessionType {
    /// The call auction before trading, up to its first second.
    PreMarket = 1,
    /// Continuous trading, or hours that are not known.
    #[default]
    Regular = 2,
    /// From the end of continuous trading to the end of the post-close session: closing auction included.
    PostMarket = 3,
    /// Known to be closed.
    Closed = 4,
}

impl SessionType {
    /// All of them, by number.
    pub const ALL: [Self; 4] = [Self::PreMarket, Self::Regular, Self::PostMarket, Self::Closed];

    /// The value's name in ClickHouse and in flat entries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreMarket => "pre_market",
            Self::Regular => "regular",
            Self::PostMarket => "post_market",
            Self::Closed => "closed",
        }
    }

    /// The one of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|session| session.name() == name)
    }
}

impl fmt::Display for SessionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The column `data_quality`: what is known of a tick's instrument. The numbers are those of its `Enum8`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i8)]
pub enum DataQuality {
    /// The token is in no table of instruments.
    #[default]
    Raw = 1,
    /// Joined to its instrument.
    Enriched = 2,
    /// Joined later, after the instrument became known.
    Corrected = 3,
}

impl DataQuality {
    /// All of them, by number.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Enriched, Self::Corrected];

    /// The value's name in ClickHouse and in flat entries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Enriched => "enriched",
            Self::Corrected => "corrected",
        }
    }
}
