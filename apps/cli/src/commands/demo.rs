//! `tickhouse demo`: the whole system with the simulator as its exchange.

mod report;
mod show;

use super::up::{self, PortFlags};
use crate::arguments::Common;
use crate::process::Presence;
use crate::progress::{Watcher, Whose};
use crate::shutdown::Shutdown;
use crate::system::{Services, System, pipeline_log, status_client};
use crate::{commands, endpoints, instruments, setup};
use anyhow::Context as _;
use clap::Args;
use report::Outcome;
use serde_json::json;
use show::Display;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tickhouse_config::{CalendarSource, Config, Secret, Sources};
use tickhouse_model::Timestamp;
use tickhouse_simulator::{SimOptions, Simulator};

/// Its recorder: rows of a demo are told apart from those of a live system.
const RECORDER: &str = "demo";
/// What one API key carries: three sockets of 3,000 instruments.
const PER_KEY: usize = 9_000;
/// How long everything that was sent may take to the recorder.
const ARRIVE_LIMIT: Duration = Duration::from_secs(10);

/// The whole system against a simulated exchange that is always in session: no account needed.
#[derive(Clone, Debug, Args)]
pub(crate) struct Demo {
    /// End after this long, then drain and verify: 30s, 5m, 1h [default: runs until Ctrl-C]
    #[arg(long, value_name = "D", value_parser = span)]
    duration: Option<Duration>,
    /// Packets per second of the whole market
    #[arg(long, value_name = "PACKETS_PER_S", default_value_t = 5_000.0)]
    rate: f64,
    /// Instruments that are listed and recorded, up to 120,000
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    instruments: usize,
    /// Decides listings, prices and everything that happens
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object at the end, no live view
    #[arg(long)]
    json: bool,
    /// Packets in a frame [default: what is due every 20 ms]
    #[arg(long, value_name = "N")]
    packets_per_frame: Option<u16>,
    /// Append what the exchange sends to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    ledger: Option<std::path::PathBuf>,
    /// What goes wrong, and when: a TOML file, as of `tickhouse sim`
    #[arg(long, value_name = "FILE")]
    faults: Option<std::path::PathBuf>,
    #[command(flatten)]
    ports: PortFlags,
}

/// `30s`, `5m`, `1h30m`, `500ms`.
fn span(text: &str) -> Result<Duration, String> {
    let parsed =
        text.parse::<jiff::SignedDuration>().map_err(|_| "use a time such as 30s, 5m or 1h".to_owned())?;
    parsed.try_into().map_err(|_| "use a positive time".to_owned())
}

pub(crate) fn run(common: &Common, command: &Demo) -> anyhow::Result<()> {
    let mut config = config(common, command)?;
    setup::logs(&config, Some(&pipeline_log(&config)?))?;
    setup::runtime(2)?.block_on(async {
        let mut shutdown = Shutdown::listen(common.until_stdin_closes)?;
        up::ensure_alone(&config)?;
        let display = Display::new(command.json || command.duration.is_some_and(|span| span.is_zero()));
        let running = tokio::select! {
            running = Running::start(&mut config, command) => running?,
            () = shutdown.requested() => return Ok(()),
        };
        running.watch(&config, command, &mut shutdown, display).await
    })
}

/// Only flags and the ports of the environment: a demo must never write into somebody's real system.
fn config(common: &Common, command: &Demo) -> anyhow::Result<Config> {
    let data_dir = common.data_dir.as_ref().map(|path| path.display().to_string());
    let data_dir =
        data_dir.or_else(|| std::env::var("TICKHOUSE_DATA_DIR").ok().filter(|dir| !dir.is_empty()));
    let clock = common.clock.clone().or_else(|| std::env::var("TICKHOUSE_CLOCK").ok());
    let sources = Sources::new()
        .with_flag(
            "data_dir",
            "--data-dir",
            Some(data_dir.unwrap_or_else(|| "tickhouse-data/demo".to_owned())),
        )
        .with_flag("clock", "--clock", clock)
        .with_flag("log.level", "--log-level", common.log_level.as_ref())
        .with_flag("log.json", "--log-json", common.log_json.then_some("true"))
        .with_flag("recorder", "", Some(RECORDER));
    let mut config = Config::read(&command.ports.apply(sources))?;
    config.instruments.calendar = CalendarSource::AlwaysOpen;
    Ok(config)
}

/// A running demo.
struct Running {
    simulator: Arc<Simulator>,
    system: System,
    presence: Presence,
    started: Timestamp,
    latest: Arc<Mutex<serde_json::Value>>,
}

impl Running {
    async fn start(config: &mut Config, command: &Demo) -> anyhow::Result<Self> {
        show::say("opening the exchange");
        let simulator = Arc::new(Simulator::start(sim_options(config, command)?).await?);
        point_at(config, simulator.local_addr(), command.instruments)?;
        let started = config.clock.now();
        show::say("starting ClickHouse and Redis");
        up::ensure_free(config)?;
        let services = Services::start(config).await?;
        show::say("creating the schema, loading instruments");
        let store = commands::migrate::store(&up::with_clickhouse(config, &services))?;
        commands::migrate::migrate(config, &store, false).await?;
        // a demo with fewer instruments than the one before is no cut download
        instruments::sync(config, &store, true).await?;
        let latest = Arc::new(Mutex::new(json!({})));
        let (noted, counters) = (Arc::clone(&latest), Arc::downgrade(&simulator));
        let page = Arc::new(move || {
            let mut page = noted.lock().unwrap_or_else(PoisonError::into_inner).clone();
            page["exchange"] = json!(counters.upgrade().map(|simulator| simulator.counters()));
            page
        });
        let ports = Some(services.ports.clone());
        let presence = Presence::announce(&config.data_dir, "demo", 0, ports, page)?;
        show::say("starting the loader, the recorder and the page");
        let system = System::start(config, None, services).await?;
        Ok(Self { simulator, system, presence, started, latest })
    }

