//! Parts of a system, run by hand on one data directory.

use super::{run, succeed, tickhouse};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);

/// ClickHouse, Redis and parts on one data directory; all end with it.
pub(crate) struct Parts {
    folder: tempfile::TempDir,
    pub(crate) children: BTreeMap<&'static str, Child>,
}

impl Parts {
    pub(crate) fn start() -> Self {
        let parts = Self::redis_only();
        parts.succeed(&["clickhouse", "start", "--http-port", "0", "--tcp-port", "0"]);
        parts.succeed(&["migrate"]);
        parts
    }

    /// Without ClickHouse, which the test starts when it wants.
    pub(crate) fn redis_only() -> Self {
        let parts = Self { folder: tempfile::tempdir().unwrap(), children: BTreeMap::new() };
        parts.succeed(&["redis", "start", "--port", "0"]);
        parts
    }

    pub(crate) fn here(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        succeed(&run(&[arguments, &["--data-dir", "data"]].concat(), self.here()))
    }

    pub(crate) fn sql(&self, query: &str) -> String {
        self.succeed(&["sql", query]).trim_end().to_owned()
    }

    /// Starts a part and waits until it says where it is.
    pub(crate) fn spawn(&mut self, role: &'static str, arguments: &[&str]) -> u16 {
        let log = std::fs::File::options().create(true).append(true).open(self.here().join(role)).unwrap();
        let child = tickhouse(&[&[role], arguments, &["--data-dir", "data"]].concat())
            .current_dir(self.here())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let pid = child.id();
        self.children.insert(role, child);
        let file = self.here().join("data/run").join(format!("{role}.json"));
        self.until(&format!("{role} is there"), || {
            let read = std::fs::read(&file).ok()?;
            let told: Value = serde_json::from_slice(&read).ok()?;
            (told["pid"] == pid).then(|| told["port"].as_u64().unwrap() as u16)
        })
    }

    pub(crate) fn until<T>(&self, what: &str, mut so: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = so() {
                return found;
            }
            let logs: Vec<String> = self
                .children
                .keys()
                .map(|role| std::fs::read_to_string(self.here().join(role)).unwrap_or_default())
                .collect();
            assert!(started.elapsed() < PATIENCE, "never: {what}\n{}", logs.join("\n"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
        for service in ["clickhouse", "redis"] {
            run(&[service, "stop", "--data-dir", "data"], self.here());
        }
    }
}
