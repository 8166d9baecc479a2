//! Tables into files: what the engine reads from the files by itself is what the table holds.

use crate::{ask, run, store, ticks};
use jiff::civil::{Date, date};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tickhouse_archive::{
    ArchiveError, Export, ExportReport, ExportRequest, FileFormat, Manifest, ROWS_PER_FILE, Stop, Table,
};
use tickhouse_model::Timestamp;
use tickhouse_store::Store;

const FIRST: Date = date(2026, 11, 16);
const LAST: Date = date(2026, 11, 20);

fn later() -> Timestamp {
    Timestamp::from_text("2026-11-23 08:00:00").unwrap()
}

fn request(folder: &Path) -> ExportRequest {
    ExportRequest {
        table: "tick_data".parse().unwrap(),
        from: FIRST,
        to: LAST,
        symbols: Vec::new(),
        format: FileFormat::Parquet,
        by_symbol: false,
        folder: folder.to_owned(),
        rows_per_file: ROWS_PER_FILE,
    }
}

async fn export(store: &Store, request: ExportRequest) -> Result<ExportReport, ArchiveError> {
    Export::new(store, request, later()).await?.run(&Stop::default(), |_| {}).await
}

/// The files of a folder, by path within it, without the manifest and the lock.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut places: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(&place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                places.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found.remove("manifest.json").expect("there is a manifest");
    found.remove(".tickhouse.lock").expect("there is a lock");
    found
}

/// Numbers over the rows of files, as the engine reads them by itself: no structure is told.
async fn sums_of_files(store: &Store, folder: &Path, format: &str, what: &str) -> String {
    let mut paths: Vec<String> = files(folder).into_keys().collect();
    paths.sort();
    let each: Vec<String> = paths
        .iter()
        .map(|path| format!("SELECT * FROM file('{}', {format})", folder.join(path).display()))
        .collect();
    // the file's own columns, not those of its path, which this engine does not decode
    let settings = "SETTINGS use_hive_partitioning = 0";
    ask(store, &format!("SELECT {what} FROM ({}) {settings}", each.join(" UNION ALL "))).await
}

const SUMS: &str = "count(), sum(volume), sum(toDecimal64(last_price, 2)), uniqExact(symbol), sum(sequence), \
     sum(cityHash64(symbol, toString(session_type), toString(batch_id), instrument_token)), min(date), max(date)";

