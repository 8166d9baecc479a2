//! Exports and retention, as a user runs them.

use super::{run, stderr, succeed, tickhouse};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Stops the engine, also when the test fails.
struct Stops<'a>(&'a Path);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        run(&["clickhouse", "stop", "--data-dir", "data"], self.0);
    }
}

const DATA: [&str; 2] = ["--data-dir", "data"];

fn typed(arguments: &[&str], here: &Path) -> std::process::Output {
    run(&[arguments, &DATA].concat(), here)
}

/// Days of ticks, two symbols each.
fn fill(here: &Path, days: &[&str], rows: u32) {
    for day in days {
        let sql = format!(
            "INSERT INTO tick_data (instrument_token, symbol, exchange, timestamp, last_price, volume, batch_id, sequence, packet_type, \
             session_type, data_quality) SELECT 256 * (number % 2 + 1) + 1, ['INFY', 'M&M'][number % 2 + 1], 'NSE', \
             toDateTime64('{day} 09:15:00', 3, 'Asia/Kolkata') + number / 100, number / 20, number, generateUUIDv4(1), number, 'full', \
             'regular', 'enriched' FROM numbers({rows})"
        );
        succeed(&typed(&["sql", &sql], here));
    }
}

#[test]
fn an_export_is_killed_and_goes_on_and_old_days_go_into_files() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    succeed(&typed(&["clickhouse", "start", "--http-port", "0", "--tcp-port", "0"], here));
    let _stops = Stops(here);
    succeed(&typed(&["migrate"], here));
    let days = ["2025-11-17", "2025-11-18", "2025-11-19"];
    fill(here, &days, 20_000);

    let wanted = ["export", "--from", "2025-11-17", "--to", "2025-11-20", "--out", "archive"];
    let dry = succeed(&typed(&[&wanted[..], &["--dry-run"]].concat(), here));
    assert!(dry.contains("60,000 rows of 3 days; nothing was written"), "{dry}");
    assert!(!here.join("archive").exists());

    // killed as soon as a first file stands
    let by_symbol = [&wanted[..], &["--partition", "date,symbol", "--json"]].concat();
    let mut child = tickhouse(&[&by_symbol[..], &DATA].concat());
    let mut child = child.current_dir(here).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let first = here.join("archive/tick_data/date=2025-11-17/symbol=INFY/part-0.parquet");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !first.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.exists());
    let report: Value = serde_json::from_str(&succeed(&typed(&by_symbol, here))).unwrap();
    let number = |name: &str| report[name].as_u64().unwrap();
    assert_eq!((number("files") + number("kept_files"), number("rows") + number("kept_rows")), (6, 60_000));
    let again: Value = serde_json::from_str(&succeed(&typed(&by_symbol, here))).unwrap();
    assert_eq!((again["files"].as_u64(), again["kept_rows"].as_u64()), (Some(0), Some(60_000)));
    assert!(here.join("archive/tick_data/date=2025-11-18/symbol=M%26M/part-0.parquet").exists());
    let refused = typed(&wanted, here);
    assert!(
        !refused.status.success() && stderr(&refused).contains("--partition date,symbol"),
        "{}",
        stderr(&refused)
    );

    std::fs::write(here.join("tickhouse.toml"), "[retention]\ntick_data_days = 1\nexport_to = \"cold\"\n")
        .unwrap();
    let unmounted = typed(&["retention", "apply"], here);
    assert!(
        !unmounted.status.success() && stderr(&unmounted).contains("is not there"),
        "{}",
        stderr(&unmounted)
    );
    std::fs::create_dir(here.join("cold")).unwrap();
    let plan = succeed(&typed(&["retention", "plan"], here));
    assert_eq!(plan.lines().filter(|line| line.contains(" export ")).count(), 3, "{plan}");
    assert!(plan.contains("tick_data_1min: 3 partitions are kept"), "{plan}");
    let same = succeed(&typed(&["retention", "apply", "--dry-run"], here));
    assert_eq!(same, plan);
    let done = succeed(&typed(&["retention", "apply"], here));
    assert!(done.contains("60,000 rows removed, 3 files written"), "{done}");
    assert_eq!(succeed(&typed(&["sql", "SELECT count() FROM tick_data"], here)), "0\n");
    let done: Value =
        serde_json::from_str(&succeed(&typed(&["retention", "apply", "--json"], here))).unwrap();
    assert_eq!((done["removed_rows"].as_u64(), done["files"].as_u64()), (Some(0), Some(0)));
    for day in days {
        assert!(here.join(format!("cold/tick_data/date={day}/part-0.parquet")).exists());
    }
}
