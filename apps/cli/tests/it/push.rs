//! `tickhouse serve`, killed while it takes pushes: what was acknowledged is stored, once.

use super::parts::Parts;
use super::stderr;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const KILLS: usize = 3;
const TASKS: usize = 4;
const TICKS: u32 = 5;

/// What a push was acknowledged with, and the number of its first tick.
#[derive(Debug)]
struct Acknowledged {
    session: u64,
    sequence: u64,
    first: u32,
}

/// What the tasks that push share.
#[derive(Default)]
struct Pushing {
    port: std::sync::atomic::AtomicU16,
    next: AtomicU32,
    end: AtomicBool,
    failed: AtomicU32,
}

/// Pushes until told to end, each tick once, whatever becomes of it.
async fn push(shared: Arc<Pushing>, token_file: PathBuf) -> Vec<Acknowledged> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let token = std::fs::read_to_string(token_file).unwrap();
    let mut acknowledged = Vec::new();
    while !shared.end.load(Ordering::Acquire) {
        let first = shared.next.fetch_add(TICKS, Ordering::Relaxed);
        let tick = |number: u32| json!({ "mode": "ltp", "instrument_token": 408_065, "last_price": f64::from(number) / 100.0 });
        let ticks: Vec<Value> = (first..first + TICKS).map(tick).collect();
        let url = format!("http://127.0.0.1:{}/v1/ticks", shared.port.load(Ordering::Acquire));
        let answer = client.post(url).bearer_auth(token.trim()).json(&ticks).send().await;
        let receipt: Option<Value> = match answer {
            Ok(answer) if answer.status() == 200 => answer.json().await.ok(),
            _ => None,
        };
        let Some(receipt) = receipt else {
            shared.failed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        assert_eq!(receipt["recorder"], "main-push");
        let number = |name: &str| receipt[name].as_u64().unwrap();
        acknowledged.push(Acknowledged { session: number("session"), sequence: number("sequence"), first });
    }
    acknowledged
}

/// Starts it; gives the port that pushes go to.
fn take_pushes(parts: &mut Parts) -> u16 {
    parts.spawn("serve", &["--listen", "127.0.0.1:0", "--push-listen", "127.0.0.1:0"]);
    let file = std::fs::read(parts.here().join("data/run/serve.json")).unwrap();
    let told: Value = serde_json::from_slice(&file).unwrap();
    told["push"].as_str().unwrap().parse::<std::net::SocketAddr>().unwrap().port()
}

#[test]
fn acknowledged_pushes_survive_kills_once() {
    let mut parts = Parts::start();
    parts.spawn("load", &[]);
    let shared = Arc::new(Pushing::default());
    shared.next.store(1, Ordering::Relaxed);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    shared.port.store(take_pushes(&mut parts), Ordering::Release);
    let token_file = parts.here().join("data/push-token");
    let tasks: Vec<_> =
        (0..TASKS).map(|_| runtime.spawn(push(Arc::clone(&shared), token_file.clone()))).collect();
    for kill in 1..=KILLS {
        let aim = shared.next.load(Ordering::Relaxed) + 100 * TICKS;
        parts.until("hundred pushes more", || (shared.next.load(Ordering::Relaxed) > aim).then_some(()));
        let mut serve = parts.children.remove("serve").unwrap();
        serve.kill().unwrap();
        serve.wait().unwrap();
        parts.until("a push that failed", || {
            (shared.failed.load(Ordering::Relaxed) >= kill as u32).then_some(())
        });
        shared.port.store(take_pushes(&mut parts), Ordering::Release);
    }
    let aim = shared.next.load(Ordering::Relaxed) + 100 * TICKS;
    parts.until("hundred pushes at the end", || (shared.next.load(Ordering::Relaxed) > aim).then_some(()));
    shared.end.store(true, Ordering::Release);
    let acknowledged: Vec<_> = tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
    assert!(acknowledged.len() >= 300, "{} pushes acknowledged", acknowledged.len());
    let sessions: std::collections::BTreeSet<u64> = acknowledged.iter().map(|push| push.session).collect();
    assert_eq!(sessions.len(), KILLS + 1);

    let last = acknowledged.iter().map(|push| (push.session, push.sequence)).max().unwrap();
    let stored = format!(
        "SELECT count() FROM frames WHERE recorder = 'main-push' AND session = {} AND sequence = {}",
        last.0, last.1
    );
    parts.until("the last push stored", || (parts.sql(&stored) == "1").then_some(()));
    assert_stored_once(&parts, &acknowledged);
    let serve = parts.children.remove("serve").unwrap();
    assert!(std::process::Command::new("kill").arg(serve.id().to_string()).status().unwrap().success());
    let output = serve.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Each acknowledged push is there with its ticks in their order; every record is whole; nothing is there twice.
fn assert_stored_once(parts: &Parts, acknowledged: &[Acknowledged]) {
    let rows = parts.sql(
        "SELECT session, sequence, groupArray(packet_index), groupArray(toUInt32(round(last_price * 100))) FROM \
         (SELECT * FROM tick_data WHERE recorder = 'main-push' ORDER BY session, sequence, packet_index) \
         GROUP BY session, sequence",
    );
    let mut found = BTreeMap::new();
    for row in rows.lines() {
        let [session, sequence, indexes, numbers] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(indexes, "[0,1,2,3,4]", "whole, and once: {row}");
        let numbers: Vec<u32> = serde_json::from_str(numbers).unwrap();
        found.insert((session.parse::<u64>().unwrap(), sequence.parse::<u64>().unwrap()), numbers);
    }
    for push in acknowledged {
        let expected: Vec<u32> = (push.first..push.first + TICKS).collect();
        assert_eq!(found.get(&(push.session, push.sequence)), Some(&expected), "{push:?}");
    }
    let mut all: Vec<u32> = found.into_values().flatten().collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "no tick twice");
}
