//! Three requests a second, over all processes that share a data directory.
//!
//! A small file holds the instant of the next free slot. Whoever wants one locks the file, takes the slot, writes down the
//! one after it, and waits outside of the lock. A process that is killed leaves at most an unused slot.

use crate::HistoryError;
use crate::lock::Lock;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_telemetry::Clock;

/// Kite allows 3 a second (<https://kite.trade/docs/connect/v3/exceptions/#api-rate-limit>); a network delays some more than others,
/// so a little slower.
pub(super) const APART: Duration = Duration::from_millis(350);
/// A slot further away than this was written by another clock.
const FARTHEST: Duration = Duration::from_mins(2);

/// The rate of one API key.
#[derive(Clone, Debug)]
pub struct Pace {
    file: PathBuf,
}

impl Pace {
    /// The rate of a key, kept in a file of this folder. The file's name tells nothing of the key.
    pub fn new(folder: &Path, api_key: &str) -> Self {
        let digest = hex::encode(&Sha256::digest(api_key)[..4]);
        Self { file: folder.join(format!("kite-historical-{digest}")) }
    }

    /// Waits for the next slot.
    ///
    /// # Errors
    /// When the file can't be made, locked or written.
    ///
    /// # Cancel safety
    /// Safe: a slot is lost.
    pub async fn wait(&self, clock: &Clock) -> Result<(), HistoryError> {
        let now = clock.now();
        let slot = self.change(now, |next| (next, next.plus(APART))).await?;
        tokio::time::sleep(slot.since(now)).await;
        Ok(())
    }

    /// Gives nobody a slot for a while: Kite said that there were too many.
    ///
    /// # Errors
    /// As [`Pace::wait`].
    pub async fn push_back(&self, clock: &Clock, pause: Duration) -> Result<(), HistoryError> {
        let now = clock.now();
        self.change(now, |next| (next, next.max(now.plus(pause)))).await.map(drop)
    }

    /// Reads the next slot, and writes what `change` makes of it.
    async fn change(
        &self,
        now: Timestamp,
        change: impl FnOnce(Timestamp) -> (Timestamp, Timestamp),
    ) -> Result<Timestamp, HistoryError> {
        let lock = Lock::take(&self.file).await?;
        let failed = |source| HistoryError::File { path: self.file.clone(), source };
        let mut file = lock.file();
        let mut text = String::new();
        // what can't be read counts as written long ago
        file.read_to_string(&mut text).ok();
        let next = text.trim().parse().map_or(now, Timestamp::from_nanos);
        let next = if next.since(now) > FARTHEST { now } else { next.max(now) };
        let (taken, next) = change(next);
        file.rewind().map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        write!(file, "{}", next.as_nanos()).map_err(failed)?;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn slots_are_shared_and_a_wrong_clock_does_not_stop_anybody() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (Pace::new(dir.path(), "key"), Pace::new(dir.path(), "key"));
        let now = Timestamp::from_text("2026-11-20 09:00").unwrap();
        let take = |next: Timestamp| (next, next.plus(APART));
        assert_eq!(one.change(now, take).await.unwrap(), now);
        assert_eq!(other.change(now, take).await.unwrap(), now.plus(APART));
        assert_eq!(one.change(now, take).await.unwrap(), now.plus(2 * APART));
        let later = now.plus(Duration::from_mins(1));
        assert_eq!(one.change(later, take).await.unwrap(), later, "slots are not saved up");

        one.push_back(&Clock::manual(later), Duration::from_secs(2)).await.unwrap();
        assert_eq!(other.change(later, take).await.unwrap(), later.plus(Duration::from_secs(2)));
        assert_eq!(one.change(now.minus(FARTHEST * 9), take).await.unwrap(), now.minus(FARTHEST * 9));
        assert_eq!(Pace::new(dir.path(), "another").change(now, take).await.unwrap(), now);
    }
}
