//! Kite's historical REST, as the simulator answers it.

use crate::{ask, run, store};
use std::net::{Ipv4Addr, SocketAddr};
use tickhouse_history::{
    Backfill, BackfillReport, Days, HistoryError, Interval, Pace, Pass, Task, Wanted, concerned, covered,
    current, gaps, plan,
};
use tickhouse_model::Timestamp;
use tickhouse_simulator::{Credentials, SimOptions, Simulator};
use tickhouse_source::rest::Rest;
use tickhouse_source::{AccessToken, Key, Secret};
use tickhouse_store::Store;
use tickhouse_telemetry::Clock;
use tokio::net::{TcpListener, TcpStream};

const MONDAY: &str = "2026-11-16 08:00";

async fn exchange(credentials: Option<Credentials>) -> Simulator {
    let options = SimOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        instruments: 50,
        rate: 0.0,
        clock: Clock::manual(Timestamp::from_text("2026-11-20 18:00").unwrap()),
        rate_limits: true,
        credentials,
        ..SimOptions::default()
    };
    Simulator::start(options).await.unwrap()
}

/// What the exchange lists, in `token_metadata`.
async fn instruments(store: &Store, exchange: &Simulator) {
    for listing in exchange.universe().listings() {
        let row = format!(
            "({}, '{symbol}', '{symbol}', '{}', '{}', '{}')",
            listing.token.0,
            listing.exchange,
            listing.exchange,
            listing.instrument_type,
            symbol = listing.tradingsymbol
        );
        let columns = "instrument_token, symbol, tradingsymbol, exchange, segment, instrument_type";
        run(store, &format!("INSERT INTO token_metadata ({columns}) VALUES {row}")).await;
    }
}

fn backfill(store: &Store, exchange: &Simulator, folder: &std::path::Path, token: &str) -> Backfill {
    Backfill {
        rest: Rest::new(&format!("http://{}", exchange.local_addr())).unwrap(),
        key: Key::new("key1", AccessToken::fixed(Secret::new(token))),
        store: store.clone(),
        clock: Clock::manual(Timestamp::from_text("2026-11-20 18:00").unwrap()),
        pace: Pace::new(folder, "key1"),
    }
}

fn day(text: &str) -> u16 {
    Timestamp::from_text(text).unwrap().ist().days_since_epoch as u16
}

async fn wanted(store: &Store, count: usize) -> Wanted {
    let mut instruments = current(store, |_, exchange, _| exchange == "NSE").await.unwrap();
    instruments.truncate(count);
    assert_eq!(instruments.len(), count);
    Wanted { instruments, interval: Interval::Minute, continuous: false }
}

async fn days(
    backfill: &Backfill,
    wanted: &Wanted,
    days: Days,
    pass: &Pass,
) -> Result<BackfillReport, HistoryError> {
    let covered = covered(&backfill.store, wanted.interval, wanted.continuous).await?;
    let requests = plan(wanted, days, &covered);
    let tasks = requests.into_iter().map(|request| Task { request, fills: Vec::new() }).collect();
    backfill.run(tasks, &[], pass, |_| {}).await
}

#[tokio::test]
async fn nothing_is_asked_twice() {
    let store = store("backfill_days").await;
    let exchange = exchange(None).await;
    instruments(&store, &exchange).await;
    let folder = tempfile::tempdir().unwrap();
    let backfill = backfill(&store, &exchange, folder.path(), "any");
    let wanted = wanted(&store, 2).await;
    let pass = Pass::default();

    // 8 weeks and a bit: two requests an instrument, the last one up to yesterday
    let span = (day("2026-09-14"), day("2026-11-19"));
    let asked = exchange.counters().rest_requests;
    let first = days(&backfill, &wanted, span, &pass).await.unwrap();
    assert_eq!((first.requests, first.retries, first.failed), (4, 0, 0), "{first:?}");
    assert_eq!(exchange.counters().rest_requests - asked, 4);
    // 49 weekdays of 375 minutes
    assert_eq!((first.candles, first.written), (2 * 49 * 375, 2 * 49 * 375));
    assert_eq!(
        ask(&store, "SELECT count(), uniqExact(instrument_token, timestamp) FROM candles").await,
        "36750\t36750"
    );
    assert_eq!(ask(&store, "SELECT count() FROM tick_data").await, "0");

    assert_eq!(days(&backfill, &wanted, span, &pass).await.unwrap().requests, 0);
    // a longer span asks for what it adds; today is not over, so it is asked each time
    let longer = (span.0 - 3, day("2026-11-20"));
    for _ in 0..2 {
        let more = days(&backfill, &wanted, longer, &pass).await.unwrap();
        assert!(more.requests <= 4 && more.failed == 0, "{more:?}");
    }
    assert_eq!(days(&backfill, &wanted, longer, &pass).await.unwrap().requests, 2, "today only");
    exchange.stop().await;
}

