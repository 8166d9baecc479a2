//! Feeds from a server that does what it is told.

use crate::{column, redis};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tickhouse_news::{Poller, PollerOptions};
use tickhouse_stream::Control;
use tickhouse_telemetry::Clock;

/// What the server answers, and what it was asked.
#[derive(Debug, Default)]
struct Script {
    items: Vec<u32>,
    body: Option<Vec<u8>>,
    status: Option<u16>,
    slow: bool,
    /// Where it redirects to.
    location: Option<String>,
    /// Requests that were answered with a document, and those without.
    documents: usize,
    unchanged: usize,
}

type Shared = Arc<Mutex<Script>>;

async fn feed(State(script): State<Shared>, headers: HeaderMap) -> Response {
    let slow = script.lock().unwrap().slow;
    if slow {
        std::future::pending::<()>().await;
    }
    let mut script = script.lock().unwrap();
    if let Some(status) = script.status {
        return (StatusCode::from_u16(status).unwrap(), [("retry-after", "1")]).into_response();
    }
    if let Some(location) = &script.location {
        return (StatusCode::FOUND, [("location", location.as_str())]).into_response();
    }
    let tag = format!("\"{}\"", script.items.len());
    let modified = "Fri, 20 Nov 2026 04:45:00 GMT";
    let given = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    if given("if-none-match") == Some(tag.clone()) && given("if-modified-since").as_deref() == Some(modified)
    {
        script.unchanged += 1;
        return StatusCode::NOT_MODIFIED.into_response();
    }
    script.documents += 1;
    let body = script.body.clone().unwrap_or_else(|| document(&script.items));
    ([("etag", tag), ("last-modified", modified.to_owned())], body).into_response()
}

fn document(items: &[u32]) -> Vec<u8> {
    let items = items
        .iter()
        .rev()
        .map(|id| {
            format!(
                "<item><title>Item {id}</title><guid>{id}</guid><link>http://127.0.0.1/{id}</link></item>"
            )
        })
        .collect::<Vec<_>>()
        .concat();
    format!("<rss version=\"2.0\"><channel><title>Wire</title>{items}</channel></rss>").into_bytes()
}

