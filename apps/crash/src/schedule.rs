//! What goes wrong, and when: a pure function of the seed.
//!
//! What enters: a seed, a time span. What leaves: steps in the order of time. What never happens here: a look at anything but the
//! seed, so a run is told apart from another, and done again, by one number.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::time::Duration;

/// Between two steps, milliseconds.
const PAUSE: std::ops::Range<u64> = 500..1_700;

/// A process of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The exchange. Only ever stopped: its ledger is the oracle's witness, and a kill would take its last lines.
    Exchange,
    /// The recorder.
    Record,
    /// Redis.
    Redis,
    /// A loader.
    Load,
    /// Another loader of the same name: it waits until the lease of the first is over.
    Standby,
    /// ClickHouse.
    ClickHouse,
}

/// A connection that goes through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Recorder to exchange.
    Exchange,
    /// Recorder and loaders to Redis.
    Redis,
    /// Loaders to ClickHouse over HTTP.
    ClickHouse,
}

/// What a proxy does to the connections that go through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Open connections are reset, new ones too.
    Cut,
    /// Nothing is passed on and nothing closed.
    Freeze,
    /// Everything is passed on so many milliseconds later, at most 64 KiB at a time.
    Delay(u64),
    /// Few bytes at a time.
    Trickle,
    /// Requests arrive, answers do not: the connection is reset when one comes.
    SwallowAnswers,
    /// A connection is reset after so many more bytes of requests: in the middle of a body or a command.
    ResetAfter(u64),
}

/// What is taken from Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wipe {
    /// FLUSHALL.
    Everything,
    /// DEL of the stream of the first socket.
    Stream,
    /// XGROUP DESTROY on it.
    Group,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// SIGKILL, and a new start so many milliseconds later.
    Kill(Target, u64),
    /// SIGSTOP, and SIGCONT so many milliseconds later.
    Stop(Target, u64),
    /// A link misbehaves for so many milliseconds.
    Network(Link, Network, u64),
    /// Redis loses data.
    Wipe(Wipe),
    /// The engine is killed between the deduplication record and the rename of the next part of this table.
    Window(&'static str),
    /// The recorder can write nothing for so many milliseconds.
    DiskFull(u64),
    /// The access token expires; a new one is there so many milliseconds later.
    TokenExpired(u64),
}

impl Fault {
    /// A word for the report.
    pub fn kind(&self) -> String {
        let word = |target: &Target| format!("{target:?}").to_lowercase();
        match self {
            Self::Kill(target, _) => format!("kill {}", word(target)),
            Self::Stop(target, _) => format!("stop {}", word(target)),
            Self::Network(link, how, _) => {
                let how = match how {
                    Network::Cut => "cut",
                    Network::Freeze => "freeze",
                    Network::Delay(_) => "delay",
                    Network::Trickle => "trickle",
                    Network::SwallowAnswers => "swallow answers",
                    Network::ResetAfter(_) => "reset in mid request",
                };
                format!("{how}, {}", format!("{link:?}").to_lowercase())
            }
            Self::Wipe(Wipe::Everything) => "FLUSHALL".to_owned(),
            Self::Wipe(Wipe::Stream) => "DEL of a stream".to_owned(),
            Self::Wipe(Wipe::Group) => "XGROUP DESTROY".to_owned(),
            Self::Window(table) => format!("kill before the rename, {table}"),
            Self::DiskFull(_) => "disk full".to_owned(),
            Self::TokenExpired(_) => "token expired".to_owned(),
        }
    }

    /// Whether a process is ended by SIGKILL.
    pub const fn is_kill(&self) -> bool {
        matches!(self, Self::Kill(..) | Self::Window(_))
    }

    /// How long it lasts.
    pub const fn lasts(&self) -> Duration {
        Duration::from_millis(match self {
            Self::Kill(_, ms)
            | Self::Stop(_, ms)
            | Self::Network(_, _, ms)
            | Self::DiskFull(ms)
            | Self::TokenExpired(ms) => *ms,
            Self::Wipe(_) => 0,
            Self::Window(_) => WINDOW_OPEN_MS,
        })
    }
}

/// How long the next part of a table is waited for before the engine is let be.
const WINDOW_OPEN_MS: u64 = 4_000;

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// After the first tick was stored.
    pub at: Duration,
    /// What happens.
    pub fault: Fault,
}

