//! Whether all is well, made every second from what the processes say.

use anyhow::Context as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickhouse_config::Config;
use tickhouse_enrich::{Calendar, Market};
use tickhouse_health::{Disk, Judge, Look, MarketPhase};
use tickhouse_web::HealthText;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_secs(1);
/// Between looks at the disk: a walk over every file.
const DISK_EVERY: u32 = 10;

/// The newest health, and the task that makes it.
pub(super) fn watch(
    config: &Config,
    calendar: &Arc<Calendar>,
) -> anyhow::Result<(HealthText, JoinHandle<()>)> {
    let client = tickhouse_endpoints::status_client().context("no HTTP client")?;
    let (sender, receiver) = watch::channel(None);
    let (config, calendar) = (config.clone(), Arc::clone(calendar));
    Ok((receiver, tokio::spawn(async move { look_on(&config, &calendar, &client, &sender).await })))
}

async fn look_on(
    config: &Config,
    calendar: &Calendar,
    client: &reqwest::Client,
    told: &watch::Sender<Option<Arc<str>>>,
) {
    let started = Instant::now();
    let mut judge = Judge::default();
    let mut disk: Vec<Disk> = Vec::new();
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0_u32.. {
        every.tick().await;
        if round.is_multiple_of(DISK_EVERY) {
            let data_dir = config.data_dir.clone();
            let looked = tokio::task::spawn_blocking(move || tickhouse_endpoints::disk(&data_dir)).await;
            disk = looked.unwrap_or_default();
        }
        let statuses = tickhouse_endpoints::statuses(client, &config.data_dir).await;
        let at = config.clock.now();
        let health = judge.look(&Look {
            at,
            elapsed: started.elapsed(),
            market: MarketPhase::of(calendar, [Market::Nse, Market::Mcx], at),
            statuses: &statuses,
            disk: &disk,
        });
        match serde_json::to_string(&health) {
            Ok(text) => drop(told.send_replace(Some(text.into()))),
            Err(error) => tracing::error!(%error, "health can't be written"),
        }
    }
}
