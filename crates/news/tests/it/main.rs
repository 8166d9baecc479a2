//! Files and feeds into a real Redis, feeds from a real HTTP server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod feeds;
mod lines;

use tickhouse_embed::testkit::TestRedis;
use tickhouse_stream::{Control, RedisOptions};

/// A Redis of its own and a handle on it.
pub(crate) async fn redis() -> (TestRedis, Control) {
    let server = TestRedis::start().await;
    let control = Control::new(RedisOptions::at(server.url())).unwrap();
    (server, control)
}

/// Field `name` of every entry of a stream, in order.
pub(crate) async fn column(server: &TestRedis, stream: &str, name: &str) -> Vec<String> {
    let client = redis::Client::open(server.url()).unwrap();
    // twenty thousand entries take a loaded machine longer than the client waits by itself
    let config =
        redis::AsyncConnectionConfig::new().set_response_timeout(Some(std::time::Duration::from_mins(1)));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    let entries: redis::streams::StreamRangeReply =
        redis::cmd("XRANGE").arg(stream).arg("-").arg("+").query_async(&mut connection).await.unwrap();
    entries.ids.iter().map(|entry| entry.get(name).unwrap_or_default()).collect()
}
