//! Carries out the steps of a schedule.
//!
//! What enters: a running system, steps. What leaves: the system as it was before, and what was done. What never happens here: a fault
//! that is still on when this returns.

use crate::report::Done;
use crate::schedule::{Fault, Link, Schedule, Target, Wipe};
use crate::system::System;
use nix::sys::signal::Signal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ANSWER: Duration = Duration::from_millis(500);

/// Does everything, and undoes what lasts. Faults overlap as the schedule says; two on the same link do not: the later one rules.
pub(crate) async fn carry_out(system: &System, schedule: &Schedule) -> Done {
    let began = Instant::now();
    let mut done = Done::default();
    let attack = Attack { system, tokens: AtomicU64::new(0) };
    // ends of faults, by the time at which they are due
    let mut ends: Vec<(Duration, Fault)> = Vec::new();
    let mut steps = schedule.steps.iter().peekable();
    loop {
        let next_end = ends.iter().map(|(at, _)| *at).min();
        let next_step = steps.peek().map(|step| step.at);
        let Some(next) = [next_end, next_step].into_iter().flatten().min() else { break };
        tokio::time::sleep(next.saturating_sub(began.elapsed())).await;
        if next_step == Some(next) {
            let step = steps.next().expect("it was looked at");
            let hit = attack.begin(step.fault).await;
            done.note(step.fault, hit);
            ends.push((step.at + step.fault.lasts(), step.fault));
            continue;
        }
        let at = ends.iter().position(|(at, _)| Some(*at) == next_end).expect("one of them is next");
        let (_, fault) = ends.swap_remove(at);
        let same = |other: &Fault| matches!((fault, other), (Fault::Network(a, ..), Fault::Network(b, ..)) if a == *b);
        if !ends.iter().any(|(_, other)| same(other)) {
            attack.end(fault);
        }
    }
    attack.heal();
    done
}

struct Attack<'a> {
    system: &'a System,
    /// Tokens that have expired so far.
    tokens: AtomicU64,
}

impl Attack<'_> {
    /// Begins a fault; whether it hit anything.
    async fn begin(&self, fault: Fault) -> bool {
        let system = self.system;
        match fault {
            Fault::Kill(target, down) => {
                if let Some(keeper) = system.keeper(target) {
                    keeper.hold(Duration::from_millis(down));
                }
                system.signal(target, Signal::SIGKILL)
            }
            Fault::Stop(target, _) => system.signal(target, Signal::SIGSTOP),
            Fault::Network(link, how, _) => {
                system.proxy(link).set(Some(how));
                true
            }
            Fault::Wipe(what) => {
                let command = match what {
                    Wipe::Everything => "FLUSHALL",
                    Wipe::Stream => "DEL ticks:stream:crash:0",
                    Wipe::Group => "XGROUP DESTROY ticks:stream:crash:0 tickhouse",
                };
                redis(system.redis_port, command).await
            }
            Fault::Window(_) => false,
            Fault::DiskFull(_) => self.limit_files(Some(0)),
            Fault::TokenExpired(_) => {
                let token = format!("token-{}", self.tokens.fetch_add(1, Ordering::Relaxed));
                log_out(system.exchange_port, &token).await
            }
        }
    }

    /// Ends a fault.
    fn end(&self, fault: Fault) {
        let system = self.system;
        match fault {
            Fault::Stop(target, _) => drop(system.signal(target, Signal::SIGCONT)),
            Fault::Network(link, ..) => system.proxy(link).set(None),
            Fault::DiskFull(_) => drop(self.limit_files(None)),
            Fault::TokenExpired(_) => self.fresh_token(),
            Fault::Kill(..) | Fault::Wipe(_) | Fault::Window(_) => {}
        }
    }

    fn heal(&self) {
        use Target::{ClickHouse, Exchange, Load, Record, Redis, Standby};
        for link in [Link::Exchange, Link::Redis, Link::ClickHouse] {
            self.system.proxy(link).set(None);
        }
        for target in [Exchange, Record, Redis, Load, Standby, ClickHouse] {
            self.system.signal(target, Signal::SIGCONT);
        }
        self.limit_files(None);
        self.fresh_token();
    }

    fn fresh_token(&self) {
        let token = format!("token-{}", self.tokens.load(Ordering::Relaxed));
        if let Err(error) = self.system.set_token(&token) {
            crate::keeper::note(&self.system.notes, format!("no fresh token: {error}"));
        }
    }

    /// Bytes that the recorder's files may have; `None`: any number.
    fn limit_files(&self, bytes: Option<u64>) -> bool {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};

        let pid = self.system.pid(Target::Record).and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let limit = Rlimit { current: bytes, maximum: None };
        pid.is_some_and(|pid| prlimit(Some(pid), Resource::Fsize, limit).is_ok())
    }
}

/// Whether Redis took a command.
async fn redis(port: u16, command: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer[..1]).await.ok()?;
        (answer[0] != b'-').then_some(())
    };
    matches!(tokio::time::timeout(ANSWER, ask).await, Ok(Some(())))
}

/// Ends the life of an access token at the exchange.
async fn log_out(port: u16, token: &str) -> bool {
    let url = format!("http://127.0.0.1:{port}/session/token?api_key=crash&access_token={token}");
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(ANSWER).build() else { return false };
    let asked = client.delete(url).header("Authorization", format!("token crash:{token}")).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}
