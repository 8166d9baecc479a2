//! Faults on a script: what goes wrong, when, and for whom.
//!
//! What enters: a TOML file. What leaves: a plan for each connection. What never happens here: touching a socket.
//!
//! ```toml
//! # every fault: `at` seconds after the simulator's start, or with after = "open" after the connection's own opening
//! [[fault]]
//! kind = "drop"            # a close frame, then the end
//! at = 5.0
//!
//! [[fault]]
//! kind = "reset"           # TCP reset, no close frame
//! at = 1.5
//! after = "open"
//! connection = 2           # only the second connection accepted since the start (1, 2, 3, …)
//!
//! [[fault]]
//! kind = "stall"           # nothing at all is sent or read, not even pongs; TCP stays open
//! at = 10
//! duration = 8             # without one: for ever
//! socket = 0               # only the lowest slot: a reconnecting client usually gets its slot again
//!
//! [[fault]]
//! kind = "heartbeats_only" # data ends, heartbeats go on
//! at = 20
//! duration = 5
//!
//! [[fault]]
//! kind = "mute"            # every second instrument (odd places in the master) falls silent
//! at = 25
//! duration = 5
//!
//! [[fault]]
//! kind = "frozen"          # one connection gets neither data nor heartbeats; its pings are answered
//! at = 30
//! duration = 5
//! socket = 1
//!
//! [[fault]]
//! kind = "refuse"          # handshakes are answered with `status`, 403 or 429; always `after = "start"`
//! status = 403
//! at = 40
//! duration = 3
//!
//! [[fault]]
//! kind = "truncated_frame" # the next data frame is cut
//! at = 45
//! bytes = 100              # to this length; without it: to two thirds
//!
//! [[fault]]
//! kind = "unknown_length"  # the next data frame has one packet more, of this many bytes (without it: 164)
//! at = 46
//! bytes = 164
//!
//! [[fault]]
//! kind = "overstated_count" # the next data frame claims three packets more than it has
//! at = 47
//!
//! [[fault]]
//! kind = "garbage"         # one binary message of random bytes, beside the data
//! at = 48
//! bytes = 64
//!
//! [[fault]]
//! kind = "expired_token"   # open connections are closed; 403 until the access token changes (or `duration` passed)
//! at = 50
//!
//! [[fault]]
//! kind = "message"         # a broker's text message
//! at = 55
//! text = "The exchange will close early today."
//!
//! [[fault]]
//! kind = "error"           # an error text message
//! at = 56
//! text = "Something went wrong."
//! ```
//!
//! Faults that last (`stall`, `heartbeats_only`, `mute`, `frozen`, `refuse`, `expired_token`) take a `duration`; the
//! others strike once. With `after = "start"` a fault that strikes once hits the connections that are open at that
//! moment. What the market did while a connection was stalled, muted or frozen is not made up for, and not in the
//! ledger. Keys that are not known, and keys that a kind has no use for, are errors.

use serde::Deserialize;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Everything that will go wrong.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultScript {
    /// In any order.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RawFault")]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When: this long after `after`.
    pub at: Duration,
    /// From where time is counted.
    pub after: After,
    /// Only this connection, counted from 1 since the start.
    pub connection: Option<u64>,
    /// Only the connection in this slot, counted from 0: the lowest free one when it opened.
    pub socket: Option<usize>,
    /// How long it lasts; `None` for ever. Means nothing to faults that strike once.
    pub duration: Option<Duration>,
}

/// From where a fault's time is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// The simulator's start.
    #[default]
    Start,
    /// Each connection's opening.
    Open,
}

/// What goes wrong; see the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A clean close.
    Drop,
    /// A TCP reset.
    Reset,
    /// Nothing is sent or read.
    Stall,
    /// Data ends, heartbeats go on.
    HeartbeatsOnly,
    /// Every second instrument is silent.
    Mute,
    /// Neither data nor heartbeats; pings are answered.
    Frozen,
    /// Handshakes are refused with this status, 403 or 429.
    Refuse(u16),
    /// The next data frame is cut to this length, or to two thirds.
    TruncatedFrame(Option<usize>),
    /// The next data frame has one more packet, of this many bytes.
    UnknownLength(usize),
    /// The next data frame claims three more packets than it has.
    OverstatedCount,
    /// One message of this many random bytes.
    Garbage(usize),
    /// Closed, and 403 until the access token changes.
    ExpiredToken,
    /// A broker's text.
    Message(String),
    /// An error text.
    Error(String),
}

