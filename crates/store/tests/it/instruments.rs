//! Masters, what tokens meant on which day, and mending what was stored before they were known.

use crate::{ask, insert, run, store, tick};
use std::collections::BTreeMap;
use tickhouse_model::{DataQuality, FrameId, Instrument, InstrumentKind, Timestamp, Token};
use tickhouse_store::{
    Deduplicate, InstrumentSearch, Master, MasterReport, Store, StoreError, Tick, TickIdentity,
    TickInstrument,
};
use uuid::Uuid;

/// 2026-11-20, a Friday.
const FRIDAY: u16 = 20_777;
const NONE: i32 = 0;

fn instrument(token: u32, name: &str, expiry: i32) -> Instrument {
    Instrument {
        token: Token(token),
        symbol: name.to_owned(),
        tradingsymbol: name.to_owned(),
        underlying: "ACME".to_owned(),
        exchange: "NFO".to_owned(),
        segment: "NFO-FUT".to_owned(),
        instrument_type: InstrumentKind::Future,
        sector: "Goods".to_owned(),
        asset_class: "FUT".to_owned(),
        expiry: (expiry != NONE).then_some(expiry),
        strike: 0.0,
        tick_size: 0.05,
        lot_size: 75,
    }
}

fn master(day: u16) -> Master<'static> {
    let exchanges = BTreeMap::new();
    Master { day, whole: true, source: "test", exchanges, may_shrink: false, dry_run: false }
}

async fn load(store: &Store, mut master: Master<'_>, instruments: &[Instrument]) -> MasterReport {
    for it in instruments {
        *master.exchanges.entry(it.exchange.clone()).or_default() += 1;
    }
    store.store_master(&master, instruments.iter().cloned(), |_| ()).await.unwrap()
}

/// What every token means on a day, said by SQL.
async fn on(store: &Store, day: u16) -> String {
    let sql = format!(
        "SELECT arrayStringConcat(groupArray(concat(toString(instrument_token), ' ', tradingsymbol)), ', ') FROM \
         (SELECT * FROM instruments FINAL WHERE toDate({day}) BETWEEN valid_from AND valid_to ORDER BY instrument_token)"
    );
    ask(store, &sql).await
}

#[tokio::test]
async fn a_token_used_again_after_an_expiry_is_two_rows() {
    let store = store("master_reuse").await;
    let expiry = i32::from(FRIDAY);
    let first = [instrument(258, "NOVFUT", expiry), instrument(514, "SHARE", NONE)];
    let report = load(&store, master(FRIDAY), &first).await;
    assert_eq!((report.added, report.rows), (2, 4));
    // Monday: the contract has expired, its token means the next one; the other has a new lot
    let second = [
        instrument(258, "DECFUT", expiry + 35),
        Instrument { lot_size: 50, ..instrument(514, "SHARE", NONE) },
        instrument(770, "NEW", NONE),
    ];
    let report = load(&store, master(FRIDAY + 3), &second).await;
    assert_eq!((report.reused, report.changed, report.added, report.gone), (1, 1, 1, 0));
    assert_eq!(on(&store, FRIDAY).await, "258 NOVFUT, 514 SHARE");
    assert_eq!(on(&store, FRIDAY + 1).await, "514 SHARE", "an expired contract is none");
    assert_eq!(on(&store, FRIDAY + 3).await, "258 DECFUT, 514 SHARE, 770 NEW");
    let current =
        "SELECT instrument_token, tradingsymbol, lot_size FROM token_metadata ORDER BY instrument_token";
    assert_eq!(ask(&store, current).await, "258\tDECFUT\t75\n514\tSHARE\t50\n770\tNEW\t75");
    // the same again: nothing
    let again = load(&store, master(FRIDAY + 3), &second).await;
    assert_eq!((again.unchanged, again.rows), (3, 0));
    let gone = load(&store, master(FRIDAY + 4), &second[..2]).await;
    assert_eq!((gone.gone, gone.rows), (1, 1));
    assert_eq!(on(&store, FRIDAY + 4).await, "258 DECFUT, 514 SHARE");
    let changes = store.instrument_changes(FRIDAY, FRIDAY + 3, 10).await.unwrap();
    let lines: Vec<_> =
        changes.iter().map(|it| (it.what.as_str(), it.instrument_token, it.detail.as_str())).collect();
    assert_eq!(
        lines,
        [
            ("added", 770, ""),
            ("changed", 514, "lot size 75 > 50"),
            ("reused", 258, "was NOVFUT, expiry 2026-11-20 > 2026-12-25"),
        ]
    );
    let weekend = store.count_instrument_changes(FRIDAY, FRIDAY + 1).await.unwrap();
    assert_eq!(weekend, [("expired".to_owned(), 1)]);
}

