//! What is old goes, and nothing that is not in a file.

use crate::{ask, run, store, ticks};
use std::path::Path;
use tickhouse_archive::{
    Action, BackupOptions, BackupPlaces, BackupProgress, Manifest, Method, Place, Retention, RetentionReport,
    RetentionRules, Stop, Stretch, create_backup, retained,
};
use tickhouse_model::Timestamp;
use tickhouse_store::{Partition, Seal, Store};

fn now() -> Timestamp {
    Timestamp::from_text("2026-11-23 08:00:00").unwrap()
}

/// The lock of backups of a database.
fn lock(store: &Store) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("{}-{}.lock", store.options().database, std::process::id()))
}

/// By these days for tables, into a folder or nowhere.
fn retention(store: &Store, days: &[(&str, u32)], folder: Option<&Path>) -> Retention {
    let of = |name: &str| days.iter().find(|(table, _)| *table == name).map_or(0, |(_, days)| *days);
    let rules = RetentionRules {
        keep_days: retained().into_iter().map(|one| (one, of(one.table.name))).collect(),
        export_to: folder.map(Path::to_owned),
        lock: lock(store),
    };
    Retention::new(store, rules, now())
}

async fn apply(store: &Store, folder: Option<&Path>) -> RetentionReport {
    retention(store, &[("tick_data", 3)], folder).apply(&Stop::default(), |_, _| {}).await.unwrap()
}

async fn plan(store: &Store, folder: Option<&Path>) -> Vec<(String, Action, String)> {
    let plan = retention(store, &[("tick_data", 3)], folder).plan().await.unwrap();
    let ticks = plan.into_iter().filter(|stretch: &Stretch| stretch.table == "tick_data");
    ticks.map(|stretch| (stretch.last_day.to_string(), stretch.action, stretch.why)).collect()
}

async fn rows(store: &Store, table: &str) -> String {
    ask(store, &format!("SELECT count() FROM {table}")).await
}

/// The rows of the folder's files, as the engine reads them by itself, and the digest that the table had.
async fn in_files(store: &Store, folder: &Path) -> String {
    let sql = format!(
        "SELECT count(), sum(volume), sum(sequence), uniqExact(symbol) FROM file('{}/tick_data/**/*.parquet', Parquet)",
        folder.display()
    );
    ask(store, &sql).await
}

const SUMS: &str = "SELECT count(), sum(volume), sum(sequence), uniqExact(symbol) FROM tick_data";

#[tokio::test]
async fn old_days_go_into_files_and_then_from_the_table() {
    let store = store("retention_moves").await;
    for day in ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-23"] {
        ticks(&store, day, &["INFY", "M&M"], 3_000).await;
    }
    let old = ask(&store, &format!("{SUMS} WHERE date <= '2026-11-19'")).await;
    let folder = tempfile::tempdir().unwrap();
    let out = Some(folder.path());
    let due: Vec<Action> = plan(&store, out).await.into_iter().map(|(_, action, _)| action).collect();
    assert_eq!(due, [Action::Export, Action::Export, Action::Keep, Action::Keep]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a plan writes nothing");

    let report = apply(&store, out).await;
    assert_eq!((report.removed_rows, report.files), (12_000, 2), "{report:?}");
    assert!(
        report.outcomes.iter().all(|outcome| outcome.removed && outcome.stretch.action == Action::Export)
    );
    assert_eq!(in_files(&store, folder.path()).await, old);
    assert_eq!(ask(&store, "SELECT min(date), count() FROM tick_data").await, "2026-11-20\t12000");
    assert_eq!(
        ask(
            &store,
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE '%retired'"
        )
        .await,
        "0"
    );
    // bars and everything else are kept
    assert_ne!(rows(&store, "tick_data_1min_state").await, "0");
    let manifest = Manifest::read(folder.path()).unwrap().unwrap();
    assert!(manifest.files.values().all(|entry| entry.moved_at.is_some()));

    let again = apply(&store, out).await;
    assert_eq!((again.removed_rows, again.files, again.outcomes.len()), (0, 0, 0));
    // rows that come late, into a day that is gone, are filed beside what is there
    ticks(&store, "2026-11-18", &["LATE"], 10).await;
    let report = apply(&store, out).await;
    assert_eq!((report.removed_rows, report.files), (10, 1), "{report:?}");
    let manifest = Manifest::read(folder.path()).unwrap().unwrap();
    assert_eq!(manifest.files["tick_data/date=2026-11-18/part-1.parquet"].rows, 10);
    assert!(in_files(&store, folder.path()).await.starts_with("12010\t"));
}

