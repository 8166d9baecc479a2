//! `tickhouse clickhouse`: the embedded engine in the background.

use crate::arguments::Common;
use crate::{endpoints, output, setup};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_embed::daemon::{self, Daemon, DaemonState};
use tickhouse_embed::library::{self, Installed, Step};
use tickhouse_embed::{EngineOptions, run_engine};

/// Unpacked size of the library, for the progress bar.
const LIBRARY_BYTES: u64 = 566_000_000;

#[derive(Debug, Args)]
pub(crate) struct ClickHouse {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start it and leave it running
    Start {
        /// HTTP port; 0 takes a free one [default: 8123]
        #[arg(long = "http-port", alias = "clickhouse-http-port", value_name = "PORT")]
        http_port: Option<u16>,
        /// Port of the native protocol; 0 takes a free one [default: 9000]
        #[arg(long = "tcp-port", alias = "clickhouse-tcp-port", value_name = "PORT")]
        tcp_port: Option<u16>,
    },
    /// Stop it; its data stays
    Stop,
    /// Whether it runs, and where
    Status {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// The URL of the ClickHouse that is configured, for other programs
    ClientUrl,
    /// Bring the engine into this user's cache (178 MB by npm, once)
    Install,
    /// The process that becomes the engine
    #[command(hide = true)]
    Engine { launch: PathBuf },
}

pub(crate) fn run(common: &Common, command: ClickHouse) -> anyhow::Result<()> {
    match command.action {
        Action::Start { http_port, tcp_port } => {
            let sources = setup::sources(common)?
                .with_flag("clickhouse.http_port", "--http-port", http_port)
                .with_flag("clickhouse.tcp_port", "--tcp-port", tcp_port);
            start(&Config::read(&sources)?)
        }
        Action::Stop => {
            let config = setup::config(common)?;
            let run_dir = endpoints::run_dir(&config.data_dir);
            let stopped = setup::runtime(0)?.block_on(daemon::stop(&run_dir, "clickhouse"))?;
            Ok(output::line(if stopped { "ClickHouse stopped" } else { "ClickHouse was not running" })?)
        }
        Action::Status { json } => status(&setup::config(common)?, json),
        Action::ClientUrl => Ok(output::line(&endpoints::clickhouse(&setup::config(common)?)?.url)?),
        Action::Install => install(),
        Action::Engine { launch } => Ok(run_engine(&launch)?),
    }
}

/// The engine as configured.
pub(crate) fn options(config: &Config) -> anyhow::Result<EngineOptions> {
    let settings = &config.clickhouse;
    Ok(EngineOptions {
        http_port: settings.http_port,
        tcp_port: settings.tcp_port,
        memory_bytes: settings.memory_bytes,
        database: settings.database.clone(),
        ..EngineOptions::new(setup::own_program()?, config.data_dir.join("clickhouse"))
    })
}

fn start(config: &Config) -> anyhow::Result<()> {
    let run_dir = endpoints::run_dir(&config.data_dir);
    let daemon = Daemon::Clickhouse(options(config)?);
    let program = setup::own_program()?;
    let state = setup::runtime(0)?.block_on(daemon::start(&run_dir, &daemon, &program, &["supervise"]))?;
    Ok(output::line(&describe(&state))?)
}

fn describe(state: &DaemonState) -> String {
    format!(
        "ClickHouse runs: http://127.0.0.1:{} and native port {}, data in {}, supervised by process {}",
        state.port,
        state.tcp_port,
        state.data_dir.display(),
        state.pid
    )
}

fn status(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let state = daemon::status(&endpoints::run_dir(&config.data_dir), "clickhouse")?;
    if as_json {
        return output::json(&json!({ "running": state.is_some(), "state": state }));
    }
    let text = match &state {
        None => "ClickHouse does not run in the background: `tickhouse clickhouse start`".to_owned(),
        Some(DaemonState { ready: true, .. }) => state.as_ref().map(describe).unwrap_or_default(),
        Some(state) => {
            format!("ClickHouse does not answer: {}", state.error.as_deref().unwrap_or("it is starting"))
        }
    };
    Ok(output::line(&text)?)
}

fn install() -> anyhow::Result<()> {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(120));
    let mut shown = |step: Step| match step {
        Step::Downloading { seconds } => {
            bar.set_message(format!("fetching the ClickHouse engine (178 MB), {seconds} s"));
        }
        Step::Checking => bar.set_message("checking its digest"),
        Step::Unpacking { bytes } => {
            if bar.length().is_none() {
                bar.set_length(LIBRARY_BYTES);
                let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.set_message("unpacking");
            }
            bar.set_position(bytes);
        }
    };
    let installed = library::install(&mut shown).context("the ClickHouse engine was not installed")?;
    bar.finish_and_clear();
    let word = match installed {
        Installed::Already(_) => "was there",
        Installed::Now(_) => "installed",
    };
    Ok(output::line(&format!(
        "ClickHouse engine {} {word}: {}",
        library::VERSION,
        installed.path().display()
    ))?)
}