    /// Shows what happens until the end, then ends in order.
    async fn watch(
        self,
        config: &Config,
        command: &Demo,
        shutdown: &mut Shutdown,
        mut display: Display,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut watcher = Watcher::new(status_client()?);
        let mut quits = display.open()?;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let left = command.duration.map(|span| span.saturating_sub(started.elapsed()));
            tokio::select! {
                _ = second.tick() => {}
                () = show::asked(&mut quits) => break,
                () = shutdown.requested() => break,
                () = tokio::time::sleep(left.unwrap_or(Duration::MAX)) => break,
            }
            let sent = self.simulator.counters().packets_sent;
            let progress = watcher.look(&config.data_dir, &self.others(), sent).await;
            let processes = self.system.processes();
            *self.latest.lock().unwrap_or_else(PoisonError::into_inner) =
                json!({ "progress": progress, "processes": processes });
            let scene = show::scene(config, &self.system, started.elapsed(), left, progress, processes);
            display.show(scene).await?;
        }
        let elapsed = started.elapsed();
        let verify = command.json || command.duration.is_some();
        let outcome = self.finish(config, watcher, elapsed, verify, &mut display).await?;
        drop(display);
        let Some(outcome) = outcome else { return Ok(()) };
        outcome.print(command.json)?;
        outcome.check()
    }

    fn others(&self) -> [(&'static str, Whose); 3] {
        let ports = &self.system.services.ports;
        [
            ("demo + exchange", Whose::Process(std::process::id())),
            ("redis", Whose::Listener(ports.redis)),
            ("clickhouse", Whose::Listener(ports.clickhouse_http)),
        ]
    }

    /// Stops the exchange, lets everything arrive, counts it, and stops the rest.
    async fn finish(
        mut self,
        config: &Config,
        mut watcher: Watcher,
        elapsed: Duration,
        verify: bool,
        display: &mut Display,
    ) -> anyhow::Result<Option<Outcome>> {
        if !verify {
            display.note("stopping");
            self.system.stop().await;
            drop(self.presence);
            return Ok(None);
        }
        display.note("the exchange pauses; what is under way arrives");
        self.simulator.pause().await;
        let arrived = Instant::now();
        let progress = loop {
            let sent = self.simulator.counters().packets_sent;
            let progress = watcher.look(&config.data_dir, &self.others(), sent).await;
            // a recorder that was started again counts from zero: then there is nothing to wait for
            if progress.flow.totals.packets >= sent || arrived.elapsed() > ARRIVE_LIMIT {
                break progress;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let restarts = self.system.processes();
        let exchange = self.simulator.counters();
        display.note("the recorder ends; what it has is published and stored");
        self.system.stop_record().await;
        let server = self.system.server()?;
        display.note("verifying: the journal against ClickHouse, by identity");
        let settled = report::settle(config, self.started).await;
        let versions = report::versions(&server, &self.system.services.redis_url).await;
        display.note("stopping");
        self.system.stop().await;
        drop(self.presence);
        let settled = settled.context("the run can't be verified")?;
        Ok(Some(Outcome { settled, progress, exchange, restarts, elapsed, versions }))
    }
}

fn sim_options(config: &Config, command: &Demo) -> anyhow::Result<SimOptions> {
    Ok(SimOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        instruments: command.instruments,
        rate: command.rate,
        packets_per_frame: command.packets_per_frame,
        seed: command.seed,
        clock: config.clock.clone(),
        ledger: command.ledger.clone(),
        faults: command.faults.as_deref().map(tickhouse_simulator::FaultScript::load).transpose()?,
        ..SimOptions::default()
    })
}

/// Makes the simulator the exchange, with as many made-up keys as its instruments need.
fn point_at(config: &mut Config, exchange: SocketAddr, instruments: usize) -> anyhow::Result<()> {
    let token = endpoints::run_dir(&config.data_dir).join("demo-access-token");
    let write = || {
        std::fs::create_dir_all(endpoints::run_dir(&config.data_dir))?;
        std::fs::write(&token, "demo\n")
    };
    write().with_context(|| format!("{} can't be written", token.display()))?;
    let token = std::path::absolute(token)?;
    let kite = &mut config.kite;
    kite.endpoint = format!("ws://{exchange}");
    kite.api_url = format!("http://{exchange}");
    let keys = instruments.div_ceil(PER_KEY).max(1);
    kite.api_keys = (1..=keys).map(|number| Secret::new(format!("demo{number}"))).collect();
    kite.access_token_files = vec![token; keys];
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_as_people_write_them() {
        assert_eq!(span("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(span("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        for text in ["", "30", "-5s", "soon"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
