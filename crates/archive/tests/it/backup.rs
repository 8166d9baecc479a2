//! Backups of a real engine's tables: the cut, the increments, what is damaged, and what comes back.

use crate::{ask, run, store};
use std::path::{Path, PathBuf};
use tickhouse_archive::{
    BackupError, BackupOptions, BackupPlaces, BackupProgress, BackupRecord, Method, Place, create_backup,
    find_backup, in_database, list_backups, restore_backup, verify_backup,
};
use tickhouse_embed::testkit::TestEngine;
use tickhouse_model::Timestamp;
use tickhouse_store::{
    MIGRATIONS, Partition, Partitioning, Seal, SealRange, Store, StoreOptions, migrate_up_to,
};
use tokio::sync::watch;

/// 2026-11-20, as `Date` counts.
const DAY: u16 = 20_777;
const METHODS: [Method; 2] = [Method::Server, Method::Native];

/// A folder of backups, beside the engine that all tests share.
struct Shelf {
    folder: tempfile::TempDir,
    engine: PathBuf,
}

impl Shelf {
    async fn new() -> Self {
        let engine = TestEngine::shared().await.engine().options().data_dir.join("backups");
        Self { folder: tempfile::tempdir().unwrap(), engine }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("backups")
    }

    fn places(&self) -> BackupPlaces {
        BackupPlaces {
            place: Place::Folder(self.root()),
            engine_folder: Some(self.engine.clone()),
            lock: self.folder.path().join("lock"),
        }
    }

    async fn back_up(
        &self,
        store: &Store,
        method: Method,
        incremental: bool,
    ) -> Result<BackupRecord, BackupError> {
        let options = BackupOptions { incremental, method: Some(method) };
        let now = Timestamp::from_millis(1_763_663_400_000);
        create_backup(store, &self.places(), options, now, &progress()).await
    }

    async fn verify(&self, store: &Store) -> Result<(), BackupError> {
        let (_, chain) = find_backup(store, &Place::Folder(self.root())).await?;
        verify_backup(store, &self.places(), &chain, &progress()).await
    }

    /// Restores the newest backup.
    async fn restore(&self, store: &Store, database: &str) -> Result<Store, BackupError> {
        let target = in_database(store, database);
        let (_, chain) = find_backup(&target, &Place::Folder(self.root())).await?;
        restore_backup(&target, &self.places(), &chain, &progress()).await?;
        Ok(target)
    }
}

fn progress() -> watch::Sender<BackupProgress> {
    watch::Sender::new(BackupProgress::default())
}

/// How much of a batch is there.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Until {
    Sealed,
    Ticks,
    Frames,
    Stored,
}

/// What a loader does with a batch of ten records of two ticks each, up to some step.
async fn batch(store: &Store, number: u64, hour: u8, until: Until) {
    let (first, last) = (number * 10 + 1, number * 10 + 10);
    let range =
        SealRange { origin: "r1/0".to_owned(), epoch: 0, first: (7, first), last: (7, last), entries: 10 };
    let seal = Seal {
        loader: "loader".to_owned(),
        fence: 5,
        number,
        ranges: vec![range],
        partitions: vec![(Partition { date: DAY, hour }, 20)],
        frames: 10,
        ..Seal::default()
    };
    let (id, now) = (seal.batch_id(), Timestamp::from_millis(1_763_663_400_000));
    store.record_sealed(&seal, now).await.unwrap();
    if until >= Until::Ticks {
        let ticks = format!(
            "INSERT INTO tick_data (instrument_token, symbol, timestamp, exchange_timestamp, last_price, close_price, volume, \
             packet_type, session_type, batch_id, recorder, session, socket, sequence, packet_index) SETTINGS async_insert = 0 \
             SELECT 256 * (number % 5 + 1) + 9, 'S', toDateTime64('2026-11-20 {hour:02}:00:00', 3, 'Asia/Kolkata') + {number} * 7 + number % 10 / 10 AS at, \
             at, 100 + number, 90, {number} * 100 + number, if(number % 5 = 0, 'index_full', 'full'), 'regular', '{id}', \
             'r1', 7, 0, {first} + intDiv(number, 2), number % 2 FROM numbers(20)"
        );
        run(store, &ticks).await;
    }
    if until >= Until::Frames {
        let frames = format!(
            "INSERT INTO frames (recorder, session, socket, sequence, received_at, kind, packets, ticks, batch_id) SETTINGS async_insert = 0 \
             SELECT 'r1', 7, 0, {first} + number, toDateTime64('2026-11-20 {hour:02}:00:00', 6, 'Asia/Kolkata') + {number} * 7, 'frame', 2, 2, '{id}' \
             FROM numbers(10)"
        );
        run(store, &frames).await;
    }
    if until == Until::Stored {
        store.record_stored(&seal, now).await.unwrap();
    }
}