/// Any order of the same masters gives the same days.
#[tokio::test]
async fn masters_may_come_late() {
    let days: [(u16, Vec<Instrument>); 4] = [
        (FRIDAY, vec![instrument(258, "A", NONE), instrument(514, "B", NONE)]),
        (
            FRIDAY + 3,
            vec![instrument(258, "A", NONE), instrument(514, "C", NONE), instrument(770, "D", NONE)],
        ),
        (FRIDAY + 4, vec![instrument(258, "E", NONE), instrument(770, "D", NONE)]),
        (
            FRIDAY + 5,
            vec![instrument(258, "A", NONE), instrument(514, "B", NONE), instrument(770, "F", NONE)],
        ),
    ];
    let expected = [
        (FRIDAY - 9, "258 A, 514 B"),
        (FRIDAY + 2, "258 A, 514 B"),
        (FRIDAY + 3, "258 A, 514 C, 770 D"),
        (FRIDAY + 4, "258 E, 770 D"),
        (FRIDAY + 5, "258 A, 514 B, 770 F"),
        (FRIDAY + 99, "258 A, 514 B, 770 F"),
    ];
    let mut withdrawn_rows = 0;
    for (number, order) in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]].into_iter().enumerate() {
        let store = store(&format!("master_late_{number}")).await;
        for at in order {
            let (day, instruments) = &days[at];
            load(&store, master(*day), instruments).await;
        }
        for (day, means) in expected {
            assert_eq!(on(&store, day).await, means, "{order:?}, day {day}");
        }
        let (day, instruments) = &days[1];
        assert_eq!(load(&store, master(*day), instruments).await.rows, 0, "{order:?}");
        let current =
            "SELECT groupArray(tradingsymbol) FROM (SELECT * FROM token_metadata ORDER BY instrument_token)";
        assert_eq!(ask(&store, current).await, "['A','B','F']", "{order:?}");
        let withdrawn = "SELECT count() FROM instruments WHERE valid_to < valid_from OR valid_to = toDate(0)";
        withdrawn_rows += ask(&store, withdrawn).await.parse::<u32>().unwrap();
        only_what_holds(&store).await;
    }
    assert!(withdrawn_rows > 0, "none of the orders withdraws anything");
}

/// What was withdrawn is seen nowhere, and plain look-ups find one row.
async fn only_what_holds(store: &Store) {
    for token in [258, 514, 770] {
        let mut lines = store.instruments_of_token(token, None).await.unwrap();
        for name in ["A", "B", "C", "D", "E", "F"] {
            lines.extend(store.instruments_of_symbol(name, None).await.unwrap());
        }
        for line in lines {
            let ends_first = !line.valid_to.is_empty() && line.valid_to < line.valid_from;
            assert!(!ends_first && line.valid_to != "1970-01-01", "{line:?}");
        }
    }
    let mut versions = store.instruments_since(0).unwrap();
    while let Some(version) = versions.next().await.unwrap() {
        assert!(version.valid_from <= version.valid_to && version.valid_to > 0, "{version:?}");
    }
    for day in FRIDAY..FRIDAY + 9 {
        let sql = format!(
            "SELECT count() - uniqExact(instrument_token) FROM instruments WHERE toDate({day}) BETWEEN valid_from AND valid_to"
        );
        assert_eq!(ask(store, &sql).await, "0", "day {day}");
    }
}

