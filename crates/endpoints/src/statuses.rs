//! What the processes of a data directory say of themselves, and what their files take: what a judge of health looks at.

use crate::{RunFile, journal_dir, run_dir};
use futures_util::future::join_all;
use nix::sys::statvfs::statvfs;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;
use tickhouse_embed::daemon;
use tickhouse_health::Disk;

/// Processes with a status of their own.
pub const ROLES: [&str; 6] = ["up", "demo", "sim", "record", "load", "serve"];
/// They are near, or not there.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Longer than any status; what is longer is none.
const STATUS_BYTES: usize = 16 << 20;

/// A client for status pages of this machine.
///
/// # Errors
/// When the system gives none.
pub fn status_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().timeout(ANSWER_LIMIT).build()
}

/// The status of a process that announced itself; none while it does not answer.
///
/// # Cancel safety
/// Safe.
pub async fn status(client: &reqwest::Client, file: &RunFile) -> Option<Value> {
    let url = format!("http://127.0.0.1:{}/status", file.port);
    let mut answer = client.get(url).send().await.ok()?.error_for_status().ok()?;
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.ok()? {
        if body.len() + piece.len() > STATUS_BYTES {
            return None;
        }
        body.extend_from_slice(&piece);
    }
    serde_json::from_slice(&body).ok()
}

/// What every process of this data directory says, by role, at once. One that lives and does not answer has an `error`; what
/// does not run is not there. ClickHouse and Redis are there when they run in the background.
///
/// # Cancel safety
/// Safe.
pub async fn statuses(client: &reqwest::Client, data_dir: &Path) -> Map<String, Value> {
    let run_dir = run_dir(data_dir);
    let alive = ROLES.iter().filter_map(|role| RunFile::read(&run_dir, role).filter(RunFile::is_alive));
    let asked = alive.map(|file| async move {
        let silent = || json!({ "role": file.role, "pid": file.pid, "error": "it does not answer" });
        let mut said = status(client, &file).await.unwrap_or_else(silent);
        if let (Some(ports), Some(said)) = (&file.ports, said.as_object_mut()) {
            said.insert("ports".to_owned(), json!(ports));
        }
        (file.role, said)
    });
    let mut found: Map<String, Value> = join_all(asked).await.into_iter().collect();
    for name in ["clickhouse", "redis"] {
        if let Ok(Some(state)) = daemon::status(&run_dir, name) {
            found.insert(name.to_owned(), json!(state));
        }
    }
    found
}

/// Bytes of the journal, Redis and ClickHouse of a data directory, and what is left on their disks; what is not there is left
/// out. Walks over every file: for a thread of its own, every few seconds at most.
pub fn disk(data_dir: &Path) -> Vec<Disk> {
    let folders = [
        ("journal", journal_dir(data_dir)),
        ("redis", data_dir.join("redis")),
        ("clickhouse", data_dir.join("clickhouse")),
    ];
    let look = |(name, folder): (&str, std::path::PathBuf)| {
        let (_, free_bytes) = disk_space(&folder)?;
        Some(Disk { name: name.to_owned(), bytes: size_of(&folder), free_bytes })
    };
    folders.into_iter().filter_map(look).collect()
}

/// Bytes of the disk that a folder is on, and those that are left to us; none where that can't be told.
pub fn disk_space(folder: &Path) -> Option<(u64, u64)> {
    let space = statvfs(folder).ok()?;
    // wide on one system, narrow on another
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "types differ between systems")]
    let (block, all, free) =
        (space.fragment_size() as u64, space.blocks() as u64, space.blocks_available() as u64);
    Some((all.saturating_mul(block), free.saturating_mul(block)))
}

/// Bytes of all files below a folder; files that go meanwhile count nothing.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size_of(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |file| file.len()),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_added_up_and_what_is_not_there_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal_dir(folder.path()).join("main/0");
        std::fs::create_dir_all(&journal).unwrap();
        std::fs::write(journal.join("1"), [0; 700]).unwrap();
        std::fs::write(journal_dir(folder.path()).join("2"), [0; 30]).unwrap();
        let disk = disk(folder.path());
        assert_eq!(disk.len(), 1, "{disk:?}");
        assert_eq!((disk[0].name.as_str(), disk[0].bytes), ("journal", 730));
        assert!(disk[0].free_bytes > 0);
        let (all, free) = disk_space(folder.path()).unwrap();
        assert!(all >= free);
    }

    #[tokio::test]
    async fn who_lives_and_is_silent_is_told_apart_from_who_does_not_run() {
        let folder = tempfile::tempdir().unwrap();
        // nobody listens there: the port was ours a moment ago
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = RunFile::of("load", port);
        file.write(&run_dir(folder.path())).unwrap();
        let said = statuses(&status_client().unwrap(), folder.path()).await;
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said["load"]["error"], "it does not answer");
    }
}
