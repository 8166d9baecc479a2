//! Whether all is well, made every second from what the processes say.

use crate::health::HealthWatch;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_web::HealthText;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_secs(1);

/// The newest health, and the task that makes it.
pub(super) fn watch(config: &Config) -> anyhow::Result<(HealthText, JoinHandle<()>)> {
    let mut health = HealthWatch::new(config)?;
    let (told, receiver) = watch::channel(None);
    let looking = tokio::spawn(async move {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            match serde_json::to_string(&health.look().await) {
                Ok(text) => drop(told.send_replace(Some(Arc::<str>::from(text)))),
                Err(error) => tracing::error!(%error, "health can't be written"),
            }
        }
    });
    Ok((receiver, looking))
}
