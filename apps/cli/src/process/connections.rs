//! HTTP connections of one listener.
//!
//! What enters: a listener and routes. What leaves: answers. What never happens here: more connections at once than
//! [`Limits::connections`] (others wait in the system's queue), a connection that is kept without a request for longer than
//! [`Limits::head_time`].

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Pause after an error that another connection may meet too: no file handles are left.
const PAUSE: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once.
    pub(super) connections: u32,
    /// How long the head of a request may take, the wait for it included.
    pub(super) head_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 256, head_time: Duration::from_mins(1) }
    }
}

/// Answers until `ended`, then those requests that are under way.
///
/// # Cancel safety
/// Safe: connections end with their requests.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    ended: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections as usize));
    let end = watch::Sender::new(false);
    let mut ended = pin!(ended);
    loop {
        let (stream, place) = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut ended => break,
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()))
            // a WebSocket goes on by itself, and counts no longer as a connection here
            .with_upgrades();
        let mut end = end.subscribe();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let answered = tokio::select! {
                answered = connection.as_mut() => Some(answered),
                () = asked(&mut end) => None,
            };
            let answered = if let Some(answered) = answered {
                answered
            } else {
                connection.as_mut().graceful_shutdown();
                connection.await
            };
            if let Err(error) = answered {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    end.send_replace(true);
    // when all places are free, every connection has ended
    places.acquire_many(limits.connections).await.ok();
}

/// Resolves when connections are asked to end.
async fn asked(end: &mut watch::Receiver<bool>) {
    end.wait_for(|end| *end).await.ok();
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("places are never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // an answer is written whole: there is nothing to wait for
                stream.set_nodelay(true).ok();
                return (stream, place);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection is not taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn start(
        router: Router,
        limits: Limits,
    ) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        (address, end, tokio::spawn(serve(listener, router, limits, async { drop(ended.await) })))
    }

    /// Sends this and reads until the other side closes.
    async fn say(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.expect("the connection stays open").ok();
        String::from_utf8(answer).unwrap()
    }

    const ASK: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn who_asks_nothing_keeps_nobody_out() {
        let limits = Limits { connections: 3, head_time: Duration::from_millis(300) };
        let (address, _end, _task) = start(Router::new().route("/", get(async || "ok")), limits).await;
        let (silent, half, kept, asked) = tokio::join!(
            say(address, ""),
            say(address, "GET / HTTP/1.1\r\nHost:"),
            say(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            say(address, ASK),
        );
        assert_eq!(silent, "");
        assert!(!half.contains("200"), "{half}");
        assert!(kept.starts_with("HTTP/1.1 200") && asked.starts_with("HTTP/1.1 200"), "{kept} {asked}");
    }

    #[tokio::test]
    async fn connections_are_few_and_those_under_way_are_answered_at_the_end() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, highest) = (Arc::clone(&now), Arc::clone(&most));
        let slow = move || async move {
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            counted.fetch_sub(1, Ordering::SeqCst);
            "ok"
        };
        let limits = Limits { connections: 2, ..Limits::default() };
        let (address, end, task) = start(Router::new().route("/", get(slow)), limits).await;
        let answers = futures_util::future::join_all((0..8).map(|_| say(address, ASK))).await;
        assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{answers:?}");
        assert_eq!(most.load(Ordering::SeqCst), 2);
        let last = tokio::spawn(say(address, ASK));
        let since = std::time::Instant::now();
        while now.load(Ordering::SeqCst) == 0 && !last.is_finished() {
            assert!(since.elapsed() < PATIENCE);
            tokio::task::yield_now().await;
        }
        drop(end);
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        assert!(last.await.unwrap().starts_with("HTTP/1.1 200"));
        assert!(TcpStream::connect(address).await.is_err());
    }
}
