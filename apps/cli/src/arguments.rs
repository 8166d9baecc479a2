//! What can be typed.

use crate::commands::{
    alert, backfill, backup, bars, calendar, chain, clickhouse, completions, decode, demo, doctor, export,
    import, instruments, load, login, migrate, publish, query, record, redis, restore, retention, serve,
    service, sim, sql, status, supervise, universe, up, verify,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Records every tick that Zerodha's Kite sockets deliver, and makes it queryable in ClickHouse within about a second.
#[derive(Debug, Parser)]
#[command(
    name = "tickhouse",
    version,
    propagate_version = true,
    after_help = "Start with `tickhouse demo`. Settings: config/tickhouse.example.toml; `tickhouse doctor` checks them."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Configuration file [default: ./tickhouse.toml, else ~/.config/tickhouse/tickhouse.toml, where they exist]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TICKHOUSE_CONFIG",
        help_heading = "Common options"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Where journals, databases, logs and run files live [default: tickhouse-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Common options")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the present comes from: system, START@ANCHOR or START@ANCHOR*SPEED [default: system]
    #[arg(long, global = true, value_name = "CLOCK", help_heading = "Common options")]
    pub(crate) clock: Option<String>,
    /// Least important log line: error, warn, info, debug, trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Common options")]
    pub(crate) log_level: Option<String>,
    /// Log lines as JSON objects
    #[arg(long, global = true, help_heading = "Common options")]
    pub(crate) log_json: bool,
    /// End when standard input ends: how a supervisor's parts end with it
    #[arg(long, global = true, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

/// The commands, in the order in which one meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole system against a simulated exchange: no account needed
    Demo(demo::Demo),
    /// The whole system: embedded or external ClickHouse and Redis, recorder, loader
    Up(up::Up),
    /// Sockets to journal to Redis streams
    Record(record::Record),
    /// Redis streams to ClickHouse
    Load(load::Load),
    /// The page: live prices, charts, the pipeline; takes ticks of other programs where that is wanted
    Serve(serve::Serve),
    /// An exchange on localhost that speaks Kite's WebSocket and REST
    Sim(sim::Sim),
    /// A day's access token of Kite
    Login(login::Login),
    /// The master of instruments: sync, load, show, search, diff, missing, mend
    Instruments(instruments::InstrumentsCommand),
    /// What other systems have: an older Redis
    Import(import::Import),
    /// Kite's historical candles, at its rate, each asked for once
    Backfill(backfill::BackfillCommand),
    /// News and index values from files, standard input or feeds
    Publish(publish::Publish),
    /// Create or upgrade the schema
    Migrate(migrate::Migrate),
    /// Whether all is well, and what to do where it is not
    Status(status::Status),
    /// The proof: what the journals have is in ClickHouse, each row once and unaltered
    Verify(verify::Verify),
    /// Says to Telegram, by e-mail or to a webhook when something is wrong
    Alert(alert::Alert),
    /// The questions of every day, by name: latest, ohlc, depth, gainers, …
    Query(query::Query),
    /// Ask ClickHouse, or insert from standard input
    Sql(sql::Sql),
    /// Open, high, low, close and volume, with what is missing; held against the broker's candles
    Bars(bars::Bars),
    /// The options of one expiry as they stood at an instant: prices, volatilities, Greeks, PCR, max pain
    Chain(chain::ChainCommand),
    /// Tables into files: Parquet, CSV or Arrow, by day
    Export(export::ExportCommand),
    /// What is old goes, into files first: plan, apply
    Retention(retention::RetentionCommand),
    /// A copy of the database, also while ticks flow; list, verify
    Backup(backup::Backup),
    /// A backup back into an empty database, every row compared
    Restore(restore::Restore),
    /// Explain a captured Kite message as JSON
    Decode(decode::Decode),
    /// The embedded ClickHouse: start, stop, status, client-url, install
    Clickhouse(clickhouse::ClickHouse),
    /// The Redis on 6380: start, stop, status, install
    Redis(redis::Redis),
    /// What to record: show, diff, check of the rules against today's instruments and prices
    Universe(universe::UniverseCommand),
    /// Which hours markets keep on which days, and what one's own file changes
    Calendar(calendar::CalendarCommand),
    /// What is wrong with this machine or configuration, and what to do
    Doctor(doctor::Doctor),
    /// The whole system as a service of systemd or launchd: install, uninstall, status
    Service(service::ServiceCommand),
    /// Completions for a shell
    Completions(completions::Completions),
    /// What runs in the background for `clickhouse start` and `redis start`
    #[command(hide = true)]
    Supervise(supervise::Supervise),
}