#[tokio::test]
async fn what_is_under_way_or_differs_is_refused() {
    let store = store("retention_refuses").await;
    ticks(&store, "2026-11-18", &["INFY"], 100).await;
    let day = 20_775;
    assert_eq!(ask(&store, "SELECT toUInt16(toDate('2026-11-18'))").await, day.to_string());
    let seal = Seal {
        loader: "loader".to_owned(),
        fence: 1,
        number: 1,
        partitions: vec![(Partition { date: day, hour: 9 }, 100)],
        ..Seal::default()
    };
    let folder = tempfile::tempdir().unwrap();
    for out in [None, Some(folder.path())] {
        let long_ago = Timestamp::from_text("2026-11-18 09:20:00").unwrap();
        store.record_sealed(&seal, long_ago).await.unwrap();
        let planned = plan(&store, out).await;
        assert!(
            planned[0].1 == Action::Refuse && planned[0].2.contains("not yet known to be stored"),
            "{planned:?}"
        );
        let report = apply(&store, out).await;
        assert_eq!((report.removed_rows, report.outcomes[0].stretch.action), (0, Action::Refuse));

        // stored, but a moment ago: a backlog is being caught up with
        store.record_stored(&seal, Timestamp::from_text("2026-11-23 07:30:00").unwrap()).await.unwrap();
        let planned = plan(&store, out).await;
        assert!(
            planned[0].1 == Action::Refuse && planned[0].2.contains("within the last hour"),
            "{planned:?}"
        );
        assert_eq!(apply(&store, out).await.removed_rows, 0);
        run(&store, "TRUNCATE TABLE loader_seals").await;
    }
    assert_eq!(rows(&store, "tick_data").await, "100");
    // a batch of another day, and one that was stored long ago, are no reason
    let other =
        Seal { partitions: vec![(Partition { date: day + 1, hour: 9 }, 1)], number: 2, ..seal.clone() };
    store.record_sealed(&other, now()).await.unwrap();
    store.record_sealed(&seal, Timestamp::from_text("2026-11-18 09:20:00").unwrap()).await.unwrap();
    store.record_stored(&seal, Timestamp::from_text("2026-11-18 09:20:01").unwrap()).await.unwrap();

    // the folder has more of the day than the table: the table's rows are no copy of the file's
    apply_export(&store, folder.path()).await;
    run(&store, "ALTER TABLE tick_data DELETE WHERE sequence = 7 SETTINGS mutations_sync = 1").await;
    let report = apply(&store, Some(folder.path())).await;
    assert_eq!((report.removed_rows, report.outcomes[0].stretch.action), (0, Action::Refuse));
    assert!(report.outcomes[0].stretch.why.contains("100 rows"), "{report:?}");
    assert_eq!(rows(&store, "tick_data").await, "99");
    // without a folder they just go
    assert_eq!(apply(&store, None).await.removed_rows, 99);
    assert_eq!(rows(&store, "tick_data").await, "0");
}