/// What must come back, as text: rows and a hash of each table.
async fn contents(store: &Store) -> String {
    let tables = ["tick_data", "frames", "feed_gaps", "quarantine", "indices_data", "loader_seals"];
    let of = |table| format!("SELECT '{table}', count(), sum(cityHash64(*)) FROM {table}");
    ask(store, &format!("SELECT * FROM ({}) ORDER BY ALL", tables.map(of).join(" UNION ALL "))).await
}

const BARS: &str = "SELECT count(), sum(cityHash64(*)) FROM tick_data_1min";
const COUNTED: &str = "SELECT instrument_token, timestamp, tick_count FROM tick_data_1min ORDER BY ALL";

#[tokio::test]
async fn batches_under_way_are_not_in_a_backup_and_everything_else_is() {
    let all = store("backup_cut_never_cut").await;
    for number in 1..=8 {
        batch(&all, number, if number < 7 { 10 } else { 11 }, Until::Stored).await;
    }
    let bars_of_all = ask(&all, BARS).await;
    let store = store("backup_cut").await;
    for number in 1..=4 {
        batch(&store, number, 10, Until::Stored).await;
    }
    let (whole, counted) = (contents(&store).await, ask(&store, COUNTED).await);
    batch(&store, 5, 10, Until::Frames).await;
    batch(&store, 6, 10, Until::Ticks).await;
    batch(&store, 7, 11, Until::Ticks).await;
    batch(&store, 8, 11, Until::Sealed).await;
    // some parts of a batch that the view had and the table had not yet
    run(
        &store,
        "ALTER TABLE tick_data DELETE WHERE hour = 11 AND packet_index = 1 SETTINGS mutations_sync = 2",
    )
    .await;
    run(&store, "OPTIMIZE TABLE tick_data FINAL").await;
    let with_those = contents(&store).await;
    for method in METHODS {
        let shelf = Shelf::new().await;
        let record = shelf.back_up(&store, method, false).await.unwrap();
        assert_eq!(record.batches_under_way, 4);
        assert_eq!(record.marks.get("r1/0").map(String::as_str), Some("7-50"));
        assert_eq!(contents(&store).await, with_those, "the database itself is as it was");
        shelf.verify(&store).await.unwrap();
        let database = format!("backup_cut_{}", method.name());
        let back = shelf.restore(&store, &database).await.unwrap();
        assert_eq!(contents(&back).await, whole, "{}", method.name());
        assert_eq!(ask(&back, COUNTED).await, counted, "{}", method.name());
        assert!(back.open_seals().await.unwrap().is_empty());
        assert_eq!(back.marks().await.unwrap()["r1/0"].last, (7, 50));
        // what is loaded again counts once, in the views too
        for number in 5..=8 {
            batch(&back, number, if number < 7 { 10 } else { 11 }, Until::Stored).await;
        }
        assert_eq!(
            ask(&back, "SELECT count(), uniqExact(sequence, packet_index) FROM tick_data").await,
            "160\t160"
        );
        assert_eq!(ask(&back, "SELECT count() FROM indices_data").await, "32");
        assert_eq!(ask(&back, BARS).await, bars_of_all);
        let leftover = "SELECT count() FROM system.databases WHERE name LIKE 'backup_cut%tickhouse%'";
        assert_eq!(ask(&back, leftover).await, "0");
    }
}