/// A load that ends between its rows and tidying up, and the same one again.
#[tokio::test]
async fn a_load_that_was_killed_before_it_tidied_up_is_completed() {
    let store = store("master_killed").await;
    load(&store, master(FRIDAY), &[instrument(258, "A", NONE), instrument(514, "B", NONE)]).await;
    run(&store, "SYSTEM STOP MERGES instruments").await;
    let all = [instrument(258, "A", NONE)];
    let same_day = Master { exchanges: [("NFO".to_owned(), 1)].into(), ..master(FRIDAY) };
    // merges that are stopped fail the tidying up
    store.store_master(&same_day, all.iter().cloned(), |_| ()).await.ok();
    assert_eq!(ask(&store, "SELECT count() FROM instruments").await, "3", "a row that replaces another");
    run(&store, "SYSTEM START MERGES instruments").await;
    assert_eq!(load(&store, master(FRIDAY), &all).await.rows, 0);
    let plain = "SELECT tradingsymbol FROM instruments WHERE toDate(20777) BETWEEN valid_from AND valid_to";
    assert_eq!(ask(&store, plain).await, "A");
    only_what_holds(&store).await;
}

#[tokio::test]
async fn a_look_up_file_only_adds_and_completes() {
    let store = store("master_look_up").await;
    let bare = Instrument { sector: String::new(), ..instrument(258, "A", NONE) };
    load(&store, master(FRIDAY), &[bare.clone(), instrument(514, "B", NONE)]).await;
    let look_up = Master { whole: false, ..master(FRIDAY) };
    let long_gone = instrument(770, "OLD", i32::from(FRIDAY) - 300);
    let report = load(&store, look_up, &[instrument(258, "A", NONE), long_gone]).await;
    assert_eq!((report.completed, report.added, report.gone), (1, 1, 0));
    assert_eq!(on(&store, FRIDAY).await, "258 A, 514 B");
    assert_eq!(on(&store, FRIDAY - 300).await, "258 A, 514 B, 770 OLD", "history keeps its contracts");
    assert_eq!(
        ask(&store, "SELECT valid_from, sector FROM instruments WHERE instrument_token = 258").await,
        "1970-01-01\tGoods"
    );
    // the next master lacks the sector, which is kept
    let report = load(&store, master(FRIDAY + 1), &[bare, instrument(514, "B", NONE)]).await;
    assert_eq!((report.unchanged, report.gone, report.rows), (2, 0, 0));
}

#[tokio::test]
async fn a_cut_master_is_refused_and_a_dry_run_writes_nothing() {
    let store = store("master_cut").await;
    let all: Vec<_> =
        (1..=300).map(|number| instrument(number << 8 | 2, &format!("I{number}"), NONE)).collect();
    let dry = Master { dry_run: true, ..master(FRIDAY) };
    assert_eq!(load(&store, dry, &all).await.rows, 600);
    assert_eq!(
        ask(&store, "SELECT (SELECT count() FROM instruments), (SELECT count() FROM instrument_masters)")
            .await,
        "0\t0"
    );
    load(&store, master(FRIDAY), &all).await;
    let mut cut = Master { exchanges: [("NFO".to_owned(), 149)].into(), ..master(FRIDAY + 1) };
    let refused = store.store_master(&cut, all[..149].iter().cloned(), |_| ()).await.unwrap_err();
    assert!(matches!(refused, StoreError::MasterShrinks { listed: 149, live: 300, .. }), "{refused}");
    cut.may_shrink = true;
    assert_eq!(store.store_master(&cut, all[..149].iter().cloned(), |_| ()).await.unwrap().gone, 151);
}

