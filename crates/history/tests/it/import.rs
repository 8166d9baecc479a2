//! Files of candles into both tables.

use crate::{ask, mirror, run, store};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tickhouse_history::{
    HistoryError, ImportOptions, ImportReport, Interval, Pass, SurveyOptions, import, survey,
};
use tickhouse_store::Store;
use tickhouse_telemetry::Clock;

/// Two shares, and a token that was one contract until 2026-11-12 and is another from 2026-11-16.
async fn instruments(store: &Store) {
    let columns = "instrument_token, symbol, tradingsymbol, underlying, exchange, segment, sector, asset_class, \
                   instrument_type, expiry, strike, tick_size, lot_size";
    let share = "'EQ', 'EQ', '1970-01-01', 0, 0.05, 1";
    run(
        store,
        &format!(
            "INSERT INTO token_metadata ({columns}) VALUES (1, 'INFY', 'INFY', 'INFOSYS', 'NSE', 'NSE', 'IT', {share}), \
             (2, 'TCS', 'TCS', '', 'NSE', 'NSE', 'IT', {share}), (3, 'BOTH', 'BOTH', '', 'NSE', 'NSE', '', {share}), \
             (4, 'BOTH', 'BOTH', '', 'BSE', 'BSE', '', {share})"
        ),
    )
    .await;
    let future = |symbol: &str, expiry: &str, from: &str| {
        format!(
            "(9, '{symbol}', '{symbol}', 'X', 'NFO', 'NFO-FUT', '', 'FUT', 'FUT', '{expiry}', 0, 0.05, 25, '{from}', '{expiry}')"
        )
    };
    let old = future("XOLD", "2026-11-12", "2026-10-01");
    let new = future("XNEW", "2026-12-24", "2026-11-16");
    run(store, &format!("INSERT INTO instruments ({columns}, valid_from, valid_to) VALUES {old}, {new}"))
        .await;
}

fn minutes(day: &str, count: usize) -> String {
    let mut text = String::new();
    for minute in 0..count {
        let (hour, minute, price) = (9 + (15 + minute) / 60, (15 + minute) % 60, 100 + minute);
        let comma = if text.is_empty() { "" } else { ",\n" };
        write!(
            text,
            "{comma}[\"{day}T{hour:02}:{minute:02}:00+0530\",{price},{price}.5,{price},{price}.25,{minute},7]"
        )
        .unwrap();
    }
    text
}

fn write(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("candles.json");
    std::fs::write(&path, text).unwrap();
    path
}

struct How {
    keep_going: bool,
    dry_run: bool,
}

const USUAL: How = How { keep_going: false, dry_run: false };

async fn bring_in(store: &Store, path: &Path, how: How) -> Result<ImportReport, HistoryError> {
    bring_in_by(Clock::system(), store, path, how).await
}

async fn bring_in_by(
    clock: Clock,
    store: &Store,
    path: &Path,
    how: How,
) -> Result<ImportReport, HistoryError> {
    let options = SurveyOptions { path: path.to_owned(), interval: Some(Interval::Minute), instrument: None };
    let surveyed = survey(options, &Pass::default())?;
    let options = ImportOptions {
        store: store.clone(),
        clock,
        batch_rows: 500,
        keep_going: how.keep_going,
        dry_run: how.dry_run,
        ticks: Some(mirror(store, path.parent().unwrap())),
        fallback: None,
    };
    import(&surveyed, options, &Pass::default(), |_| {}).await
}

/// Everything in both tables: rows, and a sum over their values.
async fn contents(store: &Store) -> String {
    let candles = "SELECT count(), sum(cityHash64(instrument_token, symbol, interval, timestamp, open, high, low, close, \
                   volume, open_interest)) FROM candles";
    let ticks = "SELECT count(), sum(cityHash64(instrument_token, symbol, timestamp, last_price, open_price, high_price, \
                 low_price, close_price, volume, open_interest, packet_type, session_type, data_quality)) FROM tick_data";
    format!("{}\n{}", ask(store, candles).await, ask(store, ticks).await)
}

