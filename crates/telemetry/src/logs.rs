//! Log lines: text or JSON, to standard error or a file, stamped by the process' own clock.

use crate::Clock;
use crate::rotate::RotatingFile;
use std::fmt;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{MakeWriter, SubscriberBuilder};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How a process logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// A level (`error` to `trace`), or a filter such as `info,tickhouse_stream=debug`.
    pub filter: String,
    /// One JSON object per line.
    pub json: bool,
    /// Append to this file instead of writing to standard error. Its folder is made. Several processes may share it.
    pub file: Option<PathBuf>,
    /// The file is put aside when it has this many bytes; 0: never.
    pub rotate_bytes: u64,
    /// So many files that were put aside are kept.
    pub keep_files: u32,
}

/// Why logs can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file can't be opened.
    #[error("the log file {path} can't be opened: choose another in log.file")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The filter is neither a level nor a list of `target=level`.
    #[error("`{0}` is no log level or filter")]
    Filter(String),
    /// The process logs already.
    #[error("logs were set up before")]
    Twice,
}

/// Sets up the logs of this process, once. Without it, log lines go nowhere.
///
/// # Errors
/// When the file can't be opened, the filter is wrong, or it was called before.
pub fn init_logs(settings: &LogSettings, clock: &Clock) -> Result<(), LogError> {
    let level = if settings.filter.is_empty() { "info" } else { &settings.filter };
    let filter = EnvFilter::try_new(level).map_err(|_| LogError::Filter(level.to_owned()))?;
    let filter = without_secrets(filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_timer(Stamp(clock.clone()));
    let Some(path) = &settings.file else {
        let colour = std::io::stderr().is_terminal() && no_colour_is_unset();
        return start(builder.with_ansi(colour).with_writer(std::io::stderr), settings.json);
    };
    let error = |source| LogError::File { path: path.clone(), source };
    let file = RotatingFile::open(path, settings.rotate_bytes, settings.keep_files).map_err(error)?;
    start(builder.with_ansi(false).with_writer(Mutex::new(file)), settings.json)
}

/// At `trace` the WebSocket library writes the whole handshake, whose query holds the access token.
fn without_secrets(mut filter: EnvFilter) -> EnvFilter {
    if filter.max_level_hint() == Some(LevelFilter::TRACE) {
        // the more specific ones too, since the most specific directive counts
        for target in ["tungstenite", "tungstenite::handshake", "tungstenite::handshake::client"] {
            let cap = format!("{target}=debug").parse().expect("a constant directive is valid");
            filter = filter.add_directive(cap);
        }
    }
    filter
}

/// <https://no-color.org>: any value that is not empty asks for no colour.
fn no_colour_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn start<W>(
    builder: SubscriberBuilder<
        tracing_subscriber::fmt::format::DefaultFields,
        tracing_subscriber::fmt::format::Format<tracing_subscriber::fmt::format::Full, Stamp>,
        EnvFilter,
        W,
    >,
    json: bool,
) -> Result<(), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let started = if json { builder.json().finish().try_init() } else { builder.finish().try_init() };
    started.map_err(|_| LogError::Twice)
}

/// The time of a line, from the clock that the process runs by.
struct Stamp(Clock);

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", self.0.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhouse_model::Timestamp;

    #[test]
    fn lines_go_to_the_file_with_the_simulated_time() {
        let file = std::env::temp_dir().join(format!("tickhouse-log-{}", std::process::id())).join("a.log");
        let clock = Clock::manual(Timestamp::from_millis(1_763_607_600_000));
        let settings = LogSettings {
            filter: "info,quiet=error".to_owned(),
            json: true,
            file: Some(file.clone()),
            ..LogSettings::default()
        };
        init_logs(&settings, &clock).unwrap();
        tracing::info!(rows = 5, "batch stored");
        tracing::debug!("not written");
        tracing::info!(target: "quiet", "not written either");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
        assert_eq!(line["fields"]["rows"], 5);
        assert_eq!(line["fields"]["message"], "batch stored");
        assert_eq!(line["timestamp"], clock.now().to_string());
        assert!(matches!(init_logs(&settings, &clock), Err(LogError::Twice)));
    }

    #[test]
    fn the_handshake_is_never_traced() {
        for text in ["trace", "info,tungstenite=trace", "info,tungstenite::handshake::client=trace"] {
            let filter = without_secrets(EnvFilter::try_new(text).unwrap()).to_string();
            assert!(!filter.contains("tungstenite=trace") && !filter.contains("client=trace"), "{filter}");
            assert!(filter.contains("tungstenite::handshake::client=debug"), "{filter}");
        }
        let quiet = without_secrets(EnvFilter::try_new("error").unwrap()).to_string();
        assert!(!quiet.contains("tungstenite"), "{quiet}");
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let settings = LogSettings { filter: "tickhouse=loud".to_owned(), ..LogSettings::default() };
        assert!(matches!(init_logs(&settings, &Clock::system()), Err(LogError::Filter(_))));
    }
}