async fn apply_export(store: &Store, folder: &Path) {
    let request = tickhouse_archive::ExportRequest {
        table: "tick_data".parse().unwrap(),
        from: jiff::civil::date(2026, 11, 18),
        to: jiff::civil::date(2026, 11, 18),
        symbols: Vec::new(),
        format: tickhouse_archive::FileFormat::Parquet,
        by_symbol: false,
        folder: folder.to_owned(),
        rows_per_file: tickhouse_archive::ROWS_PER_FILE,
    };
    let export = tickhouse_archive::Export::new(store, request, now()).await.unwrap();
    export.run(&Stop::default(), |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_file_that_rotted_is_written_again_before_rows_go() {
    let store = store("retention_rot").await;
    ticks(&store, "2026-11-18", &["INFY"], 100).await;
    let wanted = ask(&store, SUMS).await;
    let folder = tempfile::tempdir().unwrap();
    apply_export(&store, folder.path()).await;
    assert_eq!(plan(&store, Some(folder.path())).await[0].1, Action::Drop);
    let path = folder.path().join("tick_data/date=2026-11-18/part-0.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&path, bytes).unwrap();
    let report = apply(&store, Some(folder.path())).await;
    assert_eq!((report.removed_rows, report.files), (100, 1));
    assert_eq!(in_files(&store, folder.path()).await, wanted);
}

#[tokio::test]
async fn rows_that_come_between_export_and_move_bring_everything_back() {
    let store = store("retention_race").await;
    ticks(&store, "2026-11-18", &["INFY"], 100).await;
    let folder = tempfile::tempdir().unwrap();
    let once = std::sync::atomic::AtomicBool::new(false);
    let retention = retention(&store, &[("tick_data", 3)], Some(folder.path()));
    let options = store.options().clone();
    let report = retention
        .apply(&Stop::default(), |_, progress| {
            // the file is written and read back
            if progress.rows == 100 && !once.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let options = options.clone();
                let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                std::thread::spawn(move || {
                    runtime()
                        .block_on(async { ticks(&Store::new(options), "2026-11-18", &["LATE"], 5).await });
                })
                .join()
                .unwrap();
            }
        })
        .await
        .unwrap();
    assert_eq!((report.removed_rows, report.outcomes[0].stretch.action), (0, Action::Refuse), "{report:?}");
    assert!(report.outcomes[0].stretch.why.contains("100 then, 105 now"), "{report:?}");
    assert_eq!(rows(&store, "tick_data").await, "105");
    assert_eq!(
        ask(
            &store,
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE '%retired'"
        )
        .await,
        "0"
    );
    let report = apply(&store, Some(folder.path())).await;
    assert_eq!(report.removed_rows, 105);
    assert!(in_files(&store, folder.path()).await.starts_with("105\t"));
}

#[tokio::test]
async fn a_kill_at_any_step_is_taken_up() {
    let store = store("retention_killed").await;
    let folder = tempfile::tempdir().unwrap();
    let out = Some(folder.path());
    ticks(&store, "2026-11-18", &["INFY"], 8_000).await;
    let wanted = ask(&store, SUMS).await;
    let partitions = ask(&store, "SELECT DISTINCT _partition_id FROM tick_data ORDER BY 1").await;
    let partitions: Vec<&str> = partitions.lines().collect();
    assert!(partitions.len() > 2);
    apply_export(&store, folder.path()).await;
    let move_aside = async |some: &[&str]| {
        run(&store, "CREATE TABLE IF NOT EXISTS tick_data_retired AS tick_data").await;
        for partition in some {
            run(
                &store,
                &format!("ALTER TABLE tick_data MOVE PARTITION ID '{partition}' TO TABLE tick_data_retired"),
            )
            .await;
        }
    };
    // killed within the move: back, and all of it again
    move_aside(&partitions[..1]).await;
    let kept = retention(&store, &[], out).apply(&Stop::default(), |_, _| {}).await.unwrap();
    assert_eq!((kept.put_back, kept.finished, kept.removed_rows), (1, 0, 0));
    assert_eq!(ask(&store, SUMS).await, wanted);
    // killed after the move, before the comparison
    move_aside(&partitions).await;
    assert_eq!(rows(&store, "tick_data").await, "0");
    let kept = retention(&store, &[], out).apply(&Stop::default(), |_, _| {}).await.unwrap();
    assert_eq!((kept.put_back, kept.finished), (partitions.len() as u64, 0));
    assert_eq!(ask(&store, SUMS).await, wanted);
    // killed after the manifest says that it was compared, and some were dropped
    move_aside(&partitions).await;
    let mut manifest = Manifest::read(folder.path()).unwrap().unwrap();
    manifest.files.values_mut().for_each(|entry| entry.moved_at = Some(now().to_string()));
    manifest.write(folder.path()).unwrap();
    run(&store, &format!("ALTER TABLE tick_data_retired DROP PARTITION ID '{}'", partitions[0])).await;
    let done = apply(&store, out).await;
    assert_eq!((done.put_back, done.finished), (0, partitions.len() as u64 - 1));
    assert_eq!(rows(&store, "tick_data").await, "0");
    assert_eq!(in_files(&store, folder.path()).await, wanted);
    assert_eq!(
        ask(
            &store,
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE '%retired'"
        )
        .await,
        "0"
    );
}

#[tokio::test]
async fn bars_indices_frames_and_candles_go_the_same_way() {
    let store = store("retention_tables").await;
    ticks(&store, "2026-09-15", &["INFY", "NIFTY"], 600).await;
    let bars = ask(&store, "SELECT count(), sum(tick_count) FROM tick_data_1min").await;
    run(
        &store,
        "INSERT INTO indices_data (instrument_token, symbol, timestamp, last_price) SETTINGS async_insert = 0 \
         SELECT 256265, 'NIFTY', toDateTime64('2026-09-02 10:00:00', 3, 'Asia/Kolkata') + number * 40000, number FROM numbers(50)",
    )
    .await;
    run(
        &store,
        "INSERT INTO frames (recorder, session, sequence, received_at, kind) SETTINGS async_insert = 0 \
         SELECT 'main', 1, number, toDateTime64('2026-09-15 10:00:00', 6, 'Asia/Kolkata') + number, 'frame' FROM numbers(100)",
    )
    .await;
    run(
        &store,
        "INSERT INTO candles (instrument_token, symbol, interval, timestamp, close, processed_at) SETTINGS async_insert = 0 \
         SELECT 257, 'INFY', 'day', toDateTime('2024-01-01 00:00:00', 'Asia/Kolkata') + 86400 * (number % 20), number, \
         toDateTime64(number, 3) FROM numbers(40)",
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let days = [("tick_data_1min", 30), ("indices_data", 30), ("frames", 30), ("candles", 30)];
    let all = retention(&store, &days, Some(folder.path()));
    let report = all.apply(&Stop::default(), |_, _| {}).await.unwrap();
    assert!(report.outcomes.iter().all(|outcome| outcome.removed), "{report:?}");
    assert_eq!(report.outcomes.len(), 4);
    for table in ["tick_data_1min_state", "indices_data", "frames", "candles"] {
        assert_eq!(rows(&store, table).await, "0", "{table}");
    }
    assert_eq!(rows(&store, "tick_data").await, "1200");
    let file = |table: &str, what: &str| {
        format!("SELECT {what} FROM file('{}/{table}/**/*.parquet', Parquet)", folder.path().display())
    };
    assert_eq!(ask(&store, &file("tick_data_1min", "count(), sum(tick_count)")).await, bars);
    assert_eq!(ask(&store, &file("indices_data", "count(), sum(last_price)")).await, "50\t1225");
    assert_eq!(ask(&store, &file("frames", "count(), sum(sequence)")).await, "100\t4950");
    assert_eq!(ask(&store, &file("candles", "count(), sum(close)")).await, "20\t590");
}

/// What the tables beside the others are; none as a rule.
async fn retired(store: &Store) -> String {
    let sql = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%retired'";
    ask(store, sql).await
}

#[tokio::test]
async fn rows_of_a_restored_backup_are_not_filed_twice() {
    let store = store("retention_restored").await;
    let folder = tempfile::tempdir().unwrap();
    let out = Some(folder.path());
    for day in ["2026-11-17", "2026-11-18"] {
        ticks(&store, day, &["INFY", "M&M"], 500).await;
    }
    run(&store, "CREATE TABLE backup_of_ticks AS tick_data").await;
    run(&store, "INSERT INTO backup_of_ticks SELECT * FROM tick_data").await;
    let wanted = ask(&store, SUMS).await;
    assert_eq!(apply(&store, out).await.removed_rows, 2_000);
    // late rows of a day make a second file
    ticks(&store, "2026-11-18", &["LATE"], 10).await;
    run(&store, "INSERT INTO backup_of_ticks SELECT * FROM tick_data").await;
    assert_eq!(apply(&store, out).await.removed_rows, 10);
    let in_folder = in_files(&store, folder.path()).await;
    assert!(in_folder.starts_with("2010\t") && wanted.starts_with("2000\t"));

    // the whole of both days is in the table again
    run(&store, "INSERT INTO tick_data SELECT * FROM backup_of_ticks").await;
    let report = apply(&store, out).await;
    assert_eq!(report.removed_rows, 2_010, "{report:?}");
    assert_eq!(in_files(&store, folder.path()).await, in_folder);
    let manifest = Manifest::read(folder.path()).unwrap().unwrap();
    assert!(manifest.files.values().all(|entry| entry.moved_at.is_some()), "{manifest:?}");

    // and once more with rows that no file has: which are which can't be told
    run(&store, "INSERT INTO tick_data SELECT * FROM backup_of_ticks WHERE date = '2026-11-18'").await;
    ticks(&store, "2026-11-18", &["LATER"], 3).await;
    let report = apply(&store, out).await;
    assert_eq!((report.removed_rows, report.outcomes[0].stretch.action), (0, Action::Refuse));
    assert!(report.outcomes[0].stretch.why.contains("retention moved 1010 rows"), "{report:?}");
    assert_eq!(rows(&store, "tick_data").await, "1013");
    assert_eq!(in_files(&store, folder.path()).await, in_folder);
}

#[tokio::test]
async fn seals_without_ticks_and_void_ones() {
    let store = store("retention_seals").await;
    ticks(&store, "2026-11-18", &["INFY"], 100).await;
    run(
        &store,
        "INSERT INTO frames (recorder, session, sequence, received_at, kind) SETTINGS async_insert = 0 \
         SELECT 'main', 1, number, toDateTime64('2026-11-18 10:00:00', 6, 'Asia/Kolkata') + number, 'frame' FROM numbers(10)",
    )
    .await;
    let long_ago = Timestamp::from_text("2026-11-18 09:20:00").unwrap();
    let empty = Seal { loader: "loader".to_owned(), fence: 1, number: 1, frames: 10, ..Seal::default() };
    store.record_sealed(&empty, long_ago).await.unwrap();
    let days = [("tick_data", 3), ("frames", 3)];
    let actions = async || {
        let plan = retention(&store, &days, None).plan().await.unwrap();
        let due = plan.into_iter().filter(|stretch| ["tick_data", "frames"].contains(&stretch.table));
        due.map(|stretch| (stretch.table, stretch.action)).collect::<Vec<_>>()
    };
    assert_eq!(actions().await, [("tick_data", Action::Drop), ("frames", Action::Refuse)]);
    store.record_stored(&empty, long_ago).await.unwrap();
    assert_eq!(actions().await, [("tick_data", Action::Drop), ("frames", Action::Drop)]);
    // a seal that came too late is recorded as stored without its days
    let partitions = vec![(Partition { date: 20_775, hour: 9 }, 100)];
    let late = Seal { number: 2, partitions, ..empty.clone() };
    store.record_sealed(&late, long_ago).await.unwrap();
    assert_eq!(actions().await[0], ("tick_data", Action::Refuse));
    store.record_stored(&Seal { partitions: Vec::new(), frames: 0, ..late }, long_ago).await.unwrap();
    assert_eq!(actions().await, [("tick_data", Action::Drop), ("frames", Action::Drop)]);
}

#[tokio::test]
async fn a_manifest_that_can_not_be_written_brings_everything_back() {
    let store = store("retention_full").await;
    ticks(&store, "2026-11-18", &["INFY"], 100).await;
    let folder = tempfile::tempdir().unwrap();
    apply_export(&store, folder.path()).await;
    let in_the_way = folder.path().join("manifest.json.partial");
    let failed = retention(&store, &[("tick_data", 3)], Some(folder.path()))
        .apply(&Stop::default(), |_, progress| {
            if progress.rows == 100 {
                std::fs::create_dir_all(&in_the_way).unwrap();
            }
        })
        .await;
    assert!(failed.unwrap_err().to_string().contains("manifest.json.partial"));
    assert_eq!((rows(&store, "tick_data").await, retired(&store).await), ("100".to_owned(), String::new()));
    std::fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(apply(&store, Some(folder.path())).await.removed_rows, 100);
}

#[tokio::test]
async fn a_batch_that_begins_during_the_export_keeps_rows_where_they_are() {
    let store = store("retention_sealed_late").await;
    ticks(&store, "2026-11-18", &["INFY"], 100).await;
    let folder = tempfile::tempdir().unwrap();
    let retention = retention(&store, &[("tick_data", 3)], Some(folder.path()));
    let options = store.options().clone();
    let (stop, once) = (Stop::default(), std::sync::Once::new());
    let report = retention.apply(&stop, |_, progress| {
        if progress.rows < 100 {
            return;
        }
        once.call_once(|| {
            let options = options.clone();
            let sealed = move || {
                let partitions = vec![(Partition { date: 20_775, hour: 9 }, 5)];
                let seal =
                    Seal { loader: "loader".to_owned(), fence: 1, number: 1, partitions, ..Seal::default() };
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let store = Store::new(options);
                    store.record_sealed(&seal, now()).await.unwrap();
                    // whoever moves rows now fails: the loader may be counting them
                    run(&store, "CREATE TABLE tick_data_retired (x UInt8) ENGINE = MergeTree ORDER BY x")
                        .await;
                });
            };
            std::thread::spawn(sealed).join().unwrap();
        });
    });
    let report = report.await.unwrap();
    assert_eq!((report.removed_rows, report.outcomes[0].stretch.action), (0, Action::Refuse), "{report:?}");
    assert!(report.outcomes[0].stretch.why.contains("not yet known to be stored"), "{report:?}");
}

#[tokio::test]
async fn backup_and_retention_keep_off_each_other() {
    let store = store("retention_locked").await;
    ticks(&store, "2026-11-18", &["INFY"], 100).await;
    let folder = tempfile::tempdir().unwrap();
    let held = std::fs::File::create(lock(&store)).unwrap();
    held.try_lock().unwrap();
    let locked = retention(&store, &[("tick_data", 3)], None).apply(&Stop::default(), |_, _| {}).await;
    assert!(locked.unwrap_err().to_string().contains("is locked"));
    assert_eq!(rows(&store, "tick_data").await, "100");
    drop(held);

    let at = BackupPlaces {
        place: Place::Folder(folder.path().join("backups")),
        engine_folder: None,
        lock: lock(&store),
    };
    let options = BackupOptions { incremental: false, method: Some(Method::Native) };
    let progress = tokio::sync::watch::Sender::new(BackupProgress::default());
    let partition = ask(&store, "SELECT any(_partition_id) FROM tick_data").await;
    run(&store, "CREATE TABLE tick_data_retired AS tick_data").await;
    run(&store, &format!("ALTER TABLE tick_data MOVE PARTITION ID '{partition}' TO TABLE tick_data_retired"))
        .await;
    let refused = create_backup(&store, &at, options, now(), &progress).await.unwrap_err();
    assert!(refused.to_string().contains("into tick_data_retired by a retention"), "{refused}");
    // and an empty one is of no interest
    assert_eq!(retention(&store, &[], None).apply(&Stop::default(), |_, _| {}).await.unwrap().put_back, 1);
    run(&store, "CREATE TABLE tick_data_retired AS tick_data").await;
    let made = create_backup(&store, &at, options, now(), &progress).await.unwrap();
    assert!(made.tables.iter().all(|table| table.name != "tick_data_retired"));
    assert_eq!(made.tables.iter().find(|table| table.name == "tick_data").unwrap().partitions.len(), 1);

    let nowhere = folder.path().join("unmounted");
    let error =
        retention(&store, &[("tick_data", 3)], Some(&nowhere)).apply(&Stop::default(), |_, _| {}).await;
    assert!(error.unwrap_err().to_string().contains("mount its disk") && !nowhere.exists());
}
