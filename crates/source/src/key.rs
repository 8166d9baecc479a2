//! What the sockets of one API key know of each other.

use crate::{AccessToken, Secret};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// An API key with its access token, shared by its sockets (at most three at Kite). Clones are the same key.
///
/// A 403 at the handshake means a bad token, or one connection too many; the answer is the same for both. It is taken
/// for the limit when a sister socket is open, else the token counts as refused, and all sockets of the key pause until
/// it changes (or a sister gets through with it after all).
#[derive(Clone)]
pub struct Key(Arc<Shared>);

struct Shared {
    api_key: String,
    token: AccessToken,
    open: watch::Sender<u32>,
    refused: Mutex<Option<Secret>>,
}

impl Key {
    /// A key that no socket uses yet.
    pub fn new(api_key: impl Into<String>, token: AccessToken) -> Self {
        let open = watch::Sender::new(0);
        Self(Arc::new(Shared { api_key: api_key.into(), token, open, refused: Mutex::new(None) }))
    }

    /// The public part.
    pub fn api_key(&self) -> &str {
        &self.0.api_key
    }

    /// A view of the access token.
    pub fn token(&self) -> AccessToken {
        self.0.token.clone()
    }

    /// Sockets of this key that are open now.
    pub fn open_sockets(&self) -> u32 {
        *self.0.open.borrow()
    }

    /// Whether the present access token was refused: the key's sockets wait for another.
    pub fn is_paused(&self) -> bool {
        self.is_refused(&self.0.token.current())
    }

    pub(crate) fn is_refused(&self, token: &Secret) -> bool {
        self.refused().as_ref() == Some(token)
    }

    /// Notes a 403. True when it was the token that was refused, false when it is the connection limit.
    pub(crate) fn forbidden(&self, token: &Secret) -> bool {
        // the same lock as in `opened`: a sister that opens now is either counted here or clears the refusal
        let mut refused = self.refused();
        let pauses = self.open_sockets() == 0;
        if pauses {
            *refused = Some(token.clone());
        }
        pauses
    }

    /// Notes that a socket got through with this token, until the guard is dropped.
    pub(crate) fn opened(&self, token: &Secret) -> OpenSocket {
        let mut refused = self.refused();
        if refused.as_ref() == Some(token) {
            *refused = None;
        }
        self.0.open.send_modify(|open| *open += 1);
        OpenSocket(self.clone())
    }

    /// Tells when the number of open sockets changes.
    pub(crate) fn watch_open(&self) -> watch::Receiver<u32> {
        self.0.open.subscribe()
    }

    fn refused(&self) -> std::sync::MutexGuard<'_, Option<Secret>> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("api_key", &self.0.api_key).field("open", &self.open_sockets()).finish()
    }
}

/// Counts its socket as open while it lives.
#[derive(Debug)]
pub(crate) struct OpenSocket(Key);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.0.open.send_modify(|open| *open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_lasts_until_the_token_changes_or_a_sister_gets_through() {
        let (sender, token) = AccessToken::changing(Secret::new("old"));
        let key = Key::new("k", token);
        assert!(key.forbidden(&Secret::new("old")) && key.is_paused());
        sender.send_replace(Secret::new("new"));
        assert!(!key.is_paused());

        assert!(key.forbidden(&Secret::new("new")) && key.is_paused());
        let open = key.opened(&Secret::new("new"));
        assert!(!key.is_paused());
        assert!(!key.forbidden(&Secret::new("new")) && !key.is_paused(), "the connection limit");
        drop(open);
        assert_eq!(key.open_sockets(), 0);
        assert!(!format!("{key:?}").contains("new"));
    }
}
