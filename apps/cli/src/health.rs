//! The health of what runs on a data directory, looked at again and again: for `status`, `alert` and the web page.

use crate::endpoints;
use crate::system::status_client;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickhouse_config::Config;
use tickhouse_enrich::{Calendar, Market};
use tickhouse_health::{Disk, Health, Judge, Look, MarketPhase};

/// Between two looks at the disk: a walk over every file.
const DISK_EVERY: Duration = Duration::from_secs(30);
/// What is taken for recorded when no recorder says it.
const USUAL: [Market; 3] = [Market::Nse, Market::NfoOptions, Market::Bse];

/// Asks the processes and judges what they say.
#[derive(Debug)]
pub(crate) struct HealthWatch {
    config: Config,
    client: reqwest::Client,
    calendar: Arc<Calendar>,
    judge: Judge,
    began: Instant,
    statuses: Map<String, Value>,
    disk: Vec<Disk>,
    disk_looked: Option<Instant>,
}

impl HealthWatch {
    /// Of what runs on the configured data directory, or of the demo below it where only that runs.
    ///
    /// # Errors
    /// When the calendar can't be read.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let calendar = endpoints::calendar_of_ticks(config)?;
        let mut config = config.clone();
        config.data_dir = endpoints::of_what_runs(&config);
        Ok(Self {
            config,
            client: status_client()?,
            calendar,
            judge: Judge::default(),
            began: Instant::now(),
            statuses: Map::new(),
            disk: Vec::new(),
            disk_looked: None,
        })
    }

    /// Asks everybody, for two seconds at most, and judges.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn look(&mut self) -> Health {
        if self.disk_looked.is_none_or(|looked| looked.elapsed() >= DISK_EVERY) {
            let data_dir = self.config.data_dir.clone();
            let looked = tokio::task::spawn_blocking(move || tickhouse_endpoints::disk(&data_dir)).await;
            self.disk = looked.unwrap_or_default();
            self.disk_looked = Some(Instant::now());
        }
        self.statuses = tickhouse_endpoints::statuses(&self.client, &self.config.data_dir).await;
        let at = self.config.clock.now();
        self.judge.look(&Look {
            at,
            elapsed: self.began.elapsed(),
            market: MarketPhase::of(&self.calendar, USUAL, at),
            statuses: &self.statuses,
            disk: &self.disk,
        })
    }

    /// What the processes said at the last look.
    pub(crate) const fn statuses(&self) -> &Map<String, Value> {
        &self.statuses
    }

    /// Where they run.
    pub(crate) fn place(&self) -> String {
        self.config.data_dir.display().to_string()
    }
}
