//! What somebody has to be told: each trouble once, again while it goes on, and when it is over.
//!
//! What enters: one health after another. What leaves: messages. What never happens here: the same words twice within the reminder's
//! time, a word about what lasted no longer than [`AlertOptions::after`].

use crate::{Health, StageName, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use tickhouse_model::Timestamp;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertOptions {
    /// How long something must be wrong before it is said.
    pub after: Duration,
    /// When what goes on is said again.
    pub remind_every: Duration,
}

/// Remembers what was said to one receiver. Can be kept in a file between two runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alerter {
    troubles: BTreeMap<StageName, Trouble>,
    /// Gaps that were told; none before the first look.
    gaps: Option<u64>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trouble {
    since: Timestamp,
    /// The worst that was said of it, and when; none: it is too young.
    said: Option<(State, Timestamp)>,
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The worst of it; `ok` where everything in it is over.
    pub state: State,
    /// One line.
    pub title: String,
    /// All of it, title included, for people.
    pub text: String,
}

impl Alerter {
    /// Takes in a health; gives what is to be said now, if anything.
    pub fn look(&mut self, health: &Health, options: AlertOptions, now: Timestamp) -> Option<Message> {
        let mut lines = Vec::new();
        let mut worst = State::Ok;
        for stage in &health.stages {
            let name = stage.name.name();
            if stage.state == State::Ok {
                if let Some(Trouble { since, said: Some(_) }) = self.troubles.remove(&stage.name) {
                    let lasted = span(now.since(since));
                    lines.push(format!("ok    {name}: well again after {lasted}: {}", stage.summary));
                }
                continue;
            }
            let trouble = self.troubles.entry(stage.name).or_insert(Trouble { since: now, said: None });
            let is_due = match trouble.said {
                None => now.since(trouble.since) >= options.after,
                Some((state, _)) if stage.state > state => true,
                Some((_, at)) => now.since(at) >= options.remind_every,
            };
            if !is_due {
                continue;
            }
            let goes_on = trouble.said.is_some_and(|(state, _)| state >= stage.state);
            trouble.said = Some((trouble.said.map_or(stage.state, |(state, _)| state.max(stage.state)), now));
            worst = worst.max(stage.state);
            let since =
                if goes_on { format!(" (for {})", span(now.since(trouble.since))) } else { String::new() };
            lines.push(format!("{:<4}  {name}: {}{since}", stage.state.name(), stage.summary));
            lines.extend(stage.advice.iter().map(|advice| format!("      → {advice}")));
        }
        if let Some(line) = self.gaps(health.totals.gaps) {
            worst = worst.max(State::Warn);
            lines.push(line);
        }
        message(worst, &lines, health)
    }

    /// Holes that have ended since the last look.
    fn gaps(&mut self, gaps: u64) -> Option<String> {
        let before = self.gaps.replace(gaps).filter(|before| *before < gaps)?;
        let more = gaps - before;
        let holes = if more == 1 { "hole".to_owned() } else { format!("{more} holes") };
        Some(format!("warn  source: the feed had a {holes}: `tickhouse query gaps` says from when to when"))
    }
}

fn message(state: State, lines: &[String], health: &Health) -> Option<Message> {
    if lines.is_empty() {
        return None;
    }
    let what = lines.iter().find(|line| !line.starts_with(' ')).map_or("", |line| line[6..].trim());
    let title = match state {
        State::Ok => format!("Tickhouse is well again: {what}"),
        state => format!("Tickhouse {}: {what}", state.name()),
    };
    let mut text = format!("{title}\n\n");
    lines.iter().for_each(|line| {
        writeln!(text, "{line}").ok();
    });
    let at = Timestamp::from_millis(health.at).to_string();
    write!(
        text,
        "\n{} in India, market {}",
        at.get(..19).unwrap_or_default().replace('T', " "),
        health.market.name()
    )
    .ok();
    Some(Message { state, title, text })
}

/// `45 s`, `12 min`, `3 h 5 min`.
fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Judge, Look, MarketPhase};
    use serde_json::json;

    const OPTIONS: AlertOptions =
        AlertOptions { after: Duration::from_secs(15), remind_every: Duration::from_hours(1) };

    /// A recorder with data of this age, and so many gaps.
    fn health(age: f64, gaps: u64) -> Health {
        let statuses = json!({
            "record": { "pid": 1, "market": "open", "instruments": 5, "journal": { "sockets": [] },
                "sockets": [{ "socket": 0, "expects_data": true, "data_age_seconds": age,
                    "source": { "state": "connected", "subscribed": 900, "gaps": gaps } }] },
            "load": { "pid": 2, "state": { "fence": 1 } },
        });
        let statuses = statuses.as_object().unwrap();
        let at = Timestamp::from_text("2026-11-20 10:00").unwrap();
        Judge::default().look(&Look {
            at,
            elapsed: Duration::ZERO,
            market: MarketPhase::Open,
            statuses,
            disk: &[],
        })
    }

    #[test]
    fn a_trouble_is_said_once_reminded_of_worsened_and_over() {
        let mut alerter = Alerter::default();
        let mut look = |second: i64, age: f64, gaps: u64| {
            let now = Timestamp::from_millis(second * 1_000);
            // as a run of cron does
            alerter = serde_json::from_str(&serde_json::to_string(&alerter).unwrap()).unwrap();
            alerter.look(&health(age, gaps), OPTIONS, now).map(|message| (message.state, message.text))
        };
        assert_eq!(look(1, 1.0, 0), None);
        assert_eq!(look(10, 6.0, 0), None, "too young");
        let (state, text) = look(26, 7.0, 0).unwrap();
        assert_eq!(state, State::Warn);
        assert!(
            text.starts_with("Tickhouse warn: source: socket 0: heartbeats only, no data for 7 s"),
            "{text}"
        );
        assert!(
            text.contains("→ the recorder connects again") && text.contains("2026-11-20 10:00"),
            "{text}"
        );
        assert_eq!(look(30, 8.0, 0), None, "said");
        let (state, _) = look(40, 20.0, 0).unwrap();
        assert_eq!(state, State::Bad, "worse is said at once");
        assert_eq!(look(50, 8.0, 0), None, "better is not");
        assert_eq!(look(60, 20.0, 0), None, "nor what was said before");
        let (_, text) = look(40 + 3_600, 20.0, 0).unwrap();
        assert!(text.contains("(for 60 min)"), "{text}");
        let (state, text) = look(40 + 7_300, 1.0, 1).unwrap();
        assert_eq!(state, State::Warn);
        assert!(text.contains("well again after 2 h 2 min") && text.contains("had a hole"), "{text}");
        assert_eq!(look(40 + 7_400, 1.0, 1), None);
        let (state, text) = look(40 + 7_500, 1.0, 3).unwrap();
        assert!(state == State::Warn && text.contains("2 holes"), "{text}");
        // a recorder that begins anew counts from zero
        assert_eq!(look(40 + 7_600, 1.0, 0), None);
        assert_eq!(look(40 + 7_700, 6.0, 0), None);
        assert_eq!(look(40 + 7_710, 1.0, 0), None, "it was over before it was said");
    }
}