#[tokio::test]
async fn a_file_is_imported_once_however_often() {
    let store = store("import_once").await;
    instruments(&store).await;
    let folder = tempfile::tempdir().unwrap();
    let days = ["2026-11-11", "2026-11-17", "2026-11-18"].map(|day| minutes(day, 375)).join(",\n");
    let path = write(
        folder.path(),
        &format!(
            r#"{{"1": [{days}], "NSE:TCS": [{days}], "9": [{days}], "NOBODY": [{}], "BOTH": [{}]}}"#,
            minutes("2026-11-18", 2),
            minutes("2026-11-18", 1)
        ),
    );

    let before = contents(&store).await;
    let dry = bring_in(&store, &path, How { dry_run: true, ..USUAL }).await.unwrap();
    assert_eq!((dry.counts.candles, dry.written, dry.skipped), (3_378, 3_375, 3));
    assert_eq!(contents(&store).await, before);

    let first = bring_in(&store, &path, USUAL).await.unwrap();
    assert_eq!((first.written, first.unchanged, first.skipped, first.ticks_written), (3_375, 0, 3, 3_375));
    let reasons: Vec<_> =
        first.most_skipped.iter().map(|skipped| (skipped.name.as_str(), skipped.candles)).collect();
    assert_eq!(reasons, [("NOBODY", 2), ("BOTH", 1)]);
    // 3 instruments * 3 days * the sum of the clock's minutes from 09:15 to 15:29
    assert_eq!(
        ask(&store, "SELECT sum(volume), min(open), max(high) FROM candles").await,
        "98550\t100\t474.5"
    );
    assert_eq!(
        ask(&store, "SELECT date, symbol, count(), any(expiry) FROM tick_data WHERE instrument_token = 9 GROUP BY date, symbol ORDER BY date").await,
        "2026-11-11\tXOLD\t375\t2026-11-12\n2026-11-17\tXNEW\t375\t2026-12-24\n2026-11-18\tXNEW\t375\t2026-12-24"
    );
    assert_eq!(
        ask(
            &store,
            "SELECT DISTINCT recorder, stream, packet_type, session_type, data_quality FROM tick_data"
        )
        .await,
        "\t\tcandle_minute\tregular\tenriched"
    );
    assert_eq!(ask(&store, "SELECT count() FROM tick_data_1min_state").await, "0", "no bars out of candles");

    let after = contents(&store).await;
    let second = bring_in(&store, &path, USUAL).await.unwrap();
    assert_eq!(
        (second.written, second.unchanged, second.ticks_written, second.ticks_present),
        (0, 3_375, 0, 3_375)
    );
    assert_eq!(contents(&store).await, after);

    // what a kill or a hand took away comes back, and only that, although the server knows its token
    run(&store, "ALTER TABLE tick_data DROP PARTITION ('2026-11-17', 11)").await;
    run(&store, "ALTER TABLE candles DELETE WHERE instrument_token = 1 SETTINGS mutations_sync = 2").await;
    let third = bring_in(&store, &path, USUAL).await.unwrap();
    assert_eq!((third.written, third.ticks_written), (1_125, 180));
    assert_eq!(contents(&store).await, after);

    // a corrected candle replaces the old one
    let corrected = std::fs::read_to_string(&path).unwrap().replacen("100.25", "100.45", 1);
    let fourth = bring_in(&store, &write(folder.path(), &corrected), USUAL).await.unwrap();
    assert_eq!((fourth.written, fourth.ticks_written), (1, 0));
    let close =
        "SELECT close FROM candles FINAL WHERE instrument_token = 1 AND timestamp = '2026-11-11 09:15:00'";
    assert_eq!(ask(&store, close).await, "100.45");
}

/// As for live ticks: a share with futures closes by auction at 15:15 since 2026-08-03, agricultural contracts close at 17:00.
#[tokio::test]
async fn the_session_is_that_of_the_instrument_and_not_of_its_exchange() {
    let store = store("import_sessions").await;
    let columns =
        "instrument_token, symbol, tradingsymbol, underlying, exchange, segment, instrument_type, expiry";
    let share = |token: u32, name: &str| {
        format!("({token}, '{name}', '{name}', '', 'NSE', 'NSE', 'EQ', '1970-01-01')")
    };
    let future = |token: u32, name: &str, exchange: &str| {
        let month = format!("{name}26DECFUT");
        format!(
            "({token}, '{month}', '{month}', '{name}', '{exchange}', '{exchange}-FUT', 'FUT', '2026-12-29')"
        )
    };
    let rows = [
        share(1, "INFY"),
        share(2, "TINY"),
        future(3, "INFY", "NFO"),
        future(4, "GOLD", "MCX"),
        future(5, "CARDAMOM", "MCX"),
    ];
    run(&store, &format!("INSERT INTO token_metadata ({columns}) VALUES {}", rows.join(", "))).await;
    let folder = tempfile::tempdir().unwrap();
    let candles = ["09:10", "15:10", "15:20", "15:35", "18:00"]
        .map(|at| format!("[\"2026-08-04T{at}:00+0530\",1,1,1,1,1,0]"))
        .join(",");
    let text = (1..=5).map(|token| format!("\"{token}\": [{candles}]")).collect::<Vec<_>>().join(",");
    let path = write(folder.path(), &format!("{{{text}}}"));
    bring_in(&store, &path, USUAL).await.unwrap();
    let sql = "SELECT instrument_token, arrayStringConcat(groupArray(toString(session_type)), ' ') FROM (SELECT * FROM tick_data \
               ORDER BY timestamp) GROUP BY instrument_token ORDER BY instrument_token";
    let expected = [
        "1\tpre_market regular post_market post_market closed",
        "2\tpre_market regular regular post_market closed",
        "3\tpre_market regular regular regular closed",
        "4\tregular regular regular regular regular",
        "5\tregular regular regular regular closed",
    ];
    assert_eq!(ask(&store, sql).await.lines().collect::<Vec<_>>(), expected);
}

