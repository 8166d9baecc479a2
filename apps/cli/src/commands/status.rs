//! `tickhouse status`: whether all is well, and what to do where it is not.

use crate::arguments::Common;
use crate::health::HealthWatch;
use crate::output::{self, Exit, grouped};
use crate::screen::Screen;
use crate::setup;
use crate::shutdown::Shutdown;
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;
use tickhouse_health::{Health, Stage, State};
use tickhouse_model::Timestamp;

/// Between the two looks that rates are taken from, and between two pictures.
const APART: Duration = Duration::from_secs(1);
/// Ends of a script's question.
const WARN: u8 = 3;
const BAD: u8 = 4;

/// Whether all is well, in ten lines, and what to do where it is not.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 all is well, 3 look at it today, 4 act now or nothing runs. With --json always 0: see health.state."
)]
pub(crate) struct Status {
    /// One JSON object: everything that the processes say, and `health`
    #[arg(long)]
    json: bool,
    /// Again every second, in place
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

pub(crate) fn run(common: &Common, command: &Status) -> anyhow::Result<()> {
    let config = setup::config(common)?;
    setup::runtime(0)?.block_on(async {
        let mut health = HealthWatch::new(&config)?;
        if command.watch {
            return watch(health).await;
        }
        let mut found = health.look().await;
        // rates take two looks
        if health.statuses().contains_key("record") || health.statuses().contains_key("load") {
            tokio::time::sleep(APART).await;
            found = health.look().await;
        }
        if command.json {
            let mut all = health.statuses().clone();
            all.insert("health".to_owned(), json!(found));
            return output::json(&all);
        }
        if health.statuses().is_empty() {
            let place = health.place();
            return Err(Exit::with(
                BAD,
                format!("nothing runs on {place}: `tickhouse demo` or `tickhouse up`"),
            ));
        }
        output::line(text(&found).trim_end())?;
        match found.state {
            State::Ok => Ok(()),
            State::Warn => Err(Exit::with(WARN, "not everything is well".to_owned())),
            State::Bad => Err(Exit::with(BAD, "something is wrong: see the lines with bad".to_owned())),
        }
    })
}

async fn watch(mut health: HealthWatch) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen(false)?;
    let mut screen = if output::is_terminal() { Some(Screen::open()?) } else { None };
    let mut second = tokio::time::interval(APART);
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            _ = second.tick() => {}
        }
        let found = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            found = health.look() => found,
        };
        match &mut screen {
            Some(screen) => screen.draw(&format!("{}; Ctrl-C ends", health.place()), text(&found))?,
            None => output::line(text(&found).trim_end())?,
        }
    }
}

/// The whole, the stages, what to do, and how long ticks take.
fn text(health: &Health) -> String {
    let at = Timestamp::from_millis(health.at).to_string();
    let clock = at.get(11..19).unwrap_or_default();
    let totals = &health.totals;
    let mut text = format!(
        "{:<8} market {} · {clock} · {} ticks stored, {} quarantined, {} gaps\n",
        health.state.name().to_uppercase(),
        health.market.name(),
        grouped(totals.ticks_stored),
        grouped(totals.quarantined),
        grouped(totals.gaps),
    );
    health.stages.iter().for_each(|stage| line(&mut text, stage));
    let between = |between: &tickhouse_health::Between| {
        format!("{} p50 {:.1} ms p99 {:.1} ms", between.to, between.p50_ms, between.p99_ms)
    };
    let latency: Vec<String> = health.latency.iter().map(between).collect();
    if !latency.is_empty() {
        writeln!(text, "{:<8} from the socket to {}", "latency", latency.join(" · ")).ok();
    }
    let memory: u64 = health.processes.iter().map(|process| process.memory_bytes).sum();
    let cores: f64 = health.processes.iter().map(|process| process.cpu_cores).sum();
    let processes: Vec<String> = health
        .processes
        .iter()
        .map(|process| format!("{}{}", process.name, if process.alive { "" } else { " (down)" }))
        .collect();
    writeln!(text, "{:<8} {}: {}, {cores:.2} cores", "runs", processes.join(", "), output::bytes(memory))
        .ok();
    text
}

fn line(text: &mut String, stage: &Stage) {
    let rate = if stage.rate >= 0.5 {
        format!(" · {} {}/s", grouped(stage.rate.round() as u64), stage.unit)
    } else {
        String::new()
    };
    let lag = match stage.lag_seconds {
        Some(lag) if lag >= 1.0 => format!(" · {lag:.0} s behind"),
        _ => String::new(),
    };
    writeln!(text, "{:<8} {:<4}  {}{rate}{lag}", stage.name.name(), stage.state.name(), stage.summary).ok();
    if let Some(advice) = &stage.advice {
        writeln!(text, "{:<8}       → {advice}", "").ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhouse_health::{Judge, Look, MarketPhase};

    #[test]
    fn ten_lines_say_it_and_what_to_do() {
        let statuses = json!({
            "record": { "pid": 1, "market": "open", "instruments": 5, "sockets": [{ "socket": 0, "expects_data": true,
                "data_age_seconds": 40.0, "source": { "state": "connected", "subscribed": 900 } }], "journal": { "sockets": [] } },
            "load": { "pid": 2, "state": { "fence": 1 } },
        });
        let health = Judge::default().look(&Look {
            at: Timestamp::from_text("2026-11-20 10:15:30").unwrap(),
            elapsed: Duration::ZERO,
            market: MarketPhase::Open,
            statuses: statuses.as_object().unwrap(),
            disk: &[],
        });
        let text = text(&health);
        assert!(text.starts_with("BAD      market open · 10:15:30 · 0 ticks stored"), "{text}");
        assert!(text.contains("source   bad   socket 0: heartbeats only, no data for 40 s"), "{text}");
        assert!(text.contains("→ the recorder connects again by itself"), "{text}");
        assert!(text.lines().count() <= 10, "{text}");
    }
}
