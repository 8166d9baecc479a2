use super::*;
use crate::{Stage, StageName};
use serde_json::json;

/// Friday, 20 November 2026, 10:00 in India.
const TEN: i64 = 1_795_149_000_000;

/// A recorder with two sockets, a loader, their supervisor: all well.
fn well() -> Value {
    let socket = |number: u16| {
        json!({
            "socket": number, "key": 1, "expects_data": true, "data_age_seconds": 1.0, "frame_age_seconds": 0.1,
            "source": { "state": "connected", "reason": null, "frames": 1_000, "packets": 50_000, "subscribed": 3_000,
                "awaiting_snapshot": 10, "reconnects": 0, "gaps": 0, "last_gap_at": 0 },
            "publisher": { "connected": true, "waiting_for": null, "published": 1_005, "already_there": 0 },
        })
    };
    json!({
        "up": { "pid": 1, "memory_bytes": 1, "processes": [
            { "name": "clickhouse", "alive": true, "restarts": 0 }, { "name": "redis", "alive": true, "restarts": 0 },
            { "name": "load", "alive": true, "restarts": 0 }, { "name": "record", "alive": true, "restarts": 0 },
        ] },
        "record": { "pid": 2, "now": TEN * 1_000_000, "market": "open", "instruments": 6_000,
            "sockets": [socket(0), socket(1)],
            "journal": { "sockets": [{ "socket": 0, "records": 1_005, "fault": null }, { "socket": 1, "records": 1_005 }] },
            "keys": [{ "token": "valid", "wants_login": false }],
            "socket_to_redis": { "count": 9, "p50_ms": 1.5, "p99_ms": 4.0, "max_ms": 5.0 }, "clock_skew_seconds": 0.2 },
        "load": { "pid": 3, "cpu_seconds": 10.0,
            "counters": { "frames_stored": 2_000, "ticks_stored": 99_000, "quarantined": 0, "surplus_rows": 0,
                "queryable": { "count": 9, "p50_ms": 700.0, "p99_ms": 1_400.0, "max_ms": 1_500.0 } },
            "state": { "fence": 1, "error": null, "streams": [{ "last_id": "1-1005", "stored_id": "1-1000" }] },
            "stores": { "redis": { "used_bytes": 1, "max_bytes": 100, "dead_letters": 0 },
                "clickhouse": { "tables": [{ "table": "tick_data", "most_parts": 20 }] }, "streams": [{ "oldest_seconds": 0.5 }] } },
    })
}

fn judge(judge: &mut Judge, statuses: &Value, second: u64, disk: &[Disk]) -> Health {
    let statuses = statuses.as_object().unwrap();
    let at = Timestamp::from_millis(TEN);
    judge.look(&Look {
        at,
        elapsed: Duration::from_secs(second),
        market: MarketPhase::Closed,
        statuses,
        disk,
    })
}

/// All well but for one value; what the stage says then.
fn with(pointer: &str, value: Value, stage: StageName) -> Stage {
    let mut statuses = well();
    *statuses.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    let health = judge(&mut Judge::default(), &statuses, 0, &[]);
    let others: Vec<_> = health.stages.iter().filter(|other| other.name != stage).collect();
    assert!(others.iter().all(|other| other.state == State::Ok), "{pointer}: {others:?}");
    let found = health.stage(stage).unwrap().clone();
    assert_eq!(health.state, found.state);
    assert_eq!(found.advice.is_some(), found.state != State::Ok, "{found:?}");
    found
}