#[tokio::test]
async fn an_increment_holds_what_changed_and_names_what_it_needs() {
    for method in METHODS {
        let name = format!("backup_increment_{}", method.name());
        let store = store(&name).await;
        let shelf = Shelf::new().await;
        assert!(matches!(shelf.back_up(&store, method, true).await, Err(BackupError::NoBase { .. })));
        for number in 1..=6 {
            batch(&store, number, 10, Until::Stored).await;
        }
        let full = shelf.back_up(&store, method, false).await.unwrap();
        batch(&store, 7, 11, Until::Stored).await;
        let second = shelf.back_up(&store, method, true).await.unwrap();
        // the same rows in other parts
        run(&store, "OPTIMIZE TABLE tick_data PARTITION ('2026-11-20', 10) FINAL").await;
        batch(&store, 8, 12, Until::Stored).await;
        let third = shelf.back_up(&store, method, true).await.unwrap();
        assert_eq!((&second.base, &third.base), (&Some(full.id.clone()), &Some(second.id.clone())));
        let held_by = |record: &BackupRecord, partition: &str| {
            record.partition("tick_data", partition).and_then(|found| found.held_by.clone())
        };
        if method == Method::Native {
            assert_eq!(held_by(&third, "20261120-10"), Some(full.id.clone()), "merging changes no rows");
            assert_eq!(held_by(&third, "20261120-11"), Some(second.id.clone()));
            assert_eq!(held_by(&third, "20261120-12"), Some(third.id.clone()));
        }
        assert!(second.bytes < full.bytes, "{} of {}", second.bytes, full.bytes);
        shelf.verify(&store).await.unwrap();
        let back = shelf.restore(&store, &format!("{name}_back")).await.unwrap();
        assert_eq!(contents(&back).await, contents(&store).await);
        assert_eq!(ask(&back, BARS).await, ask(&store, BARS).await);

        let ids = |shelf: &Shelf| [&full.id, &second.id, &third.id].map(|id| shelf.root().join(id));
        let [full_folder, second_folder, _] = ids(&shelf);
        damage_and_mend(&shelf, &store, &full_folder).await;
        let away = shelf.folder.path().join("away");
        std::fs::rename(&second_folder, &away).unwrap();
        let error = shelf.verify(&store).await.unwrap_err();
        assert!(matches!(&error, BackupError::BaseMissing { base, .. } if *base == second.id), "{error}");
        assert!(error.to_string().contains(&third.id), "{error}");
        std::fs::rename(&away, &second_folder).unwrap();
        shelf.verify(&store).await.unwrap();
    }
}