impl FaultKind {
    /// The word in the script.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Reset => "reset",
            Self::Stall => "stall",
            Self::HeartbeatsOnly => "heartbeats_only",
            Self::Mute => "mute",
            Self::Frozen => "frozen",
            Self::Refuse(_) => "refuse",
            Self::TruncatedFrame(_) => "truncated_frame",
            Self::UnknownLength(_) => "unknown_length",
            Self::OverstatedCount => "overstated_count",
            Self::Garbage(_) => "garbage",
            Self::ExpiredToken => "expired_token",
            Self::Message(_) => "message",
            Self::Error(_) => "error",
        }
    }

    const fn lasts(&self) -> bool {
        matches!(
            self,
            Self::Stall
                | Self::HeartbeatsOnly
                | Self::Mute
                | Self::Frozen
                | Self::Refuse(_)
                | Self::ExpiredToken
        )
    }
}

/// Why a script is none.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The file could not be read.
    #[error("fault script {path} cannot be read")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, a key that is not known, or a value that makes no sense; the text says where.
    #[error("fault script: {0}")]
    Parse(#[from] toml::de::Error),
}

impl FaultScript {
    /// Reads a script.
    ///
    /// # Errors
    /// [`FaultError::Parse`] with line and column.
    pub fn parse(text: &str) -> Result<Self, FaultError> {
        Ok(toml::from_str(text)?)
    }

    /// Reads a script from a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is no script.
    pub fn load(path: &Path) -> Result<Self, FaultError> {
        let read = std::fs::read_to_string(path);
        Self::parse(&read.map_err(|source| FaultError::Read { path: path.display().to_string(), source })?)
    }

    /// The status that a handshake at `now` is refused with.
    pub(crate) fn refusal(&self, start: Instant, now: Instant) -> Option<u16> {
        self.faults.iter().find_map(|fault| match fault.kind {
            FaultKind::Refuse(status) if fault.window(start).contains(now) => Some(status),
            _ => None,
        })
    }

    /// Whether a token that was first seen at `seen` has expired for everybody by `now`.
    pub(crate) fn expired(&self, start: Instant, seen: Instant, now: Instant) -> bool {
        self.faults.iter().any(|fault| {
            let window = fault.window(start);
            let everybody =
                fault.after == After::Start && fault.connection.is_none() && fault.socket.is_none();
            fault.kind == FaultKind::ExpiredToken && everybody && window.contains(now) && seen < window.begin
        })
    }

    /// What will happen to a connection that opened at `opened`.
    pub(crate) fn plan(&self, start: Instant, opened: Instant, connection: u64, socket: usize) -> Plan {
        let mut plan = Plan::default();
        for fault in &self.faults {
            let meant = fault.connection.is_none_or(|only| only == connection)
                && fault.socket.is_none_or(|only| only == socket);
            if !meant || matches!(fault.kind, FaultKind::Refuse(_)) {
                continue;
            }
            let window = fault.window(if fault.after == After::Start { start } else { opened });
            if matches!(
                fault.kind,
                FaultKind::Stall | FaultKind::HeartbeatsOnly | FaultKind::Mute | FaultKind::Frozen
            ) {
                plan.windows.push((window, fault.kind.clone()));
            } else if window.begin >= opened {
                plan.strikes.push((window.begin, fault.kind.clone()));
            }
        }
        // the next one is popped from the end
        plan.strikes.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        plan
    }
}

impl Fault {
    fn window(&self, from: Instant) -> Window {
        let begin = from + self.at;
        Window { begin, end: self.duration.map(|duration| begin + duration) }
    }
}

/// When a fault lasts.
#[derive(Clone, Copy, Debug)]
struct Window {
    begin: Instant,
    end: Option<Instant>,
}

impl Window {
    fn contains(&self, now: Instant) -> bool {
        self.begin <= now && self.end.is_none_or(|end| now < end)
    }
}

/// The faults of one connection.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    windows: Vec<(Window, FaultKind)>,
    strikes: Vec<(Instant, FaultKind)>,
}

/// Which lasting faults are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four faults that are independent of each other")]
pub(crate) struct Ailments {
    pub(crate) stalled: bool,
    pub(crate) heartbeats_only: bool,
    pub(crate) muted: bool,
    pub(crate) frozen: bool,
}

impl Ailments {
    /// Whether no data may be sent.
    pub(crate) const fn no_data(self) -> bool {
        self.stalled || self.heartbeats_only || self.frozen
    }