#[tokio::test]
async fn gaps_are_filled_once_and_marked() {
    let store = store("backfill_gaps").await;
    let exchange = exchange(None).await;
    instruments(&store, &exchange).await;
    let folder = tempfile::tempdir().unwrap();
    let backfill = backfill(&store, &exchange, folder.path(), "any");
    let wanted = wanted(&store, 2).await;
    let (one, other) = (wanted.instruments[0].instrument.token, wanted.instruments[1].instrument.token);
    run(
        &store,
        &format!(
            "INSERT INTO feed_gaps (recorder, session, socket, sequence, stream, epoch, `from`, `to`, cause, tokens) VALUES \
             ('main', 1, 0, 5, '', 0, '2026-11-18 10:00:30', '2026-11-18 10:04:10', 'broken', [{one}, {other}]), \
             ('main', 1, 0, 9, '', 0, '2026-11-19 10:00:00', '2026-11-19 10:01:00', 'broken', [{one}]), \
             ('main', 1, 0, 11, '', 0, '2026-11-19 11:00:00', toDateTime(0), 'broken', [{one}]), \
             ('main', 1, 0, 12, '', 0, '2026-11-19 12:00:00', '2026-11-19 12:01:00', 'broken', [77])"
        ),
    )
    .await;
    let span = (Timestamp::from_text(MONDAY).unwrap(), backfill.clock.now());
    let (found, tasks) = gaps(&store, &wanted, span, backfill.clock.now()).await.unwrap();
    assert_eq!((found.len(), tasks.len(), concerned(&found, &tasks)), (3, 2, 2));
    let report = backfill.run(tasks, &found, &Pass::default(), |_| {}).await.unwrap();
    assert_eq!((report.requests, report.failed), (2, 0), "{report:?}");
    assert_eq!(
        ask(
            &store,
            "SELECT sequence, candles, count() FROM gap_fills GROUP BY sequence, candles ORDER BY sequence"
        )
        .await,
        "5\t5\t2\n9\t2\t1"
    );
    let (_, again) = gaps(&store, &wanted, span, backfill.clock.now()).await.unwrap();
    assert!(again.is_empty());
    exchange.stop().await;
}

/// Candles that begin before the gap hold its minutes, too; and one that is noted as filled has its candle.
#[tokio::test]
async fn gaps_are_filled_with_longer_candles() {
    let store = store("backfill_gaps_long").await;
    let exchange = exchange(None).await;
    instruments(&store, &exchange).await;
    let folder = tempfile::tempdir().unwrap();
    let backfill = backfill(&store, &exchange, folder.path(), "any");
    run(
        &store,
        "INSERT INTO feed_gaps (recorder, session, socket, sequence, stream, epoch, `from`, `to`, cause, tokens) VALUES \
         ('main', 1, 0, 5, '', 0, '2026-11-19 10:02:00', '2026-11-19 10:04:00', 'broken', [])",
    )
    .await;
    let span = (Timestamp::from_text(MONDAY).unwrap(), backfill.clock.now());
    for (interval, begin) in [
        (Interval::Minute5, "2026-11-19 10:00:00"),
        (Interval::Minute60, "2026-11-19 09:15:00"),
        (Interval::Day, "2026-11-19 00:00:00"),
    ] {
        let wanted = Wanted { interval, ..wanted(&store, 1).await };
        let (found, tasks) = gaps(&store, &wanted, span, backfill.clock.now()).await.unwrap();
        let report = backfill.run(tasks, &found, &Pass::default(), |_| {}).await.unwrap();
        assert_eq!((report.requests, report.candles, report.failed), (1, 1, 0), "{interval}: {report:?}");
        let stored = format!("SELECT timestamp FROM candles WHERE interval = '{interval}'");
        assert_eq!(ask(&store, &stored).await, begin);
        let noted = format!("SELECT candles FROM gap_fills WHERE interval = '{interval}'");
        assert_eq!(ask(&store, &noted).await, "1");
        let (_, again) = gaps(&store, &wanted, span, backfill.clock.now()).await.unwrap();
        assert!(again.is_empty(), "{interval}");
    }
    exchange.stop().await;
}

/// A way to the exchange on which it becomes midnight.
async fn way_through_midnight(to: SocketAddr, clock: Clock, after: Timestamp) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            clock.set(after);
            let mut server = TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await.ok() });
        }
    });
    address
}

#[tokio::test]
async fn a_day_that_ended_while_it_was_asked_for_is_asked_again() {
    let store = store("backfill_midnight").await;
    let exchange = exchange(None).await;
    instruments(&store, &exchange).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |text| Timestamp::from_text(text).unwrap();
    let clock = Clock::manual(at("2026-11-18 23:59:58"));
    let way = way_through_midnight(exchange.local_addr(), clock.clone(), at("2026-11-19 00:00:03")).await;
    let backfill = Backfill {
        rest: Rest::new(&format!("http://{way}")).unwrap(),
        clock,
        ..backfill(&store, &exchange, folder.path(), "any")
    };
    let wanted = wanted(&store, 1).await;
    let span = (day("2026-11-17"), day("2026-11-18"));
    let report = days(&backfill, &wanted, span, &Pass::default()).await.unwrap();
    assert_eq!((report.requests, report.failed), (1, 0), "{report:?}");
    assert_eq!(ask(&store, "SELECT `from`, `to` FROM backfill_progress").await, "2026-11-17\t2026-11-17");
    exchange.stop().await;
}

#[tokio::test]
async fn a_refused_token_ends_it_and_a_new_one_goes_on() {
    let store = store("backfill_token").await;
    let credentials = Credentials {
        api_key: "key1".to_owned(),
        api_secret: "secret".to_owned(),
        access_token: Some("good".to_owned()),
    };
    let exchange = exchange(Some(credentials)).await;
    instruments(&store, &exchange).await;
    let folder = tempfile::tempdir().unwrap();
    let wanted = wanted(&store, 1).await;
    let span = (day("2026-11-16"), day("2026-11-17"));
    let refused = backfill(&store, &exchange, folder.path(), "bad");
    let error = days(&refused, &wanted, span, &Pass::default()).await.unwrap_err();
    assert!(
        matches!(error, HistoryError::LogIn(_)) && error.to_string().contains("tickhouse login"),
        "{error}"
    );
    let report =
        days(&backfill(&store, &exchange, folder.path(), "good"), &wanted, span, &Pass::default()).await;
    assert_eq!(report.unwrap().candles, 750);
    exchange.stop().await;
}
