//! `tickhouse sim`: an exchange on localhost.

use crate::arguments::Common;
use crate::process::Presence;
use crate::setup;
use crate::shutdown::Shutdown;
use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tickhouse_config::Config;
use tickhouse_simulator::{Credentials, FaultScript, Session, SimOptions, Simulator, SlowClient};

/// An exchange on localhost that speaks Kite's WebSocket and REST on one port.
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8765")]
    listen: SocketAddr,
    /// Instruments that it lists, up to 120,000
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    instruments: usize,
    /// Updates of the whole market per second
    #[arg(long, value_name = "PACKETS_PER_S", default_value_t = 5_000.0)]
    rate: f64,
    /// Decides listings, prices and everything that happens
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Append what is sent to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// What goes wrong, and when: a TOML file
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Accept only this account: a TOML file with `api_key`, `api_secret` and `access_token` [default: any]
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Packets in a frame [default: what is due every 20 ms]
    #[arg(long, value_name = "N")]
    packets_per_frame: Option<u16>,
    /// Trade in each exchange's regular hours only [default: always]
    #[arg(long)]
    regular_hours: bool,
    /// Factor on the rate at the opening
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    opening_burst: f64,
    /// Instruments that one connection may subscribe to
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    tokens_per_connection: usize,
    /// Connections of one API key
    #[arg(long, value_name = "N", default_value_t = 3)]
    connections_per_key: usize,
    /// Enforce Kite's request rates with 429
    #[arg(long)]
    rate_limits: bool,
    /// Close connections that do not read as fast as the market moves, as Kite does [default: the market waits]
    #[arg(long)]
    disconnect_slow: bool,
}

pub(crate) fn run(common: &Common, command: &Sim) -> anyhow::Result<()> {
    let config = setup::config(common)?;
    setup::logs(&config, None)?;
    let options = options(&config, command)?;
    setup::runtime(2)?.block_on(serve(&config, options, common.until_stdin_closes))
}

fn options(config: &Config, command: &Sim) -> anyhow::Result<SimOptions> {
    Ok(SimOptions {
        listen: command.listen,
        instruments: command.instruments,
        rate: command.rate,
        packets_per_frame: command.packets_per_frame,
        seed: command.seed,
        clock: config.clock.clone(),
        ledger: command.ledger.clone(),
        faults: command.faults.as_deref().map(FaultScript::load).transpose()?,
        credentials: command.credentials.as_deref().map(credentials).transpose()?,
        session: if command.regular_hours { Session::Regular } else { Session::AlwaysOpen },
        opening_burst: command.opening_burst,
        tokens_per_connection: command.tokens_per_connection,
        connections_per_key: command.connections_per_key,
        rate_limits: command.rate_limits,
        slow_client: if command.disconnect_slow { SlowClient::Disconnect } else { SlowClient::Wait },
    })
}

fn credentials(path: &Path) -> anyhow::Result<Credentials> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    // the error's own text would quote the secret
    toml::from_str(&text).map_err(|error| {
        anyhow::anyhow!("{} needs api_key and api_secret: {}", path.display(), error.message())
    })
}

async fn serve(config: &Config, options: SimOptions, until_stdin_closes: bool) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(until_stdin_closes)?;
    let simulator = Arc::new(Simulator::start(options).await?);
    let address = simulator.local_addr();
    let reporter = Arc::downgrade(&simulator);
    let report = Arc::new(move || {
        let counters = reporter.upgrade().map(|simulator| simulator.counters());
        json!({ "listen": address.to_string(), "counters": counters })
    });
    let presence = Presence::announce(&config.data_dir, "sim", 0, None, report)?;
    crate::output::line(&format!("the exchange is open: ws://{address} and http://{address}"))?;
    shutdown.requested().await;
    drop(presence);
    // a status request may hold it for a moment
    if let Some(simulator) = Arc::into_inner(simulator) {
        simulator.stop().await;
    }
    Ok(())
}