    /// The words for those that are on.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.stalled, "stall"),
            (self.heartbeats_only, "heartbeats_only"),
            (self.muted, "mute"),
            (self.frozen, "frozen"),
        ];
        all.into_iter().filter_map(|(on, name)| on.then_some(name))
    }

    /// Whether not even heartbeats may be sent.
    pub(crate) const fn silent(self) -> bool {
        self.stalled || self.frozen
    }
}

impl Plan {
    /// The lasting faults that are on now.
    pub(crate) fn ailments(&self, now: Instant) -> Ailments {
        let mut ailments = Ailments::default();
        for (window, kind) in &self.windows {
            let on = window.contains(now);
            match kind {
                FaultKind::Stall => ailments.stalled |= on,
                FaultKind::HeartbeatsOnly => ailments.heartbeats_only |= on,
                FaultKind::Mute => ailments.muted |= on,
                _ => ailments.frozen |= on,
            }
        }
        ailments
    }

    /// The next strike that is due.
    pub(crate) fn strike(&mut self, now: Instant) -> Option<FaultKind> {
        self.strikes.pop_if(|(at, _)| *at <= now).map(|(_, kind)| kind)
    }

    /// When the plan has to be looked at again.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let edges = self.windows.iter().flat_map(|(window, _)| [Some(window.begin), window.end]).flatten();
        edges.filter(|edge| *edge > now).chain(self.strikes.last().map(|(at, _)| *at)).min()
    }
}

/// A fault as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    kind: String,
    at: f64,
    #[serde(default)]
    after: After,
    connection: Option<u64>,
    socket: Option<usize>,
    duration: Option<f64>,
    status: Option<u16>,
    bytes: Option<usize>,
    text: Option<String>,
}

impl TryFrom<RawFault> for Fault {
    type Error = String;

    fn try_from(mut raw: RawFault) -> Result<Self, String> {
        let kind = raw.kind()?;
        let unused = [
            ("status", raw.status.is_some()),
            ("bytes", raw.bytes.is_some()),
            ("text", raw.text.is_some()),
            ("duration", raw.duration.is_some() && !kind.lasts()),
            ("after", raw.after == After::Open && matches!(kind, FaultKind::Refuse(_))),
        ];
        if let Some((key, _)) = unused.into_iter().find(|(_, given)| *given) {
            return Err(format!("`{key}` means nothing to `{}`", kind.name()));
        }
        if kind == FaultKind::Frozen && raw.connection.is_none() && raw.socket.is_none() {
            return Err("`frozen` needs `connection` or `socket`: use `heartbeats_only` or `stall` for all"
                .to_owned());
        }
        let seconds = |key: &str, value: f64| {
            Duration::try_from_secs_f64(value)
                .map_err(|_| format!("`{key}` = {value}: use seconds, 0 or more"))
        };
        Ok(Self {
            kind,
            at: seconds("at", raw.at)?,
            after: raw.after,
            connection: raw.connection,
            socket: raw.socket,
            duration: raw.duration.map(|value| seconds("duration", value)).transpose()?,
        })
    }
}

impl RawFault {
    /// The kind with its parameters, which are taken out.
    fn kind(&mut self) -> Result<FaultKind, String> {
        let short = |bytes: Option<usize>| match bytes {
            Some(bytes) if bytes > usize::from(u16::MAX) => {
                Err(format!("`bytes` = {bytes}: use at most 65535"))
            }
            bytes => Ok(bytes),
        };
        Ok(match self.kind.as_str() {
            "drop" => FaultKind::Drop,
            "reset" => FaultKind::Reset,
            "stall" => FaultKind::Stall,
            "heartbeats_only" => FaultKind::HeartbeatsOnly,
            "mute" => FaultKind::Mute,
            "frozen" => FaultKind::Frozen,
            "refuse" => match self.status.take() {
                Some(status @ (403 | 429)) => FaultKind::Refuse(status),
                _ => return Err("`refuse` needs `status` = 403 or 429".to_owned()),
            },
            "truncated_frame" => FaultKind::TruncatedFrame(self.bytes.take()),
            "unknown_length" => FaultKind::UnknownLength(short(self.bytes.take())?.unwrap_or(164)),
            "overstated_count" => FaultKind::OverstatedCount,
            "garbage" => FaultKind::Garbage(short(self.bytes.take())?.unwrap_or(64)),
            "expired_token" => FaultKind::ExpiredToken,
            "message" => FaultKind::Message(self.text.take().ok_or("`message` needs `text`")?),
            "error" => FaultKind::Error(self.text.take().ok_or("`error` needs `text`")?),
            other => return Err(format!("`{other}` is no kind of fault")),
        })
    }
}

#[cfg(test)]
mod tests;
