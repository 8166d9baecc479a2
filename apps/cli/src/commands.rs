//! One file per command.

pub(crate) mod alert;
pub(crate) mod backfill;
pub(crate) mod backup;
pub(crate) mod bars;
pub(crate) mod calendar;
pub(crate) mod chain;
pub(crate) mod clickhouse;
pub(crate) mod completions;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod instruments;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod migrate;
pub(crate) mod publish;
pub(crate) mod query;
pub(crate) mod record;
pub(crate) mod redis;
pub(crate) mod restore;
pub(crate) mod retention;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod sim;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod supervise;
pub(crate) mod universe;
pub(crate) mod up;
pub(crate) mod verify;

use crate::arguments::{Arguments, Command};

/// Runs what was typed.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let common = &arguments.common;
    match arguments.command {
        Command::Demo(command) => demo::run(common, &command),
        Command::Up(command) => up::run(common, &command),
        Command::Record(command) => record::run(common, &command),
        Command::Load(command) => load::run(common, &command),
        Command::Serve(command) => serve::run(common, &command),
        Command::Sim(command) => sim::run(common, &command),
        Command::Login(command) => login::run(common, &command),
        Command::Instruments(command) => instruments::run(common, &command),
        Command::Backfill(command) => backfill::run(common, &command),
        Command::Import(command) => import::run(common, &command),
        Command::Publish(command) => publish::run(common, &command),
        Command::Migrate(command) => migrate::run(common, &command),
        Command::Status(command) => status::run(common, &command),
        Command::Verify(command) => verify::run(common, &command),
        Command::Alert(command) => alert::run(common, &command),
        Command::Export(command) => export::run(common, &command),
        Command::Retention(command) => retention::run(common, &command),
        Command::Backup(command) => backup::run(common, &command),
        Command::Restore(command) => restore::run(common, &command),
        Command::Query(command) => query::run(common, &command),
        Command::Sql(command) => sql::run(common, command),
        Command::Bars(command) => bars::run(common, &command),
        Command::Chain(command) => chain::run(common, &command),
        Command::Decode(command) => decode::run(&command),
        Command::Clickhouse(command) => clickhouse::run(common, command),
        Command::Redis(command) => redis::run(common, &command),
        Command::Universe(command) => universe::run(common, &command),
        Command::Calendar(command) => calendar::run(common, &command),
        Command::Doctor(command) => doctor::run(common, &command),
        Command::Completions(command) => completions::run(&command),
        Command::Service(command) => service::run(common, &command),
        Command::Supervise(command) => supervise::run(&command),
    }
}
