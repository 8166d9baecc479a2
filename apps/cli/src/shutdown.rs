//! The end of a process that was asked for: Ctrl-C, SIGTERM, or the end of its parent.

use anyhow::Context as _;
use std::io::Read as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Resolves for everybody who waits once the process was asked to end. Clones wait for the same thing.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Listens for SIGINT and SIGTERM, and for the end of standard input where a parent holds it as a life line. A second
    /// signal ends the process at once.
    pub(crate) fn listen(until_stdin_closes: bool) -> anyhow::Result<Self> {
        let (sender, receiver) = watch::channel(false);
        let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
        let parent = until_stdin_closes.then(parent_ends);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = ended(parent) => {}
            }
            sender.send_replace(true);
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(130);
        });
        Ok(Self(receiver))
    }

    /// Waits until the process was asked to end. Cancel safe.
    pub(crate) async fn requested(&mut self) {
        // an error would mean that the sending task is gone, and it lives as long as the process
        self.0.wait_for(|asked| *asked).await.ok();
    }

    /// Whether the process was asked to end.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

async fn ended(parent: Option<watch::Receiver<bool>>) {
    match parent {
        Some(mut parent) => {
            parent.wait_for(|ended| *ended).await.ok();
        }
        None => std::future::pending().await,
    }
}

/// Reads standard input to its end on a thread of its own: tokio's would keep the runtime from stopping.
fn parent_ends() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        let mut input = std::io::stdin().lock();
        while matches!(input.read(&mut buffer), Ok(read) if read > 0) {}
        sender.send_replace(true);
    });
    receiver
}