#[test]
fn all_is_well() {
    let mut judges = Judge::default();
    judge(&mut judges, &well(), 0, &[]);
    let mut later = well();
    later["record"]["sockets"][0]["source"]["frames"] = json!(1_100);
    later["load"]["cpu_seconds"] = json!(11.0);
    later["load"]["counters"]["ticks_stored"] = json!(109_000);
    let health = judge(&mut judges, &later, 2, &[]);
    assert_eq!((health.state, health.market, health.at), (State::Ok, MarketPhase::Open, TEN));
    let names: Vec<_> = health.stages.iter().map(|stage| stage.name.name()).collect();
    assert_eq!(names, ["source", "journal", "stream", "load", "store", "serve"]);
    assert!(health.stages.iter().all(|stage| stage.state == State::Ok && stage.advice.is_none()));
    assert_eq!(health.stages[0].summary, "2 of 2 sockets connected, 6,000 instruments");
    let stored = health.stage(StageName::Store).unwrap();
    assert_eq!((stored.rate as u64, stored.unit.as_str()), (5_000, "ticks"));
    assert_eq!(health.totals.instruments_ticking, 5_980);
    assert!((health.sockets[0].frames_per_second - 50.0).abs() < 0.01);
    let load = health.processes.iter().find(|process| process.name == "load").unwrap();
    assert!(load.alive && (load.cpu_cores - 0.5).abs() < 0.01, "{load:?}");
    let to: Vec<_> = health.latency.iter().map(|between| between.to.as_str()).collect();
    assert_eq!(to, ["redis", "clickhouse"]);
    // what is said can be read again
    let text = serde_json::to_string(&health).unwrap();
    assert_eq!(serde_json::from_str::<Health>(&text).unwrap(), health);
}

#[test]
fn silence_counts_while_markets_trade_only() {
    let silent = |seconds: f64, stage| with("/record/sockets/1/data_age_seconds", json!(seconds), stage);
    assert_eq!(silent(4.0, StageName::Serve).state, State::Ok);
    assert_eq!(silent(6.0, StageName::Source).state, State::Warn);
    let bad = silent(20.0, StageName::Source);
    assert_eq!(bad.state, State::Bad);
    assert!(bad.summary.starts_with("socket 1: heartbeats only, no data for 20 s"), "{}", bad.summary);
    let mut night = well();
    for socket in [0, 1] {
        night["record"]["sockets"][socket]["expects_data"] = json!(false);
        night["record"]["sockets"][socket]["data_age_seconds"] = json!(40_000.0);
    }
    night["record"]["market"] = json!("closed");
    let health = judge(&mut Judge::default(), &night, 0, &[]);
    assert_eq!((health.state, health.market), (State::Ok, MarketPhase::Closed));
    assert!(health.stages[0].summary.ends_with("the markets do not trade"));
    // few instruments may be quiet
    let mut few = well();
    few["record"]["sockets"][0]["source"]["subscribed"] = json!(2);
    few["record"]["sockets"][0]["data_age_seconds"] = json!(20.0);
    assert_eq!(judge(&mut Judge::default(), &few, 0, &[]).state, State::Ok);
    // a closed socket is not
    few["record"]["sockets"][0]["source"]["state"] = json!("waiting");
    assert_eq!(judge(&mut Judge::default(), &few, 0, &[]).state, State::Bad);
}

#[test]
fn a_token_is_wanted_in_the_morning_of_a_weekday_and_while_markets_trade() {
    let mut statuses = well();
    statuses["record"]["keys"] = json!([{ "token": "expired", "wants_login": true }]);
    let mut state = |time: &str, market: &str| {
        statuses["record"]["now"] = json!(Timestamp::from_text(time).unwrap());
        statuses["record"]["market"] = json!(market);
        judge(&mut Judge::default(), &statuses, 0, &[]).state
    };
    assert_eq!(state("2026-11-20 05:59", "closed"), State::Ok, "it has not ended yet for most");
    assert_eq!(state("2026-11-20 06:30", "closed"), State::Warn);
    assert_eq!(state("2026-11-20 09:05", "pre_open"), State::Warn);
    assert_eq!(state("2026-11-20 09:15", "open"), State::Bad);
    assert_eq!(state("2026-11-20 23:50", "closed"), State::Ok);
    assert_eq!(state("2026-11-21 07:00", "closed"), State::Ok, "a Saturday");
}

