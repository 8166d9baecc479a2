//! `tickhouse supervise`, hidden: the process that `clickhouse start` and `redis start` leave behind.

use crate::setup;
use clap::Args;
use std::path::PathBuf;
use tickhouse_telemetry::{Clock, LogSettings, init_logs};

#[derive(Debug, Args)]
pub(crate) struct Supervise {
    run_dir: PathBuf,
    name: String,
}

pub(crate) fn run(command: &Supervise) -> anyhow::Result<()> {
    // standard error is the daemon's log
    init_logs(&LogSettings::default(), &Clock::system())?;
    Ok(setup::runtime(0)?.block_on(tickhouse_embed::daemon::run(&command.run_dir, &command.name))?)
}