#[tokio::test]
async fn every_format_holds_what_the_table_holds() {
    let store = store("export_formats").await;
    ticks(&store, "2026-11-16", &["INFY", "M&M"], 300).await;
    ticks(&store, "2026-11-18", &["INFY", "NIFTY"], 100).await;
    ticks(&store, "2026-11-21", &["INFY"], 10).await;
    let wanted = ask(&store, &format!("SELECT {SUMS} FROM tick_data WHERE date <= '2026-11-20'")).await;
    assert!(wanted.starts_with("800\t"), "{wanted}");
    for (format, engine) in
        [(FileFormat::Parquet, "Parquet"), (FileFormat::Csv, "CSVWithNames"), (FileFormat::Arrow, "Arrow")]
    {
        for by_symbol in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let report =
                export(&store, ExportRequest { format, by_symbol, ..request(folder.path()) }).await.unwrap();
            let expected = if by_symbol { 4 } else { 2 };
            assert_eq!((report.files, report.rows, report.kept_files), (expected, 800, 0), "{engine}");
            assert_eq!(sums_of_files(&store, folder.path(), engine, SUMS).await, wanted, "{engine}");
            // instants, whatever the format does with zones
            let times = "toUnixTimestamp64Milli(toDateTime64(min(timestamp), 3)), count()";
            if format != FileFormat::Csv {
                let of_table =
                    ask(&store, &format!("SELECT {times} FROM tick_data WHERE date <= '2026-11-20'")).await;
                assert_eq!(sums_of_files(&store, folder.path(), engine, times).await, of_table, "{engine}");
            }
            let manifest = Manifest::read(folder.path()).unwrap().unwrap();
            let written = files(folder.path());
            assert_eq!(manifest.files.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>());
            for (path, bytes) in &written {
                assert_eq!(manifest.files[path].bytes, bytes.len() as u64);
            }
            assert_eq!(manifest.files.values().map(|entry| entry.rows).sum::<u64>(), 800);
            let again =
                export(&store, ExportRequest { format, by_symbol, ..request(folder.path()) }).await.unwrap();
            assert_eq!((again.files, again.kept_files, again.kept_rows), (0, expected, 800), "{engine}");
            assert_eq!(files(folder.path()), written);
        }
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a few rows for every table")]
async fn every_table_can_be_exported_and_read_back() {
    let store = store("export_tables").await;
    ticks(&store, "2026-11-16", &["INFY", "NIFTY"], 300).await;
    run(
        &store,
        "INSERT INTO candles (instrument_token, symbol, exchange, interval, timestamp, open, high, low, close, volume, processed_at) \
         SETTINGS async_insert = 0 SELECT 257, 'INFY', 'NSE', 'minute', toDateTime('2026-11-16 09:15:00', 'Asia/Kolkata') + 60 * (number % 50), \
         1, 2, 0.5, number, 7, toDateTime64(number, 3) FROM numbers(100)",
    )
    .await;
    run(
        &store,
        "INSERT INTO instruments (instrument_token, symbol, exchange, valid_from, valid_to) SETTINGS async_insert = 0 \
         VALUES (257, 'INFY', 'NSE', '1970-01-01', '2149-06-06'), (513, 'NIFTY', 'NSE', '1970-01-01', '2149-06-06')",
    )
    .await;
    run(
        &store,
        "INSERT INTO feed_gaps (recorder, `from`, `to`, cause, detail, tokens) SETTINGS async_insert = 0 \
         VALUES ('main', '2026-11-16 10:00:00', '2026-11-16 10:01:00', 'broken', 'a \"b\", c\nd', [1, 2, 3])",
    )
    .await;
    run(
        &store,
        "INSERT INTO news_data (id, title, symbols, published_at, sentiment) SETTINGS async_insert = 0 \
         VALUES ('1', 'x''y', ['M&M', 'L''T'], '2026-11-16 10:00:00', 0.25)",
    )
    .await;
    run(
        &store,
        "INSERT INTO quarantine (recorder, received_at, reason, payload) SETTINGS async_insert = 0 \
         VALUES ('main', '2026-11-16 10:00:00.123456', 'malformed', unhex('00ff0a0d2c22'))",
    )
    .await;
    run(
        &store,
        "INSERT INTO frames (recorder, session, sequence, received_at, kind, checksum) SETTINGS async_insert = 0 \
         SELECT 'main', 1, number, toDateTime64('2026-11-16 10:00:00', 6, 'Asia/Kolkata') + number, 'frame', number FROM numbers(1000)",
    )
    .await;
    run(
        &store,
        "INSERT INTO indices_data (instrument_token, symbol, timestamp, last_price) SETTINGS async_insert = 0 \
         SELECT 256265, 'NIFTY', toDateTime64('2026-11-16 10:00:00', 3, 'Asia/Kolkata') + number, number FROM numbers(1000)",
    )
    .await;
    let rows = [
        ("tick_data_1min", 10),
        ("candles", 50),
        ("indices_data", 1_000),
        ("news_data", 1),
        ("frames", 1_000),
        ("feed_gaps", 1),
        ("quarantine", 1),
    ];
    for (name, rows) in rows {
        let table: Table = name.parse().unwrap();
        for (format, engine) in [
            (FileFormat::Parquet, "Parquet"),
            (FileFormat::Csv, "CSVWithNames"),
            (FileFormat::Arrow, "Arrow"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            // that the file is read back and equals the table is part of the export
            let report =
                export(&store, ExportRequest { table, format, ..request(folder.path()) }).await.unwrap();
            assert_eq!((report.rows, report.files), (rows, 1), "{name} {engine}");
            assert_eq!(
                sums_of_files(&store, folder.path(), engine, "count()").await,
                rows.to_string(),
                "{name}"
            );
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let table = "tick_data_1min".parse().unwrap();
    let by_symbol =
        ExportRequest { table, by_symbol: true, symbols: vec!["INFY".to_owned()], ..request(folder.path()) };
    export(&store, by_symbol).await.unwrap();
    let paths: Vec<String> = files(folder.path()).into_keys().collect();
    assert_eq!(paths, ["tick_data_1min/date=2026-11-16/symbol=INFY/part-0.parquet"]);
    let table = "frames".parse().unwrap();
    let refused = export(&store, ExportRequest { table, by_symbol: true, ..request(folder.path()) }).await;
    assert!(matches!(refused, Err(ArchiveError::Request(_))), "{refused:?}");
}

#[tokio::test]
async fn hostile_symbols_stay_in_their_folder_and_keep_their_rows() {
    let store = store("export_symbols").await;
    let symbols = [
        "M&M",
        "NIFTY 50",
        "../../../etc/passwd",
        "/abs",
        "a/b",
        "..",
        ".",
        "",
        "a'b\\c",
        "नि",
        "A=B",
        "%2E",
        "x\ny",
    ];
    ticks(&store, "2026-11-17", &symbols, 20).await;
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("a/b/c/d");
    let report = export(&store, ExportRequest { by_symbol: true, ..request(&folder) }).await.unwrap();
    assert_eq!((report.files as usize, report.rows), (symbols.len(), 20 * symbols.len() as u64));
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 1);
    let written = files(&folder);
    assert_eq!(written.len(), symbols.len());
    assert!(
        written
            .keys()
            .all(|path| path.starts_with("tick_data/date=2026-11-17/symbol=")
                && path.matches('/').count() == 3)
    );
    assert!(written.contains_key("tick_data/date=2026-11-17/symbol=M%26M/part-0.parquet"));
    assert_eq!(
        sums_of_files(&store, &folder, "Parquet", SUMS).await,
        ask(&store, &format!("SELECT {SUMS} FROM tick_data")).await
    );
    // one of them, by name, by exchange and name, by token
    for (wanted, rows) in [("a'b\\c", 20), ("NSE:M&M", 20), ("257", 20), ("BSE:M&M", 0), ("') OR 1=1 --", 0)]
    {
        let folder = tempfile::tempdir().unwrap();
        let report =
            export(&store, ExportRequest { symbols: vec![wanted.to_owned()], ..request(folder.path()) })
                .await;
        assert_eq!(report.unwrap().rows, rows, "{wanted}");
    }
}

#[tokio::test]
async fn what_was_killed_goes_on_where_it_was() {
    let store = store("export_killed").await;
    let symbols: Vec<String> = (0..12).map(|number| format!("S{number}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    ticks(&store, "2026-11-16", &symbols, 200).await;
    ticks(&store, "2026-11-17", &symbols, 200).await;
    // three instruments a file: four files a day
    let cut = |folder: &Path| ExportRequest { rows_per_file: 600, ..request(folder) };
    let undisturbed = tempfile::tempdir().unwrap();
    assert_eq!(export(&store, cut(undisturbed.path())).await.unwrap().files, 8);
    let oracle = sums_of_files(&store, undisturbed.path(), "Parquet", SUMS).await;
    assert_eq!(oracle, ask(&store, &format!("SELECT {SUMS} FROM tick_data")).await);
    for killed_at in [0, 1, 5] {
        let folder = tempfile::tempdir().unwrap();
        let one = Export::new(&store, cut(folder.path()), later()).await.unwrap();
        let reached = AtomicBool::new(false);
        let never = Stop::default();
        // a future that is dropped has no chance to clean up, as a process that is killed
        let mut work = Box::pin(one.run(&never, |progress| {
            if progress.rows >= 600 * killed_at && progress.writing > 0 {
                reached.store(true, Ordering::Relaxed);
            }
        }));
        std::future::poll_fn(|context| match work.as_mut().poll(context) {
            std::task::Poll::Pending if !reached.load(Ordering::Relaxed) => std::task::Poll::Pending,
            _ => std::task::Poll::Ready(()),
        })
        .await;
        assert!(reached.load(Ordering::Relaxed));
        drop(work);
        // what such a run can leave besides
        let place = folder.path().join("tick_data/date=2026-11-17");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("part-9.parquet"), "an end of another cut").unwrap();
        std::fs::write(place.join("part-1.parquet.partial"), "half").unwrap();
        let report = export(&store, cut(folder.path())).await.unwrap();
        assert_eq!(report.files + report.kept_files, 8);
        // the first file is entered at once, later ones as often as the disk is quick enough
        assert!(report.kept_files >= u64::from(killed_at > 1), "{report:?}");
        assert_eq!(files(folder.path()), files(undisturbed.path()));
    }
}

#[tokio::test]
async fn what_changed_under_it_is_written_again_and_nothing_else() {
    let store = store("export_changes").await;
    ticks(&store, "2026-11-16", &["A", "", "C"], 50).await;
    ticks(&store, "2026-11-17", &["A", "B"], 50).await;
    let folder = tempfile::tempdir().unwrap();
    let by_symbol = || ExportRequest { by_symbol: true, ..request(folder.path()) };
    assert_eq!(export(&store, by_symbol()).await.unwrap().files, 5);

    // mended: half of the nameless rows are A's, half B's
    run(
        &store,
        "ALTER TABLE tick_data UPDATE symbol = if(sequence % 2 = 0, 'A', 'B') WHERE symbol = '' SETTINGS mutations_sync = 1",
    )
    .await;
    let report = export(&store, by_symbol()).await.unwrap();
    assert_eq!((report.files, report.replaced_files, report.kept_files), (2, 2, 3), "{report:?}");
    let table = ask(&store, &format!("SELECT {SUMS} FROM tick_data")).await;
    assert_eq!(sums_of_files(&store, folder.path(), "Parquet", SUMS).await, table);

    // a file that rotted, and one that somebody took
    let path =
        |name: &str| folder.path().join(format!("tick_data/date=2026-11-17/symbol={name}/part-0.parquet"));
    let mut rotten = std::fs::read(path("A")).unwrap();
    rotten[100] ^= 1;
    std::fs::write(path("A"), rotten).unwrap();
    std::fs::remove_file(path("B")).unwrap();
    let report = export(&store, by_symbol()).await.unwrap();
    assert_eq!((report.files, report.kept_files), (2, 3), "{report:?}");
    assert_eq!(sums_of_files(&store, folder.path(), "Parquet", SUMS).await, table);

    // rows that are gone from the table: the files are the only copy
    let before = files(folder.path());
    run(&store, "ALTER TABLE tick_data DROP PARTITION ('2026-11-16', 9)").await;
    run(&store, "ALTER TABLE tick_data DELETE WHERE date = '2026-11-17' AND sequence % 3 = 0 SETTINGS mutations_sync = 1").await;
    let report = export(&store, by_symbol()).await.unwrap();
    assert_eq!((report.files, report.notes.len()), (0, 1), "{report:?}");
    assert_eq!(files(folder.path()), before);

    // another cut of the same rows would double them for whoever reads the folder
    let refused = export(&store, request(folder.path())).await.unwrap_err();
    assert!(refused.to_string().contains("--partition date,symbol"), "{refused}");
    let held = Export::new(&store, by_symbol(), later()).await.unwrap();
    let never = Stop::default();
    let mut first = Box::pin(held.run(&never, |_| {}));
    assert!(
        std::future::poll_fn(|context| std::task::Poll::Ready(first.as_mut().poll(context).is_pending()))
            .await
    );
    assert!(matches!(export(&store, by_symbol()).await, Err(ArchiveError::Busy { .. })));
}

#[tokio::test]
async fn rows_that_change_while_they_are_written_are_written_again() {
    let store = store("export_race").await;
    ticks(&store, "2026-11-16", &["A", "B"], 500).await;
    let folder = tempfile::tempdir().unwrap();
    let one = Export::new(&store, request(folder.path()), later()).await.unwrap();
    let mended = AtomicBool::new(false);
    let never = Stop::default();
    let report = one.run(&never, |progress| {
        // the day was hashed, the file is about to be written
        if progress.writing > 0 && !mended.swap(true, Ordering::Relaxed) {
            // with connections of its own: those of the first run on this thread, which waits
            let store = Store::new(store.options().clone());
            let mend = async move {
                run(&store, "ALTER TABLE tick_data UPDATE sector = 'IT' WHERE symbol = 'A' SETTINGS mutations_sync = 1").await;
            };
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            std::thread::spawn(move || runtime().block_on(mend)).join().unwrap();
        }
    });
    let report = report.await.unwrap();
    assert_eq!((report.files, report.rows), (1, 1_000));
    let what = "countIf(sector = 'IT'), count()";
    assert_eq!(sums_of_files(&store, folder.path(), "Parquet", what).await, "500\t1000");
    let manifest = Manifest::read(folder.path()).unwrap().unwrap();
    let again = export(&store, request(folder.path())).await.unwrap();
    assert_eq!((again.files, again.kept_files), (0, 1));
    assert_eq!(Manifest::read(folder.path()).unwrap().unwrap().files, manifest.files);
}

#[tokio::test]
async fn today_ends_at_a_fixed_minute_and_is_completed_later() {
    let store = store("export_today").await;
    ticks(&store, "2026-11-20", &["A"], 600).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |text: &str| Timestamp::from_text(text).unwrap();
    let noon = Export::new(&store, request(folder.path()), at("2026-11-20 09:20:05")).await.unwrap();
    let report = noon.run(&Stop::default(), |_| {}).await.unwrap();
    // 09:20:05 less ten seconds is within 09:19
    assert_eq!(report.until.as_deref(), Some("2026-11-20T09:19:00.000+05:30"));
    let wanted = ask(&store, "SELECT count() FROM tick_data WHERE timestamp < '2026-11-20 09:19:00'").await;
    assert_eq!(report.rows.to_string(), wanted);
    assert_eq!(sums_of_files(&store, folder.path(), "Parquet", "count()").await, wanted);
    let entry = |folder: &Path| Manifest::read(folder).unwrap().unwrap().files.into_values().next().unwrap();
    assert_eq!(entry(folder.path()).until, report.until);
    let whole = export(&store, request(folder.path())).await.unwrap();
    assert_eq!((whole.rows, whole.replaced_files, whole.until), (600, 1, None));
    assert_eq!(entry(folder.path()).until, None);
    let future = Export::new(&store, request(folder.path()), at("2026-11-15 09:00:00")).await;
    assert!(matches!(future, Err(ArchiveError::Request(_))));
}

#[tokio::test]
async fn a_stop_leaves_nothing_half_done() {
    let store = store("export_stop").await;
    ticks(&store, "2026-11-16", &["A", "B", "C", "D"], 200).await;
    let folder = tempfile::tempdir().unwrap();
    let wanted = ExportRequest { rows_per_file: 200, ..request(folder.path()) };
    let one = Export::new(&store, wanted.clone(), later()).await.unwrap();
    let stop = Stop::default();
    let asked = stop.clone();
    let report = one.run(&stop, |progress| {
        if progress.rows >= 400 {
            asked.stop();
        }
    });
    let report = report.await.unwrap();
    assert!(report.stopped);
    assert_eq!((report.files, files(folder.path()).len()), (2, 2));
    let rest = export(&store, wanted).await.unwrap();
    assert_eq!((rest.files, rest.kept_files, rest.stopped), (2, 2, false));
}

#[tokio::test]
async fn a_server_that_fails_within_an_answer_leaves_no_file() {
    let store = store("export_fails").await;
    ticks(&store, "2026-11-16", &["A"], 100).await;
    let folder = tempfile::tempdir().unwrap();
    let one = Export::new(&store, request(folder.path()), later()).await.unwrap();
    run(&store, "ALTER TABLE tick_data RENAME COLUMN sector TO sektor SETTINGS mutations_sync = 1").await;
    assert!(one.run(&Stop::default(), |_| {}).await.is_err());
    assert_eq!(files(folder.path()).len(), 0);
    let strange = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(strange.path().join("tick_data")).unwrap();
    std::fs::write(strange.path().join("tick_data/part-0.parquet"), "somebody's").unwrap();
    let refused = export(&store, request(strange.path())).await.unwrap_err();
    assert!(refused.to_string().contains("no manifest"), "{refused}");
    assert!(strange.path().join("tick_data/part-0.parquet").exists());
}
