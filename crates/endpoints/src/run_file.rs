//! Which processes run on a data directory, and where they can be asked: `<data>/run/<role>.json`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where a running system's services are; `up` and `demo` write it into their run file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// ClickHouse over HTTP.
    pub clickhouse_http: u16,
    /// ClickHouse's native protocol.
    pub clickhouse_tcp: u16,
    /// Redis.
    pub redis: u16,
}

/// Contents of a run file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// `record`, `load`, `serve`, `up`, `demo` or `sim`.
    pub role: String,
    /// Process id.
    pub pid: u32,
    /// Port of the status endpoint on 127.0.0.1.
    pub port: u16,
    /// Only of `up` and `demo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Ports>,
    /// Where the page is; only of `serve`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<SocketAddr>,
    /// Where pushes are taken; only of a `serve` that takes any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<SocketAddr>,
}

impl RunFile {
    /// That of this process, with nothing but its status.
    pub fn of(role: &str, port: u16) -> Self {
        let pid = std::process::id();
        Self { role: role.to_owned(), pid, port, ports: None, page: None, push: None }
    }

    /// Where the run file of a role is.
    pub fn path(run_dir: &Path, role: &str) -> PathBuf {
        run_dir.join(format!("{role}.json"))
    }

    /// The run file of a role; `None` when there is none.
    pub fn read(run_dir: &Path, role: &str) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(run_dir, role)).ok()?).ok()
    }

    /// Whether its process lives.
    pub fn is_alive(&self) -> bool {
        let pid = nix::unistd::Pid::from_raw(self.pid as i32);
        nix::sys::signal::kill(pid, None).is_ok()
    }

    /// Writes it, and beside it where Prometheus finds the process (`<role>.targets.json`, for its `file_sd_configs`): the old
    /// ones, or these, never a part.
    ///
    /// # Errors
    /// When the folder can't be made or a file not be written.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(run_dir)?;
        let targets = json!([{
            "targets": [format!("127.0.0.1:{}", self.port)],
            "labels": { "process": self.role },
        }]);
        replace(&Self::targets_path(run_dir, &self.role), &targets)?;
        replace(&Self::path(run_dir, &self.role), &json!(self))
    }

    /// Removes both, when its process ends in order; a killed one leaves them, so that Prometheus sees it down.
    pub fn remove(&self, run_dir: &Path) {
        // who looks for a process does not find one in either case
        std::fs::remove_file(Self::path(run_dir, &self.role)).ok();
        std::fs::remove_file(Self::targets_path(run_dir, &self.role)).ok();
    }

    fn targets_path(run_dir: &Path, role: &str) -> PathBuf {
        run_dir.join(format!("{role}.targets.json"))
    }
}

fn replace(path: &Path, value: &Value) -> io::Result<()> {
    let new = path.with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec_pretty(value)?)?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_file_is_read_as_it_was_written_and_a_strangers_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let ports = Some(Ports { clickhouse_http: 1, clickhouse_tcp: 2, redis: 3 });
        let file = RunFile { ports, ..RunFile::of("up", 4) };
        let run_dir = folder.path().join("run");
        file.write(&run_dir).unwrap();
        assert_eq!(RunFile::read(&run_dir, "up"), Some(file.clone()));
        assert!(file.is_alive());
        assert_eq!(RunFile::read(&run_dir, "demo"), None);
        let targets = std::fs::read(run_dir.join("up.targets.json")).unwrap();
        let targets: Value = serde_json::from_slice(&targets).unwrap();
        assert_eq!(targets, json!([{ "targets": ["127.0.0.1:4"], "labels": { "process": "up" } }]));
        file.remove(&run_dir);
        assert_eq!(std::fs::read_dir(&run_dir).unwrap().count(), 0);
        std::fs::write(RunFile::path(&run_dir, "demo"), "{\"role\":").unwrap();
        assert_eq!(RunFile::read(&run_dir, "demo"), None);
    }
}
