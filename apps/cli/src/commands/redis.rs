//! `tickhouse redis`: a Redis of its own in the background, on port 6380.

use crate::arguments::Common;
use crate::{endpoints, output, setup};
use clap::{Args, Subcommand};
use serde_json::json;
use tickhouse_config::Config;
use tickhouse_embed::daemon::{self, Daemon, DaemonState};
use tickhouse_embed::{RedisOptions, install_redis};

#[derive(Debug, Args)]
pub(crate) struct Redis {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start it and leave it running
    Start {
        /// The port; 0 takes a free one [default: 6380]
        #[arg(long, alias = "redis-port", value_name = "PORT")]
        port: Option<u16>,
    },
    /// Stop it; its data stays
    Stop,
    /// Whether it runs, and where
    Status {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Install redis-server through the system's package client, where that is allowed
    Install,
}

pub(crate) fn run(common: &Common, command: &Redis) -> anyhow::Result<()> {
    match command.action {
        Action::Start { port } => {
            let sources = setup::sources(common)?.with_flag("redis.port", "--port", port);
            start(&Config::read(&sources)?)
        }
        Action::Stop => {
            let config = setup::config(common)?;
            let run_dir = endpoints::run_dir(&config.data_dir);
            let stopped = setup::runtime(0)?.block_on(daemon::stop(&run_dir, "redis"))?;
            Ok(output::line(if stopped { "Redis stopped" } else { "Redis was not running" })?)
        }
        Action::Status { json } => status(&setup::config(common)?, json),
        Action::Install => {
            let installed = install_redis()?;
            Ok(output::line(if installed { "redis-server installed" } else { "redis-server was there" })?)
        }
    }
}

/// Redis as configured.
pub(crate) fn options(config: &Config) -> RedisOptions {
    RedisOptions { port: config.redis.port, ..RedisOptions::new(config.data_dir.join("redis")) }
}

fn start(config: &Config) -> anyhow::Result<()> {
    let run_dir = endpoints::run_dir(&config.data_dir);
    let daemon = Daemon::Redis(options(config));
    let program = setup::own_program()?;
    let state = setup::runtime(0)?.block_on(daemon::start(&run_dir, &daemon, &program, &["supervise"]))?;
    Ok(output::line(&describe(&state))?)
}

fn describe(state: &DaemonState) -> String {
    format!(
        "Redis runs: redis://127.0.0.1:{}, data in {}, supervised by process {}",
        state.port,
        state.data_dir.display(),
        state.pid
    )
}

fn status(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let state = daemon::status(&endpoints::run_dir(&config.data_dir), "redis")?;
    if as_json {
        return output::json(&json!({ "running": state.is_some(), "state": state }));
    }
    let text = match &state {
        None => "Redis does not run in the background: `tickhouse redis start`".to_owned(),
        Some(DaemonState { ready: true, .. }) => state.as_ref().map(describe).unwrap_or_default(),
        Some(state) => {
            format!("Redis does not answer: {}", state.error.as_deref().unwrap_or("it is starting"))
        }
    };
    Ok(output::line(&text)?)
}