/// Everything that a seed stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// The seed.
    pub seed: u64,
    /// How long faults go on.
    pub span: Duration,
    /// Midnight in India so long after the processes began; `None` where the machine's own clock is used.
    pub midnight_after: Option<Duration>,
    /// In the order of time.
    pub steps: Vec<Step>,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn of(seed: u64, span: Duration) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0063_7261_7368);
        let midnight = Duration::from_millis(rng.random_range(5_000..5_000 + millis(span)));
        let midnight_after = (seed % 4 == 3).then_some(midnight);
        let mut steps = Vec::new();
        let mut at = rng.random_range(PAUSE);
        while at < millis(span) {
            steps.push(Step { at: Duration::from_millis(at), fault: fault(&mut rng) });
            at += rng.random_range(PAUSE);
        }
        Self { seed, span, midnight_after, steps }
    }

    /// When the last fault is over.
    pub fn end(&self) -> Duration {
        self.steps.iter().map(|step| step.at + step.fault.lasts()).max().unwrap_or_default()
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn one_of<T: Copy>(rng: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[rng.random_range(0..choices.len())]
}

fn fault(rng: &mut ChaCha8Rng) -> Fault {
    match rng.random_range(0..100) {
        0..48 => {
            use Target::{ClickHouse, Load, Record, Redis, Standby};
            let targets = [Record, Redis, Load, Load, Standby, ClickHouse, ClickHouse];
            Fault::Kill(one_of(rng, &targets), rng.random_range(0..1_500))
        }
        48..60 => {
            use Target::{ClickHouse, Exchange, Load, Record, Redis, Standby};
            let targets = [Exchange, Record, Redis, Load, Load, Standby, Standby, ClickHouse];
            Fault::Stop(one_of(rng, &targets), rng.random_range(200..6_000))
        }
        60..86 => network(rng),
        86..90 => Fault::Wipe(one_of(rng, &[Wipe::Everything, Wipe::Stream, Wipe::Group])),
        90..96 => Fault::Window(one_of(rng, &WINDOW_TABLES)),
        96..98 => Fault::DiskFull(rng.random_range(500..4_000)),
        _ => Fault::TokenExpired(rng.random_range(200..3_000)),
    }
}

/// Tables whose parts are kept from their names. `tick_data` more often than what hangs on it.
const WINDOW_TABLES: [&str; 6] =
    ["tick_data", "tick_data", "tick_data", "tick_data_1min_state", "frames", "loader_seals"];

fn network(rng: &mut ChaCha8Rng) -> Fault {
    let link = one_of(rng, &[Link::Exchange, Link::Redis, Link::Redis, Link::ClickHouse, Link::ClickHouse]);
    let how = match rng.random_range(0..10) {
        0..2 => Network::Cut,
        2..3 => Network::Freeze,
        3..5 => Network::Delay(rng.random_range(5..300)),
        5..6 => Network::Trickle,
        6..8 => Network::SwallowAnswers,
        _ => Network::ResetAfter(rng.random_range(1..400_000)),
    };
    Fault::Network(link, how, rng.random_range(100..3_500))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_schedule_is_its_seeds(seed: u64, seconds in 1_u64..200) {
            let span = Duration::from_secs(seconds);
            let schedule = Schedule::of(seed, span);
            prop_assert_eq!(&schedule, &Schedule::of(seed, span));
            prop_assert!(schedule.steps.is_sorted_by_key(|step| step.at));
            prop_assert!(schedule.steps.iter().all(|step| step.at < span && step.fault.lasts() < Duration::from_secs(10)));
            prop_assert!(schedule.steps.len() as u64 >= seconds / 2);
            let kills_the_witness = |step: &Step| matches!(step.fault, Fault::Kill(Target::Exchange, _));
            prop_assert!(!schedule.steps.iter().any(kills_the_witness));
            prop_assert!(schedule.midnight_after.is_none_or(|after| after < span + Duration::from_secs(5)));
        }

        #[test]
        fn a_longer_run_begins_like_a_shorter_one(seed: u64) {
            let [short, long] = [30, 60].map(|seconds| Schedule::of(seed - seed % 4, Duration::from_secs(seconds)));
            prop_assert_eq!(&long.steps[..short.steps.len()], &short.steps[..]);
        }
    }

    #[test]
    fn twenty_seeds_have_what_a_long_run_must_show() {
        let steps: Vec<Step> =
            (1..=20).flat_map(|seed| Schedule::of(seed, Duration::from_mins(1)).steps).collect();
        let count = |of: fn(&Fault) -> bool| steps.iter().filter(|step| of(&step.fault)).count();
        assert!(count(Fault::is_kill) >= 200, "{}", count(Fault::is_kill));
        assert!(count(|fault| matches!(fault, Fault::Network(..))) >= 50);
        assert!(count(|fault| matches!(fault, Fault::Window(_))) >= 20);
        assert!(count(|fault| matches!(fault, Fault::TokenExpired(_))) > 0);
        assert!(count(|fault| matches!(fault, Fault::DiskFull(_))) > 0);
    }
}