/// Any file of a base that is changed, cut or gone is named, and nothing is restored.
async fn damage_and_mend(shelf: &Shelf, store: &Store, folder: &Path) {
    let list = std::fs::read_to_string(folder.join("files.sha256")).unwrap();
    let longest = list
        .lines()
        .map(|line| line.split_once("  ").unwrap().1)
        .max_by_key(|name| std::fs::metadata(folder.join(name)).unwrap().len());
    let path = folder.join(longest.unwrap());
    let good = std::fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [Some(flipped.as_slice()), Some(&good[..good.len() - 1]), None] {
        match bad {
            Some(bad) => std::fs::write(&path, bad).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = shelf.verify(store).await.unwrap_err();
        assert!(matches!(&error, BackupError::Damaged { file, .. } if Path::new(file) == path), "{error}");
    }
    std::fs::write(&path, good).unwrap();
}

/// Rows that are not what was saved are seen although every file is what was written.
#[tokio::test]
async fn rows_are_compared_and_not_only_files() {
    let store = store("backup_rows").await;
    batch(&store, 1, 10, Until::Stored).await;
    let shelf = Shelf::new().await;
    let record = shelf.back_up(&store, Method::Native, false).await.unwrap();
    let path = shelf.root().join(&record.id).join("backup.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let digest = record.partition("frames", "20261120").unwrap().digest.to_string();
    std::fs::write(&path, text.replace(&digest, &format!("9{}", &digest[1..]))).unwrap();
    let error = shelf.verify(&store).await.unwrap_err();
    let BackupError::Differs { differences } = &error else { panic!("{error}") };
    assert!(differences.len() == 1 && differences[0].starts_with("frames 20261120: "), "{differences:?}");
    let error = shelf.restore(&store, "backup_rows_back").await.unwrap_err();
    assert!(matches!(error, BackupError::Differs { .. }), "{error}");
    assert_eq!(
        ask(&store, "SELECT count() FROM system.databases WHERE name LIKE 'backup_rows_back%'").await,
        "0"
    );
}

#[tokio::test]
async fn a_database_that_holds_something_is_refused_and_a_half_restored_one_replaced() {
    let store = store("backup_target").await;
    batch(&store, 1, 10, Until::Stored).await;
    let shelf = Shelf::new().await;
    shelf.back_up(&store, Method::Server, false).await.unwrap();
    let error = shelf.restore(&store, "backup_target").await.map(drop).unwrap_err();
    assert!(matches!(&error, BackupError::NotEmpty { .. }), "{error}");
    assert!(error.to_string().contains("--database"), "{error}");

    let target = in_database(&store, "backup_target_back");
    run(&store, "CREATE DATABASE backup_target_back").await;
    // killed while it put the tables in place
    run(&store, "CREATE TABLE backup_target_back.tick_data AS tick_data").await;
    let gate = "CREATE VIEW backup_target_back.loader_seals AS SELECT toUInt64(throwIf(1, \
                'a tickhouse restore into this database is not finished: wait for its end, or run it again')) AS fence";
    run(&store, gate).await;
    let error = format!("{:?}", target.highest_fence().await.unwrap_err());
    assert!(error.contains("is not finished"), "a loader does not begin: {error}");
    let back = shelf.restore(&store, "backup_target_back").await.unwrap();
    assert_eq!(contents(&back).await, contents(&store).await);
}

/// Whoever asks for the seals while a restore goes on is refused, or gets them with all rows behind them.
#[tokio::test]
async fn a_loader_finds_nothing_or_everything() {
    let store = store("backup_gate").await;
    for number in 1..=5 {
        batch(&store, number, 10, Until::Stored).await;
    }
    let shelf = Shelf::new().await;
    shelf.back_up(&store, Method::Server, false).await.unwrap();
    let target = in_database(&store, "backup_gate_back");
    run(&store, "CREATE DATABASE backup_gate_back").await;
    let watcher = tokio::spawn(async move {
        let mut refused = 0;
        loop {
            match target.highest_fence().await {
                Ok(fence) => {
                    assert_eq!(
                        (fence, ask(&target, "SELECT count() FROM tick_data").await.as_str()),
                        (5, "100")
                    );
                    return refused;
                }
                Err(_) => refused += 1,
            }
        }
    });
    let back = shelf.restore(&store, "backup_gate_back").await.unwrap();
    assert!(watcher.await.unwrap() > 0, "it was asked while the restore went on");
    // and a view reads from the table that is there now
    batch(&back, 6, 10, Until::Stored).await;
    assert_eq!(ask(&back, "SELECT sum(tick_count) FROM tick_data_1min").await, "120");
}

/// A backup that is interrupted anywhere is none, and the next one clears it away.
#[tokio::test]
async fn an_interrupted_backup_is_none() {
    let store = store("backup_killed").await;
    batch(&store, 1, 10, Until::Stored).await;
    for (method, stage) in [
        (Method::Server, "hashing the rows"),
        (Method::Server, "ClickHouse writes"),
        (Method::Native, "writing"),
        (Method::Native, "hashing the files"),
    ] {
        let shelf = Shelf::new().await;
        let (progress, at) = (progress(), shelf.places());
        let mut stages = progress.subscribe();
        let options = BackupOptions { incremental: false, method: Some(method) };
        let now = Timestamp::from_millis(1_763_663_400_000);
        tokio::select! {
            made = create_backup(&store, &at, options, now, &progress) => panic!("{stage} was not seen: {made:?}"),
            _ = stages.wait_for(|now| now.stage == stage) => {}
        }
        let none = find_backup(&store, &at.place).await.unwrap_err();
        assert!(matches!(none, BackupError::NoBackup { .. }), "{none}");
        let made = shelf.back_up(&store, method, false).await.unwrap();
        let listed = list_backups(&store, &at.place).await.unwrap();
        assert_eq!(listed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [made.id.as_str()]);
        shelf.verify(&store).await.unwrap();
    }
}

/// A place that takes no files: no backup, and said so; the database has no copy left over.
#[tokio::test]
async fn a_place_that_takes_nothing_leaves_nothing() {
    let store = store("backup_full").await;
    batch(&store, 1, 10, Until::Stored).await;
    let shelf = Shelf::new().await;
    std::fs::write(shelf.root(), "a file is no folder").unwrap();
    let error = shelf.back_up(&store, Method::Native, false).await.unwrap_err();
    assert!(error.to_string().contains("backups"), "{error}");
    assert_eq!(
        ask(&store, "SELECT count() FROM system.databases WHERE name LIKE 'backup_full_%'").await,
        "0"
    );
}

#[tokio::test]
async fn an_older_backup_gets_the_schema_of_today() {
    let engine = TestEngine::shared().await;
    let old =
        Store::new(StoreOptions { database: "backup_old".to_owned(), ..StoreOptions::at(engine.url()) });
    migrate_up_to(&old, Partitioning::Day, 5).await.unwrap();
    for number in 1..=3 {
        batch(&old, number, 10, Until::Stored).await;
    }
    let shelf = Shelf::new().await;
    let record = shelf.back_up(&old, Method::Native, false).await.unwrap();
    assert_eq!(record.schema, 5);
    let back = shelf.restore(&old, "backup_old_back").await.unwrap();
    let known = MIGRATIONS.len().to_string();
    assert_eq!(ask(&back, "SELECT max(number) FROM migrations").await, known);
    assert_eq!(
        ask(&back, "SELECT count(), sum(cityHash64(*)) FROM tick_data").await,
        ask(&old, "SELECT count(), sum(cityHash64(*)) FROM tick_data").await
    );
    let partitions =
        "SELECT partition_key FROM system.tables WHERE database = currentDatabase() AND name = 'tick_data'";
    assert_eq!(ask(&back, partitions).await, "date");
    batch(&back, 4, 10, Until::Stored).await;
    assert_eq!(ask(&back, "SELECT sum(tick_count) FROM tick_data_1min").await, "80");
}

#[tokio::test]
async fn an_increment_after_a_new_column_is_restored() {
    for method in METHODS {
        let name = format!("backup_column_{}", method.name());
        let store = store(&name).await;
        let shelf = Shelf::new().await;
        batch(&store, 1, 10, Until::Stored).await;
        run(&store, "CREATE MATERIALIZED VIEW own ENGINE = MergeTree ORDER BY a AS SELECT instrument_token AS a FROM tick_data").await;
        let full = shelf.back_up(&store, method, false).await.unwrap();
        assert_eq!(full.left_out, ["own (rows that a MaterializedView keeps itself)"]);
        run(&store, "DROP VIEW own SYNC").await;
        run(&store, "ALTER TABLE frames ADD COLUMN note String DEFAULT 'none'").await;
        batch(&store, 2, 11, Until::Stored).await;
        shelf.back_up(&store, method, true).await.unwrap();
        shelf.verify(&store).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_built_on_a_broken_chain() {
    for method in METHODS {
        let store = store(&format!("backup_broken_{}", method.name())).await;
        let shelf = Shelf::new().await;
        batch(&store, 1, 10, Until::Stored).await;
        let full = shelf.back_up(&store, method, false).await.unwrap();
        batch(&store, 2, 11, Until::Stored).await;
        shelf.back_up(&store, method, true).await.unwrap();
        let away = shelf.folder.path().join("away");
        std::fs::rename(shelf.root().join(&full.id), &away).unwrap();
        let error = shelf.back_up(&store, method, true).await.unwrap_err();
        assert!(error.to_string().contains(&format!("backup {} is gone", full.id)), "{error}");
        std::fs::rename(&away, shelf.root().join(&full.id)).unwrap();
        let held = full.partition("tick_data", "20261120-10").unwrap().file.clone();
        let file = shelf.root().join(&full.id).join(held.unwrap_or_else(|| "files.sha256".to_owned()));
        std::fs::rename(&file, &away).unwrap();
        let error = shelf.back_up(&store, method, true).await.unwrap_err();
        assert!(matches!(error, BackupError::BrokenChain { .. }), "{error}");
        std::fs::rename(&away, &file).unwrap();
        shelf.back_up(&store, method, true).await.unwrap();
    }
}