#[test]
fn each_stage_says_what_is_wrong_and_what_to_do() {
    use StageName::{Journal, Load, Source, Store, Stream};
    let cases = [
        (
            "/record/keys/0",
            json!({ "token": "expired", "wants_login": true }),
            Source,
            State::Bad,
            "token has ended",
        ),
        ("/record/clock_skew_seconds", json!(-3.0), Source, State::Warn, "3.0 s behind"),
        ("/record/journal/sockets/0/fault", json!("No space left"), Journal, State::Bad, "No space left"),
        (
            "/record/sockets/1/publisher/waiting_for",
            json!("refused"),
            Stream,
            State::Warn,
            "socket 1: refused",
        ),
        ("/load/stores/redis/used_bytes", json!(96), Stream, State::Bad, "96 %"),
        (
            "/up/processes/1",
            json!({ "name": "redis", "alive": false, "restarts": 2 }),
            Stream,
            State::Bad,
            "redis",
        ),
        ("/load/state/error", json!("ClickHouse is away"), Load, State::Warn, "ClickHouse is away"),
        ("/load/counters/surplus_rows", json!(5), Load, State::Bad, "5 rows"),
        ("/load/stores/redis/dead_letters", json!(1), Load, State::Warn, "1 dead letters"),
        ("/load/stores/streams/0/oldest_seconds", json!(61.0), Load, State::Bad, "61 s"),
        ("/load/state/fence", Value::Null, Load, State::Warn, "another loader"),
        (
            "/load/stores/clickhouse/tables/0/most_parts",
            json!(400),
            Store,
            State::Warn,
            "400 parts in one partition of tick_data",
        ),
        (
            "/up/processes/0",
            json!({ "name": "clickhouse", "alive": false, "error": "killed" }),
            Store,
            State::Bad,
            "killed",
        ),
    ];
    for (pointer, value, stage, state, words) in cases {
        let said = with(pointer, value, stage);
        assert_eq!(said.state, state, "{pointer}: {said:?}");
        assert!(said.summary.contains(words), "{pointer}: {said:?}");
    }
}

#[test]
fn who_does_not_answer_is_bad_in_market_hours_and_a_warning_before() {
    let mut statuses = well();
    statuses["load"] = json!({ "role": "load", "pid": 3, "error": "it does not answer" });
    let mut judges = Judge::default();
    let health = judge(&mut judges, &statuses, 0, &[]);
    let state = |health: &Health, name| health.stage(name).unwrap().state;
    assert_eq!((state(&health, StageName::Load), state(&health, StageName::Store)), (State::Bad, State::Bad));
    assert!(!health.processes.iter().find(|process| process.name == "load").unwrap().alive);
    // nobody says which markets are recorded: the calendar's word counts
    statuses.as_object_mut().unwrap().remove("record");
    let health = judge(&mut judges, &statuses, 1, &[]);
    assert_eq!((health.state, health.market), (State::Warn, MarketPhase::Closed));
    assert_eq!(state(&health, StageName::Source), State::Warn);
    let nothing = judge(&mut Judge::default(), &json!({}), 0, &[]);
    assert_eq!(nothing.state, State::Warn);
    assert!(nothing.stages[0].advice.as_ref().unwrap().contains("tickhouse up"));
}

#[test]
fn a_full_disk_is_said_where_it_hurts() {
    let disk = |name: &str, free_bytes| Disk { name: name.to_owned(), bytes: 1, free_bytes };
    let disks = [disk("journal", 100), disk("clickhouse", 2 << 30)];
    let health = judge(&mut Judge::default(), &well(), 0, &disks);
    let state = |name| health.stage(name).unwrap().state;
    assert_eq!((state(StageName::Journal), state(StageName::Store)), (State::Bad, State::Warn));
}

#[test]
fn a_long_lag_is_told_in_seconds_of_the_feed() {
    let mut judges = Judge::default();
    let mut statuses = well();
    judge(&mut judges, &statuses, 0, &[]);
    // 500 records a second into the journal, none into Redis
    statuses["record"]["journal"]["sockets"][0]["records"] = json!(21_005);
    let health = judge(&mut judges, &statuses, 40, &[]);
    let stream = health.stage(StageName::Stream).unwrap();
    assert_eq!((stream.state, stream.lag_seconds), (State::Warn, Some(40.0)), "{stream:?}");
}

#[test]
fn what_makes_no_sense_is_no_panic() {
    for nonsense in [json!(null), json!(5), json!([1]), json!({ "sockets": 7 }), json!({ "pid": "x" })] {
        let statuses = json!({ "record": nonsense, "load": nonsense, "serve": nonsense, "up": nonsense, "redis": nonsense });
        let health = judge(&mut Judge::default(), &statuses, 0, &[]);
        assert_eq!(health.stages.len(), 6);
    }
}