async fn serve() -> (Shared, String) {
    let script = Shared::default();
    let app = Router::new().route("/feed", get(feed)).with_state(Arc::clone(&script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/feed?key=s3cret", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (script, address)
}

fn poller(control: &Control, addresses: &[&String], folder: &Path) -> Poller {
    let feeds = addresses.iter().map(|address| (*address).clone()).collect();
    let mut options =
        PollerOptions::new(feeds, Duration::from_millis(20), "news:stream".to_owned(), folder.to_owned());
    options.timeout = Duration::from_secs(1);
    options.max_bytes = 1 << 20;
    Poller::new(options, control.clone(), Clock::system()).unwrap()
}

#[tokio::test]
async fn new_items_are_published_once_over_restarts_and_a_lost_redis() {
    let (server, control) = redis().await;
    let (script, address) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    script.lock().unwrap().items = vec![1, 2, 3];
    let mut first = poller(&control, &[&address], folder.path());
    assert_eq!(first.poll_all().await.unwrap()[0].published, 3);
    let again = first.poll_all().await.unwrap();
    assert!(again[0].unchanged && again[0].published == 0, "{again:?}");
    script.lock().unwrap().items.extend([4, 5]);
    let found = first.poll_all().await.unwrap();
    assert_eq!((found[0].published, found[0].repeats), (2, 3));
    assert_eq!(column(&server, "news:stream", "id").await, ["1", "2", "3", "4", "5"]);

    // another process: asks for changes only
    let mut second = poller(&control, &[&address], folder.path());
    assert!(second.poll_all().await.unwrap()[0].unchanged);
    let counted = script.lock().map(|script| (script.documents, script.unchanged)).unwrap();
    assert_eq!(counted, (2, 2));

    // killed after publishing and before remembering: Redis knows
    let fresh = tempfile::tempdir().unwrap();
    let report = poller(&control, &[&address], fresh.path()).poll_all().await.unwrap();
    assert_eq!((report[0].published, report[0].repeats), (0, 5));

    // Redis emptied: the disk knows
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    script.lock().unwrap().items.push(6);
    assert_eq!(second.poll_all().await.unwrap()[0].published, 1);
    assert_eq!(column(&server, "news:stream", "id").await, ["6"]);
}

#[tokio::test]
async fn a_feed_in_trouble_is_reported_and_the_others_go_on() {
    let (server, control) = redis().await;
    let folder = tempfile::tempdir().unwrap();
    let (mut scripts, mut addresses) = (vec![], vec![]);
    for _ in 0..5 {
        let (script, address) = serve().await;
        scripts.push(script);
        addresses.push(address);
    }
    scripts[0].lock().unwrap().status = Some(503);
    scripts[1].lock().unwrap().body = Some(b"<html><body>Log in</body></html>".to_vec());
    scripts[2].lock().unwrap().body = Some(vec![b' '; 2 << 20]);
    scripts[3].lock().unwrap().slow = true;
    scripts[4].lock().unwrap().items = vec![1];
    let dead = "http://127.0.0.1:1/feed?key=s3cret".to_owned();
    let all: Vec<&String> = std::iter::once(&dead).chain(&addresses).collect();
    let reports = poller(&control, &all, folder.path()).poll_all().await.unwrap();
    let errors: Vec<_> = reports.iter().map(|report| report.error.clone().unwrap_or_default()).collect();
    assert!(errors[1].contains("503") && errors[2].contains("no RSS"), "{errors:?}");
    assert!(
        errors[3].contains("larger than") && !errors[4].is_empty() && !errors[0].is_empty(),
        "{errors:?}"
    );
    assert_eq!((errors[5].as_str(), reports[5].published), ("", 1));
    assert!(!format!("{reports:?}").contains("s3cret"));
    assert_eq!(column(&server, "news:stream", "title").await, ["Item 1"]);
}

#[tokio::test]
async fn feeds_are_looked_at_again_and_again() {
    let (server, control) = redis().await;
    let (script, address) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let mut poller = poller(&control, &[&address], folder.path());
    let running = tokio::spawn(async move { poller.run(|_| {}).await });
    for id in 1..=5 {
        script.lock().unwrap().items.push(id);
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while column(&server, "news:stream", "id").await.len() < id as usize {
            assert!(std::time::Instant::now() < deadline, "item {id} is not published");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    running.abort();
    assert_eq!(column(&server, "news:stream", "id").await, ["1", "2", "3", "4", "5"]);
}

/// Redirects of feeds of this machine are followed; those of others not to this machine. 0.0.0.0 is such another, and answers.
#[tokio::test]
async fn nobody_is_led_to_services_of_this_machine() {
    let (server, control) = redis().await;
    let folder = tempfile::tempdir().unwrap();
    let ((from, outside), (to, inside)) = (serve().await, serve().await);
    to.lock().unwrap().items = vec![1];
    from.lock().unwrap().location = Some(inside.clone());
    let other = outside.replace("127.0.0.1", "0.0.0.0");
    let report = poller(&control, &[&other], folder.path()).poll_all().await.unwrap();
    let error = report[0].error.clone().unwrap_or_default();
    assert!(error.contains("host of this machine") && !error.contains("s3cret"), "{error}");
    assert_eq!(to.lock().unwrap().documents, 0, "it was asked");
    let report = poller(&control, &[&outside], folder.path()).poll_all().await.unwrap();
    assert_eq!((report[0].published, report[0].error.clone()), (1, None));
    // in circles
    from.lock().unwrap().location = Some(outside.clone());
    let report = poller(&control, &[&outside], folder.path()).poll_all().await.unwrap();
    assert!(report[0].error.clone().unwrap_or_default().contains("302"), "{report:?}");
    assert_eq!(column(&server, "news:stream", "id").await, ["1"]);
}

/// A disk that can't be written for a while ends nothing, and what was published then is remembered afterwards.
#[tokio::test]
async fn a_disk_in_trouble_is_waited_out() {
    let (server, control) = redis().await;
    let (script, address) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("news");
    std::fs::write(&place, "in the way").unwrap();
    script.lock().unwrap().items = vec![1];
    let mut following = poller(&control, &[&address], &place);
    let running = tokio::spawn(async move { following.run(|_| {}).await });
    let until = async |what: &str, so: &mut dyn FnMut() -> bool| {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !so() {
            assert!(std::time::Instant::now() < deadline, "never {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until("asked again", &mut || script.lock().unwrap().unchanged > 2).await;
    assert!(!running.is_finished());
    std::fs::remove_file(&place).unwrap();
    let mut written = || {
        std::fs::read_dir(&place).is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| file.path().extension().is_some_and(|end| end == "json")))
        })
    };
    until("remembered", &mut written).await;
    running.abort();
    assert_eq!(column(&server, "news:stream", "id").await, ["1"]);
    // the disk alone knows it
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    script.lock().unwrap().items.push(2);
    assert_eq!(poller(&control, &[&address], &place).poll_all().await.unwrap()[0].published, 1);
}
