//! From what was typed to one checked configuration, and from that to logs and a runtime.

use crate::arguments::Common;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use tickhouse_config::{Config, Sources};
use tickhouse_telemetry::{Clock, LogSettings, init_logs};

/// File, environment and the common flags. A command adds its own flags before it reads.
pub(crate) fn sources(common: &Common) -> anyhow::Result<Sources> {
    let sources = match config_file(common) {
        Some(path) => Sources::new().with_file(&path)?,
        None => Sources::new(),
    };
    let data_dir = common.data_dir.as_ref().map(|path| path.display());
    Ok(sources
        .with_environment(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
        .with_flag("data_dir", "--data-dir", data_dir)
        .with_flag("clock", "--clock", common.clock.as_ref())
        .with_flag("log.level", "--log-level", common.log_level.as_ref())
        .with_flag("log.json", "--log-json", common.log_json.then_some("true")))
}

/// The file that was named, else the first of the usual ones that exists.
pub(crate) fn config_file(common: &Common) -> Option<PathBuf> {
    common.config.clone().or_else(tickhouse_endpoints::config_file)
}

/// The configuration of a command that adds no flags of its own.
pub(crate) fn config(common: &Common) -> anyhow::Result<Config> {
    Ok(Config::read(&sources(common)?)?)
}

/// Sets up the logs as configured. `file` is where they go when the configuration names none.
pub(crate) fn logs(config: &Config, file: Option<&Path>) -> anyhow::Result<()> {
    let settings = LogSettings {
        filter: config.log.level.name().to_owned(),
        json: config.log.json,
        file: config.log.file.clone().or_else(|| file.map(Path::to_owned)),
        rotate_bytes: config.log.rotate_bytes,
        keep_files: config.log.keep_files,
    };
    init_logs(&settings, &config.clock).context("no logs")
}

/// A runtime for processes that work (`threads` workers), or only wait (0: this thread).
pub(crate) fn runtime(threads: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().context("the system gives no threads")
}

/// The clock as the text that a child process is given.
pub(crate) fn clock_text(clock: &Clock) -> String {
    clock.to_string()
}

/// Our own program, for child processes.
pub(crate) fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program does not know its own path")
}
