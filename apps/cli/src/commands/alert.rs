//! `tickhouse alert`: tells people when something is wrong, for those without Prometheus.

mod receivers;

use crate::arguments::Common;
use crate::health::HealthWatch;
use crate::shutdown::Shutdown;
use crate::{endpoints, output, setup};
use anyhow::{Context as _, bail};
use clap::Args;
use receivers::Receiver;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tickhouse_config::Config;
use tickhouse_health::{AlertOptions, Alerter, Health, Message, State};
use tickhouse_model::Timestamp;

/// Between the two looks of `--once`: lags and rates take two.
const APART: Duration = Duration::from_secs(1);

/// Watches what `tickhouse status` shows, and says to Telegram, by e-mail or to a webhook when something is wrong, again while it
/// goes on, and when it is well again.
#[derive(Debug, Args)]
#[command(
    after_help = "Where to: [alert] in the configuration, see config/tickhouse.example.toml and docs/monitoring.md."
)]
pub(crate) struct Alert {
    /// Send one message to every receiver now, and end
    #[arg(long, conflicts_with = "once")]
    test: bool,
    /// Look once, say what has to be said, and end: for cron
    #[arg(long)]
    once: bool,
    /// Print what would be sent, send nothing, remember nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(common: &Common, command: &Alert) -> anyhow::Result<()> {
    let config = setup::config(common)?;
    setup::logs(&config, None)?;
    if !config.alert.has_receiver() && !command.dry_run {
        bail!(
            "nobody would be told: set alert.telegram_token_file, alert.smtp_host or alert.webhook_url_file; --dry-run prints"
        );
    }
    let receivers = Receiver::all(&config.alert)?;
    setup::runtime(0)?.block_on(async {
        if command.test {
            return test(&receivers, command.dry_run).await;
        }
        let mut sending = Sending::new(&config, receivers, command.dry_run);
        let mut health = HealthWatch::new(&config)?;
        if command.once {
            health.look().await;
            tokio::time::sleep(APART).await;
            return sending.take(&health.look().await, config.clock.now()).await;
        }
        watch(&config, &mut health, &mut sending).await
    })
}

async fn watch(config: &Config, health: &mut HealthWatch, sending: &mut Sending) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(false)?;
    let mut look = tokio::time::interval(config.alert.look_every);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tracing::info!(receivers = sending.receivers.len(), "watching");
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            _ = look.tick() => {}
        }
        let found = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            found = health.look() => found,
        };
        // a message that is under way is finished: it was decided on
        if let Err(error) = sending.take(&found, config.clock.now()).await {
            tracing::error!(
                error = format!("{error:#}"),
                "a message can't be sent, it is tried again with the next look"
            );
        }
    }
}

async fn test(receivers: &[Receiver], dry_run: bool) -> anyhow::Result<()> {
    let message = Message {
        state: State::Ok,
        title: "Tickhouse says hello".to_owned(),
        text: "Tickhouse says hello\n\nThis is a test of `tickhouse alert --test`: messages arrive here."
            .to_owned(),
    };
    let mut failed = 0;
    for receiver in receivers {
        let name = receiver.name();
        let sent = if dry_run { Ok(()) } else { receiver.send(&message).await };
        match sent {
            Ok(()) if dry_run => output::line(&format!("{name}: would be sent\n{}", message.text))?,
            Ok(()) => output::line(&format!("{name}: sent"))?,
            Err(error) => {
                failed += 1;
                output::line(&format!("{name}: {error:#}"))?;
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} receivers took nothing", receivers.len());
    }
    Ok(())
}

/// What was said to whom, kept in a file so that a restart, or the next run of cron, does not say it again.
struct Sending {
    receivers: Vec<Receiver>,
    said: BTreeMap<String, Alerter>,
    options: AlertOptions,
    file: PathBuf,
    dry_run: bool,
}

impl Sending {
    fn new(config: &Config, receivers: Vec<Receiver>, dry_run: bool) -> Self {
        let file = endpoints::run_dir(&config.data_dir).join("alert.json");
        let said =
            std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let options = AlertOptions { after: config.alert.after, remind_every: config.alert.remind_every };
        Self { receivers, said, options, file, dry_run }
    }

    /// Says what has to be said. What a receiver did not take is said to it with the next look.
    async fn take(&mut self, health: &Health, now: Timestamp) -> anyhow::Result<()> {
        if self.dry_run {
            let alerter = self.said.entry("dry-run".to_owned()).or_default();
            if let Some(message) = alerter.look(health, self.options, now) {
                output::line(&message.text)?;
            }
            return Ok(());
        }
        let mut result = Ok(());
        let before = self.said.clone();
        for receiver in &self.receivers {
            let mut alerter = self.said.get(receiver.name()).cloned().unwrap_or_default();
            let message = alerter.look(health, self.options, now);
            let sent = match &message {
                Some(message) => receiver.send(message).await.with_context(|| receiver.name().to_owned()),
                None => Ok(()),
            };
            match sent {
                Ok(()) => {
                    if let Some(message) = message {
                        tracing::info!(receiver = receiver.name(), title = message.title, "told");
                    }
                    self.said.insert(receiver.name().to_owned(), alerter);
                }
                Err(error) => result = Err(error),
            }
        }
        if before != self.said {
            keep(&self.file, &self.said)
                .with_context(|| format!("{} can't be written", self.file.display()))?;
        }
        result
    }
}

fn keep(file: &Path, said: &BTreeMap<String, Alerter>) -> anyhow::Result<()> {
    let new = file.with_extension("json.new");
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&new, serde_json::to_vec(said)?)?;
    Ok(std::fs::rename(&new, file)?)
}