#[tokio::test]
async fn search_ranks_what_people_mean_first() {
    let store = store("master_search").await;
    let expiry = i32::from(FRIDAY) + 6;
    let with = |token, name: &str, kind, underlying: &str, expiry, strike| Instrument {
        instrument_type: kind,
        underlying: underlying.to_owned(),
        strike,
        ..instrument(token, name, expiry)
    };
    let mut all = vec![
        with(258, "NIFTY26NOVFUT", InstrumentKind::Future, "NIFTY", expiry, 0.0),
        with(514, "NIFTY26NOV24000CE", InstrumentKind::Call, "NIFTY", expiry, 24_000.0),
        with(770, "BANKNIFTY26NOV24000CE", InstrumentKind::Call, "BANKNIFTY", expiry, 24_000.0),
        with(1_026, "O'NIFTY\\?", InstrumentKind::Equity, "A SHARE", NONE, 0.0),
        with(1_282, "NIFTY26OCTFUT", InstrumentKind::Future, "NIFTY", expiry - 28, 0.0),
        Instrument {
            symbol: "NIFTY".to_owned(),
            ..with(1_545, "NIFTY 50", InstrumentKind::Index, "NIFTY 50", NONE, 0.0)
        },
    ];
    all.sort_by_key(|it| it.token);
    load(&store, master(FRIDAY), &all).await;
    let search = async |text: &str, kind: Option<&str>| -> Vec<String> {
        let instrument_type = kind.map(ToOwned::to_owned);
        let search = InstrumentSearch {
            text: text.to_owned(),
            instrument_type,
            today: FRIDAY,
            limit: 9,
            ..Default::default()
        };
        let found = store.search_instruments(&search).await.unwrap();
        found.into_iter().map(|it| it.tradingsymbol).collect()
    };
    let nifty = [
        "NIFTY 50",
        "NIFTY26NOVFUT",
        "NIFTY26NOV24000CE",
        "O'NIFTY\\?",
        "BANKNIFTY26NOV24000CE",
        "NIFTY26OCTFUT",
    ];
    assert_eq!(search("nifty", None).await, nifty);
    assert_eq!(search("nifty 24000 ce", None).await, ["NIFTY26NOV24000CE", "BANKNIFTY26NOV24000CE"]);
    assert_eq!(search("nifty nov2026", Some("fut")).await, ["NIFTY26NOVFUT"]);
    assert_eq!(search("O'NIFTY\\?", None).await, ["O'NIFTY\\?"]);
    assert!(search("' OR 1=1 --", None).await.is_empty());
    let of_symbol = store.instruments_of_symbol("nfo:nifty", None).await.unwrap();
    assert_eq!(of_symbol.len(), 1);
}

/// A tick as the loader stores one of an unknown token.
fn raw(token: u32, sequence: u64, at: Timestamp) -> Tick<'static> {
    let frame = FrameId { session: 1, socket: 0, sequence };
    Tick {
        instrument: TickInstrument { exchange: "NFO", ..TickInstrument::default() },
        data_quality: DataQuality::Raw,
        identity: TickIdentity { frame, ..tick(token, at).identity },
        ..tick(token, at)
    }
}