/// Which row of a candle counts must not depend on two processes' clocks.
#[tokio::test]
async fn a_correction_counts_although_the_clock_was_put_back() {
    let store = store("import_clock").await;
    instruments(&store).await;
    let folder = tempfile::tempdir().unwrap();
    let clock = |text| Clock::manual(tickhouse_model::Timestamp::from_text(text).unwrap());
    let text = format!(r#"{{"1": [{}]}}"#, minutes("2026-11-18", 3));
    let path = write(folder.path(), &text);
    bring_in_by(clock("2026-11-20 10:00"), &store, &path, USUAL).await.unwrap();
    for (close, now) in [("100.45", "2026-11-20 09:00"), ("100.35", "2026-11-19 09:00")] {
        let path = write(folder.path(), &text.replacen("100.25", close, 1));
        let corrected = bring_in_by(clock(now), &store, &path, USUAL).await.unwrap();
        assert_eq!((corrected.written, corrected.unchanged), (1, 2));
        let stored = "SELECT close FROM candles FINAL WHERE timestamp = '2026-11-18 09:15:00'";
        assert_eq!(ask(&store, stored).await, close);
    }
}

#[tokio::test]
async fn a_version_that_was_withdrawn_joins_nothing() {
    let store = store("import_withdrawn").await;
    instruments(&store).await;
    run(
        &store,
        "INSERT INTO instruments SELECT * REPLACE ('XWRONG' AS symbol, 'XWRONG' AS tradingsymbol, toDate('2026-11-14') AS \
         valid_from, toDate('2026-11-13') AS valid_to) FROM instruments WHERE symbol = 'XNEW'",
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &format!(r#"{{"9": [{}], "XWRONG": [{0}]}}"#, minutes("2026-11-13", 1)));
    let report = bring_in(&store, &path, USUAL).await.unwrap();
    assert_eq!((report.written, report.skipped), (1, 1));
    assert_eq!(ask(&store, "SELECT symbol FROM candles").await, "XNEW");
}

#[tokio::test]
async fn a_fault_in_the_middle_stops_everything_unless_the_rest_is_wanted() {
    let store = store("import_fault").await;
    instruments(&store).await;
    let folder = tempfile::tempdir().unwrap();
    let good = minutes("2026-11-18", 100);
    let broken =
        good.replacen(",50]", ",fifty]", 1).replacen("[\"2026-11-18T10:05", "[\"2026-11-38T10:05", 1);
    let text = format!("{{\"1\": [{good}],\n\"2\": [{broken}]}}").replacen(",50,7]", ",fifty,7]", 2);
    let path = write(folder.path(), &text);
    let error = bring_in(&store, &path, USUAL).await.unwrap_err();
    let HistoryError::Faults { count, first, .. } = &error else { panic!("{error}") };
    assert_eq!((*count, first.path.as_str(), first.line), (3, "$[\"1\"][35][5]", 36), "{error}");
    assert!(error.to_string().contains("--keep-going"));
    assert!(contents(&store).await.starts_with("0\t0\n0\t0"));

    let rest = bring_in(&store, &path, How { keep_going: true, ..USUAL }).await.unwrap();
    assert_eq!((rest.counts.faults, rest.written, rest.ticks_written), (3, 197, 197));
}

#[tokio::test]
async fn without_any_instrument_nothing_can_be_joined() {
    let store = store("import_nobody").await;
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &format!(r#"{{"1": [{}]}}"#, minutes("2026-11-18", 1)));
    let error = bring_in(&store, &path, USUAL).await.unwrap_err();
    assert!(matches!(error, HistoryError::NoInstruments), "{error}");
}
