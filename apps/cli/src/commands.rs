//! One file per command.

pub(crate) mod clickhouse;
pub(crate) mod completions;
pub(crate) mod decode;
pub(crate) mod doctor;
pub(crate) mod redis;
pub(crate) mod sql;
pub(crate) mod supervise;

use crate::arguments::{Arguments, Command};

/// Runs what was typed.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let common = &arguments.common;
    match arguments.command {
        Command::Sql(command) => sql::run(common, command),
        Command::Decode(command) => decode::run(&command),
        Command::Clickhouse(command) => clickhouse::run(common, command),
        Command::Redis(command) => redis::run(common, &command),
        Command::Doctor(command) => doctor::run(common, &command),
        Command::Completions(command) => completions::run(&command),
        Command::Supervise(command) => supervise::run(&command),
    }
}
