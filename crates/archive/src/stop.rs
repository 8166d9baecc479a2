//! The wish that long work ends.

use std::sync::Arc;
use tokio::sync::watch;

/// The wish that long work ends: what is whole stays, what is half done is taken away. Clones mean the same work.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Wishes it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody wished it.
    pub fn is_wished(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody wishes it. Cancel safe.
    pub async fn wished(&self) {
        // the sender is in `self`, so it is not gone
        self.0.subscribe().wait_for(|wished| *wished).await.ok();
    }
}
