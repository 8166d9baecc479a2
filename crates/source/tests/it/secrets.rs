//! An access token is in no log line, no record but the server's own, no counter.

use crate::exchange::{Exchange, container};
use crate::recorder::{TOKEN, Wish};
use std::io::Write;
use std::sync::{Arc, Mutex};
use tickhouse_model::{Mode, RecordKind};
use tickhouse_source::SocketState;
use tracing::level_filters::LevelFilter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_access_token_stays_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let exchange = Exchange::open().await;
    let mut recorder = Wish::new(&exchange, &[(1, Mode::Quote)]).start();
    let leak = format!("wss://kite/?access_token={TOKEN}");
    let mut peer = exchange.accept().await;
    peer.text(&format!(r#"{{"type":"error","data":"{leak}"}}"#)).await;
    peer.binary(container(&[(1, 44)])).await;
    peer.close(1000, &leak).await;
    exchange.refuse("502 Bad Gateway").await;
    exchange.refuse("403 Forbidden").await;
    let stats = recorder.until("pause", |stats| stats.state == SocketState::Paused).await;
    drop(guard);

    let mut seen = format!("{stats:?} {:?} {:?}", recorder.handle, recorder.key);
    let mut disconnects = 0;
    while let Ok(record) = recorder.observed.try_recv() {
        disconnects += usize::from(record.kind == RecordKind::Disconnect);
        if record.kind != RecordKind::Text {
            seen.push_str(&String::from_utf8_lossy(&record.payload));
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("socket paused") && log.contains("access_token=***"), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
    assert!(
        disconnects == 3 && seen.contains("closed by the server: 1000") && !seen.contains(TOKEN),
        "{seen}"
    );
    recorder.stop().await;
}
