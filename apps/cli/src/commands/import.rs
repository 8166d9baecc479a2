//! `tickhouse import`: what other systems have.

mod ohlc;
mod redis;

use crate::arguments::Common;
use clap::{Args, Subcommand};

/// What other systems have: files of candles, an older Redis.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Historical candles from a JSON file
    Ohlc(ohlc::Ohlc),
    /// Ticks and candles of another Redis: hashes, JSON, lists, sorted sets, streams
    Redis(redis::ImportRedis),
}

pub(crate) fn run(common: &Common, command: &Import) -> anyhow::Result<()> {
    match &command.from {
        From::Ohlc(command) => ohlc::run(common, command),
        From::Redis(command) => redis::run(common, command),
    }
}
