//! How a running system is doing: the numbers of its parts' status pages, and their rates.

use crate::process::{Usage, UsageReader};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tickhouse_health::Flow;

/// What a look at the parts found.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Progress {
    /// What flows.
    #[serde(flatten)]
    pub(crate) flow: tickhouse_health::Progress,
    /// Name and use of each process.
    pub(crate) usage: Vec<(String, Usage)>,
}

/// A process whose use is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    /// By its id.
    Process(u32),
    /// By the port of 127.0.0.1 that it listens on: it may be another one after a restart.
    Listener(u16),
}

/// Looks at the parts again and again.
#[derive(Debug)]
pub(crate) struct Watcher {
    client: reqwest::Client,
    usage: UsageReader,
    /// Process ids of those that listen on a port.
    listeners: BTreeMap<u16, u32>,
    began: Instant,
    flow: Flow,
}

impl Watcher {
    pub(crate) fn new(client: reqwest::Client) -> Self {
        Self {
            client,
            usage: UsageReader::new(),
            listeners: BTreeMap::new(),
            began: Instant::now(),
            flow: Flow::default(),
        }
    }

    /// Asks the parts; `others` are further processes whose use is told, `packets_sent` what the exchange says.
    pub(crate) async fn look(
        &mut self,
        data_dir: &Path,
        others: &[(&str, Whose)],
        packets_sent: u64,
    ) -> Progress {
        let statuses = tickhouse_endpoints::statuses(&self.client, data_dir).await;
        let own = |role: &&str| statuses.get(*role).map(|status| ((*role).to_owned(), own_usage(status)));
        let parts: Vec<_> = ["record", "load"].iter().filter_map(own).collect();
        let others = others.iter().map(|(name, whose)| ((*name).to_owned(), self.usage_of(*whose)));
        let usage = others.chain(parts).collect();
        let flow = self.flow.look(&statuses, packets_sent, self.began.elapsed()).clone();
        Progress { flow, usage }
    }

    /// Zeros while the process is not there. Who listens on a port is looked up again only when that one is gone.
    fn usage_of(&mut self, whose: Whose) -> Usage {
        let port = match whose {
            Whose::Process(pid) => return self.usage.of(pid),
            Whose::Listener(port) => port,
        };
        if let Some(pid) = self.listeners.get(&port) {
            let usage = self.usage.of(*pid);
            if usage != Usage::default() {
                return usage;
            }
        }
        let Some(holder) = tickhouse_embed::port::holder(port) else { return Usage::default() };
        self.listeners.insert(port, holder.pid);
        self.usage.of(holder.pid)
    }
}

fn own_usage(status: &Value) -> Usage {
    Usage {
        memory_bytes: status["memory_bytes"].as_u64().unwrap_or(0),
        cpu_seconds: status["cpu_seconds"].as_f64().unwrap_or(0.0),
        start_seconds: status["start_seconds"].as_u64().unwrap_or(0),
    }
}