#[tokio::test]
async fn unknown_at_0915_known_at_1000() {
    let store = store("mend").await;
    let open = Timestamp::from_millis(1_795_146_300_000 - 5_700_000 + 2_880_000);
    let day = u16::try_from(open.ist().days_since_epoch).unwrap();
    let yesterday = Timestamp::from_millis(open.as_millis() - 86_400_000);
    let mut ticks = Vec::new();
    for number in 0..3_000_u64 {
        let at = Timestamp::from_millis(open.as_millis() + number as i64 * 1_000);
        ticks.push(raw(258, number * 4 + 1, at));
        ticks.push(raw(514, number * 4 + 2, at));
        ticks.push(Tick { data_quality: DataQuality::Enriched, ..raw(770, number * 4 + 3, at) });
        ticks.push(Tick { packet_type: "index_full", ..raw(1_033, number * 4 + 4, at) });
    }
    // yesterday the token was another contract; this one says its own symbol
    ticks.push(raw(258, 90_000, yesterday));
    let own = TickInstrument { symbol: "MINE", ..TickInstrument::default() };
    ticks.push(Tick { instrument: own, ..raw(258, 90_001, yesterday) });
    let batch_id = Uuid::new_v4();
    let partitions = insert(&store, batch_id, &ticks, Deduplicate::ByToken).await;
    assert!(partitions.len() > 1);
    let identities = "SELECT count(), uniqExact(session, sequence), sum(cityHash64(instrument_token, timestamp, sequence, \
                      batch_id, last_price, volume, processed_at)), (SELECT sum(n) FROM (SELECT date, hour, batch_id, \
                      count() AS n FROM tick_data GROUP BY date, hour, batch_id)) FROM tick_data";
    let before = ask(&store, identities).await;
    let bars = "SELECT cityHash64(groupArray(tuple(*))) FROM (SELECT * FROM tick_data_1min ORDER BY instrument_token, timestamp)";
    let bars_before = ask(&store, bars).await;
    assert!(store.mend_plan().await.unwrap().partitions.is_empty(), "nothing is known yet");
    let missing = store.missing_tokens(0).await.unwrap();
    let counts: Vec<_> =
        missing.iter().map(|it| (it.instrument_token, it.ticks, it.known_as.as_str())).collect();
    assert_eq!(counts, [(258, 3_002, ""), (514, 3_000, ""), (1_033, 3_000, "")]);

    let expiry = i32::from(day) + 6;
    load(&store, master(day - 1), &[instrument(258, "OLD'FUT\\", i32::from(day) - 1)]).await;
    let index = Instrument { symbol: "NIFTY".to_owned(), ..instrument(1_033, "NIFTY 50", NONE) };
    load(&store, master(day), &[instrument(258, "NEWFUT", expiry), index]).await;
    let plan = store.mend_plan().await.unwrap();
    assert_eq!(plan.partitions.iter().map(|at| at.rows).sum::<u64>(), 6_002);
    assert_eq!((plan.unknown_rows, plan.index_rows), (3_000, 3_000));
    for at in &plan.partitions {
        store.mend_partition(at).await.unwrap();
    }
    store.mend_indices().await.unwrap();

    let mended = "SELECT instrument_token, toDate(timestamp) = toDate(20777) AS late, symbol, tradingsymbol, sector, asset_class, \
                  toString(expiry), toString(data_quality), count() FROM tick_data GROUP BY ALL ORDER BY ALL";
    let mended = mended.replace("20777", &day.to_string());
    let expected = "258\t0\tMINE\tOLD\\'FUT\\\\\tGoods\tFUT\t@\tcorrected\t1\n\
                    258\t0\tOLD\\'FUT\\\\\tOLD\\'FUT\\\\\tGoods\tFUT\t@\tcorrected\t1\n\
                    258\t1\tNEWFUT\tNEWFUT\tGoods\tFUT\t#\tcorrected\t3000\n\
                    514\t1\t\t\t\t\t1970-01-01\traw\t3000\n\
                    770\t1\t\t\t\t\t1970-01-01\tenriched\t3000\n\
                    1033\t1\tNIFTY\tNIFTY 50\tGoods\tFUT\t1970-01-01\tcorrected\t3000";
    let text = ask(&store, &format!("SELECT toDate({}), toDate({expiry})", day - 1)).await;
    let (old, new) = text.split_once('\t').unwrap();
    assert_eq!(ask(&store, &mended).await, expected.replace('@', old).replace('#', new));
    assert_eq!(
        ask(&store, identities).await,
        before,
        "nothing twice, nothing lost, batches counted as before"
    );
    assert_eq!(ask(&store, bars).await, bars_before);
    let counts = store.count_ticks(batch_id, &partitions).await.unwrap();
    assert!(partitions.iter().all(|(at, rows)| counts[at] == u64::from(*rows)));
    let indices = "SELECT symbol, count(), uniqExact(timestamp) FROM indices_data GROUP BY symbol";
    assert_eq!(ask(&store, indices).await, "NIFTY\t3000\t3000");

    // twice, and after a kill between inserting index values and deleting the nameless ones
    run(&store, "INSERT INTO indices_data SELECT * REPLACE ('' AS symbol) FROM indices_data LIMIT 100").await;
    let again = store.mend_plan().await.unwrap();
    assert!(again.partitions.is_empty());
    store.mend_indices().await.unwrap();
    assert_eq!(ask(&store, indices).await, "NIFTY\t3000\t3000");
    assert_eq!(ask(&store, identities).await, before);
    assert_eq!(store.mend_plan().await.unwrap().index_rows, 0);
}

/// A caller that was killed leaves its insert to the server: the next one must not race it.
#[tokio::test]
async fn an_insert_of_mended_index_values_that_still_runs_is_ended_first() {
    let store = store("mend_left").await;
    let left = "mend-indices/mend_left/left";
    let client = store.client().clone().with_setting("query_id", left).with_setting("max_block_size", "1");
    let running = tokio::spawn(async move {
        client.query_raw("SELECT sum(sleepEachRow(0.1)) FROM numbers(1200)").fetch_one::<u64>().await
    });
    let seen = format!("SELECT count() FROM system.processes WHERE query_id = '{left}'");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while ask(&store, &seen).await != "1" {
        assert!(std::time::Instant::now() < deadline, "it never ran");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    store.mend_indices().await.unwrap();
    assert_eq!(ask(&store, &seen).await, "0");
    assert!(running.await.unwrap().is_err(), "it was ended");
}
