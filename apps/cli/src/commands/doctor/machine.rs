//! What the machine brings: disk, memory, limits, programs, the time.

use super::Finding;
use crate::output::bytes;
use std::path::{Path, PathBuf};
use std::process::Command;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use tickhouse_config::{Backend, Config};
use tickhouse_embed::{library, redis_install_command};

const GIB: u64 = 1 << 30;
/// The engine's library and a day of ticks fit into this.
const DISK_WANTED: u64 = 20 * GIB;
const DISK_NEEDED: u64 = 2 * GIB;
/// The embedded engine idles at about 270 MB.
const MEMORY_WANTED: u64 = 2 * GIB;
/// ClickHouse keeps the files of its parts open.
const FILES_WANTED: u64 = 1_024;

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = vec![disk(&config.data_dir), memory(), open_files(), time()];
    if config.redis.mode == Backend::Embedded {
        findings.push(redis_server());
    }
    if config.clickhouse.mode == Backend::Embedded {
        findings.push(engine());
    }
    findings
}

/// The folder itself or the nearest one above it that exists.
fn existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_owned()
}

fn disk(data_dir: &Path) -> Finding {
    let folder = existing(data_dir);
    let found = |free: u64| format!("{} free for {}", bytes(free), data_dir.display());
    if nix::unistd::access(&folder, nix::unistd::AccessFlags::W_OK).is_err() {
        return Finding::failure(
            "data directory",
            format!("{} is not writable", folder.display()),
            "choose another with --data-dir or data_dir",
        );
    }
    match nix::sys::statvfs::statvfs(&folder) {
        Err(error) => Finding::warning("data directory", format!("{}: {error}", folder.display()), ""),
        #[expect(
            clippy::useless_conversion,
            clippy::unnecessary_cast,
            reason = "the types differ between systems"
        )]
        Ok(stat) => {
            let free = stat.blocks_available() as u64 * u64::from(stat.fragment_size());
            match free {
                0..DISK_NEEDED => Finding::failure(
                    "data directory",
                    found(free),
                    "free some space or choose another disk with data_dir: the journal stops when the disk is full",
                ),
                DISK_NEEDED..DISK_WANTED => Finding::warning(
                    "data directory",
                    found(free),
                    "a full Kite key makes a few GiB a day; lower journal.keep_mib or choose another disk",
                ),
                _ => Finding::ok("data directory", found(free)),
            }
        }
    }
}

fn memory() -> Finding {
    let what = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let Ok(system) = System::new_with_specifics(what) else {
        return Finding::ok("memory", "can't be seen here");
    };
    let total = system.total_memory();
    if total < MEMORY_WANTED {
        let advice = "set clickhouse.memory_mib to less than half of it, or use an external ClickHouse";
        return Finding::warning("memory", bytes(total), advice);
    }
    Finding::ok("memory", bytes(total))
}

fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn open_files() -> Finding {
    let limit = output_of("sh", &["-c", "ulimit -n"]).unwrap_or_else(|| "unknown".to_owned());
    match limit.parse::<u64>() {
        Ok(number) if number < FILES_WANTED => {
            Finding::warning("open files", limit, format!("raise the limit: ulimit -n {FILES_WANTED}"))
        }
        _ => Finding::ok("open files", limit),
    }
}

/// Receive times are only as right as the machine's clock.
fn time() -> Finding {
    match output_of("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).as_deref() {
        Some("yes") => Finding::ok("time", "synchronised"),
        Some("no") => Finding::warning(
            "time",
            "not synchronised",
            "receive times will be off: timedatectl set-ntp true, or install chrony",
        ),
        _ => Finding::ok("time", "whether it is synchronised can't be seen here"),
    }
}

fn redis_server() -> Finding {
    match output_of("redis-server", &["--version"]) {
        Some(version) => {
            let number = version.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("?");
            let major: u32 = number.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
            if major < 7 {
                return Finding::failure("redis-server", number, "Redis 7.0 or later is needed");
            }
            Finding::ok("redis-server", number)
        }
        None => Finding::failure("redis-server", "not installed", redis_install_command()),
    }
}

fn engine() -> Finding {
    match library::find() {
        Ok(path) => Finding::ok("ClickHouse", format!("embedded engine {}", path.display())),
        Err(error) => Finding::failure(
            "ClickHouse",
            error.to_string(),
            "tickhouse clickhouse install, or an external server with clickhouse.mode and clickhouse.url",
        ),
    }
}
