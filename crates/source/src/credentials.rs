//! The access token, which changes every morning under a running recorder.

mod expiry;

pub use expiry::{
    TokenState, open_to_others, token_lives_until, token_obtained, watch_tokens, write_token_file,
};

use crate::Secret;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// Where the access token of a key comes from; empty as long as there is none. Clones follow the same source.
#[derive(Clone, Debug)]
pub struct AccessToken(watch::Receiver<Secret>);

impl AccessToken {
    /// A token that never changes.
    pub fn fixed(token: Secret) -> Self {
        Self(watch::channel(token).1)
    }

    /// A token that the holder of the sender changes, e.g. after a login.
    pub fn changing(first: Secret) -> (watch::Sender<Secret>, Self) {
        let (sender, receiver) = watch::channel(first);
        (sender, Self(receiver))
    }

    /// The first line of a file that is read now and then every `every`. While the file is absent or empty the token
    /// stays what it was (at first: none). The task that reads ends with the last clone of this token.
    ///
    /// Must be called within a tokio runtime.
    pub fn file(path: PathBuf, every: Duration) -> Self {
        let first = std::fs::read_to_string(&path).map(|text| first_line(&text)).unwrap_or_default();
        let (sender, token) = Self::changing(first);
        tokio::spawn(follow_file(path, every, sender));
        token
    }

    /// The token as it is now.
    pub fn current(&self) -> Secret {
        self.0.borrow().clone()
    }

    /// Waits until the token changes; for ever when its source is gone.
    ///
    /// # Cancel safety
    /// Safe: a change that was not reported is reported by the next call.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Counts the present token as seen: [`AccessToken::changed`] waits for the next one.
    pub(crate) fn take(&mut self) -> Secret {
        self.0.borrow_and_update().clone()
    }
}

fn first_line(text: &str) -> Secret {
    Secret::new(text.lines().next().unwrap_or_default())
}

async fn follow_file(path: PathBuf, every: Duration, sender: watch::Sender<Secret>) {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = sender.closed() => return,
            _ = ticks.tick() => {}
        }
        let Ok(text) = tokio::fs::read_to_string(&path).await else { continue };
        let token = first_line(&text);
        let changed = !token.is_empty()
            && sender.send_if_modified(|current| {
                let changed = *current != token;
                current.clone_from(&token);
                changed
            });
        if changed {
            tracing::info!(file = %path.display(), "access token changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rewritten_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let mut token = AccessToken::file(path.clone(), Duration::from_millis(5));
        assert!(token.take().is_empty());

        for text in ["first\n", "second\nnot this"] {
            std::fs::write(&path, text).unwrap();
            tokio::time::timeout(Duration::from_secs(5), token.changed()).await.unwrap();
            assert_eq!(token.take().expose(), text.lines().next().unwrap());
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(format!("{:?}", token.current()), "***");
    }
}
