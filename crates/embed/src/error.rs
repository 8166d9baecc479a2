//! What can go wrong, in words that say what to do.

use std::path::PathBuf;

/// An engine or Redis that could not be installed, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The engine's shared library is in none of the places.
    #[error(
        "the ClickHouse engine is not installed (no {path}): run `cargo xtask install`, or set TICKHOUSE_CHDB_LIB"
    )]
    LibraryMissing {
        /// Where it was looked for last.
        path: PathBuf,
    },
    /// No engine is built for this machine.
    #[error(
        "there is no embedded ClickHouse for {os} on {arch}: run a clickhouse-server and give its URL in `clickhouse.url`"
    )]
    Unsupported {
        /// Operating system.
        os: &'static str,
        /// Processor.
        arch: &'static str,
    },
    /// A program that is needed is not on the search path.
    #[error("`{program}` was not found: {remedy}")]
    ProgramMissing {
        /// The program.
        program: String,
        /// What to do.
        remedy: String,
    },
    /// A program ended with an error.
    #[error("`{command}` failed: {detail}")]
    CommandFailed {
        /// The command line.
        command: String,
        /// The end of what it wrote.
        detail: String,
    },
    /// The downloaded package is not the one that was pinned.
    #[error("the package {package} has digest {found}, expected {expected}: it was not installed")]
    Digest {
        /// Name of the package.
        package: String,
        /// SHA-256, hexadecimal.
        expected: &'static str,
        /// SHA-256, hexadecimal.
        found: String,
    },
    /// Somebody else listens on the port.
    #[error("port {port} for {what} is taken by {holder}: end that, or choose another port with {flag}")]
    PortTaken {
        /// The port.
        port: u16,
        /// What it is wanted for.
        what: &'static str,
        /// Name and process id, as far as they can be seen.
        holder: String,
        /// The flag that changes it.
        flag: &'static str,
    },
    /// The child ended before it answered.
    #[error("{what} ended at start ({status}); its log {log} ends with: {tail}")]
    Died {
        /// Which child.
        what: &'static str,
        /// How it ended.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// The child did not answer in time.
    #[error("{what} did not answer within {seconds} s; see its log {log}")]
    NoAnswer {
        /// Which child.
        what: &'static str,
        /// How long was waited.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
    },
    /// The same service already runs as a daemon.
    #[error("{what} already runs (process {pid}): stop it with `tickhouse {what} stop`")]
    AlreadyRunning {
        /// Which.
        what: String,
        /// The supervisor's process id, 0 when it has not written it yet.
        pid: u32,
    },
    /// A daemon failed to start and said why.
    #[error("{what} did not start: {detail}")]
    Daemon {
        /// Which.
        what: String,
        /// What its supervisor said.
        detail: String,
    },
    /// The shared library has no such entry point or could not be loaded.
    #[error("{library} could not be used as the ClickHouse engine: {detail}")]
    Library {
        /// The library.
        library: PathBuf,
        /// The loader's words.
        detail: String,
    },
    /// A file or directory.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl EmbedError {
    /// For `map_err` on file operations.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
