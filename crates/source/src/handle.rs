//! Changing a socket while it runs: what it carries, and its end.

use crate::shard::distinct;
use crate::{SocketStats, SourceError, Subscription};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tickhouse_decode::Request;
use tickhouse_model::{Mode, Token};
use tokio::sync::mpsc;

/// A hand on a running socket. Clones steer the same socket; dropping them all leaves it running.
#[derive(Clone, Debug)]
pub struct SocketHandle(Arc<Shared>);

/// The other end of a [`SocketHandle`], for [`run_socket`](crate::run_socket).
#[derive(Debug)]
pub struct SocketControl {
    shared: Arc<Shared>,
    signals: mpsc::Receiver<()>,
    copies: Option<mpsc::Sender<Bytes>>,
}

#[derive(Debug)]
struct Shared {
    wanted: Mutex<BTreeMap<Token, Mode>>,
    limit: usize,
    stop: AtomicBool,
    /// Holds one signal at most: it says "look again", and looking once is enough.
    signal: mpsc::Sender<()>,
    stats: SocketStats,
}

/// The two ends of a socket's control.
///
/// # Errors
/// When there are more than `limit` distinct tokens.
pub fn control(
    subscriptions: &[Subscription],
    limit: usize,
) -> Result<(SocketHandle, SocketControl), SourceError> {
    let (signal, signals) = mpsc::channel(1);
    let shared = Arc::new(Shared {
        wanted: Mutex::new(within(limit, distinct(subscriptions))?),
        limit,
        stop: AtomicBool::new(false),
        signal,
        stats: SocketStats::default(),
    });
    Ok((SocketHandle(Arc::clone(&shared)), SocketControl { shared, signals, copies: None }))
}

fn within(limit: usize, wanted: BTreeMap<Token, Mode>) -> Result<BTreeMap<Token, Mode>, SourceError> {
    if wanted.len() > limit {
        return Err(SourceError::TooManySubscriptions { wanted: wanted.len(), limit });
    }
    Ok(wanted)
}

impl SocketHandle {
    /// Makes the socket carry exactly these. Instruments whose mode stays the same are not touched: they neither pause
    /// nor send a snapshot.
    ///
    /// # Errors
    /// When they are more than the socket's limit; nothing changes then.
    pub fn set(&self, subscriptions: &[Subscription]) -> Result<(), SourceError> {
        self.change(|wanted| *wanted = distinct(subscriptions))
    }

    /// Adds instruments, or changes their mode.
    ///
    /// # Errors
    /// When they would be more than the socket's limit; nothing changes then.
    pub fn subscribe(&self, subscriptions: &[Subscription]) -> Result<(), SourceError> {
        self.change(|wanted| wanted.extend(distinct(subscriptions)))
    }

    /// Removes instruments; those that are not there are passed over.
    pub fn unsubscribe(&self, tokens: &[Token]) {
        let change = self.change(|wanted| {
            for token in tokens {
                wanted.remove(token);
            }
        });
        change.expect("fewer subscriptions do not break a limit");
    }

    /// What the socket is to carry, rising by token.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        let wanted = self.0.wanted();
        wanted.iter().map(|(token, mode)| Subscription { token: *token, mode: *mode }).collect()
    }

    /// Asks the socket to close and end; [`run_socket`](crate::run_socket) returns when it has.
    pub fn shut_down(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.0.signal();
    }

    /// The socket's counters.
    pub fn stats(&self) -> &SocketStats {
        &self.0.stats
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Token, Mode>)) -> Result<(), SourceError> {
        let mut wanted = self.0.wanted();
        let mut changed = wanted.clone();
        change(&mut changed);
        *wanted = within(self.0.limit, changed)?;
        drop(wanted);
        self.0.signal();
        Ok(())
    }
}

impl Shared {
    fn wanted(&self) -> std::sync::MutexGuard<'_, BTreeMap<Token, Mode>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self) {
        // full: a signal is waiting already; closed: the socket has ended
        self.signal.try_send(()).ok();
    }
}

impl SocketControl {
    /// Gives copies (they share the memory) of the data frames to somebody who looks at prices on the way. While `frames`
    /// is full they are passed over: the socket never waits for it, and the journal gets every frame in any case.
    pub fn copy_frames_to(&mut self, frames: mpsc::Sender<Bytes>) {
        self.copies = Some(frames);
    }

    pub(crate) fn take_copies(&mut self) -> Option<mpsc::Sender<Bytes>> {
        self.copies.take()
    }

    /// Waits for a change of the subscriptions or of [`SocketControl::is_stopped`].
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn changed(&mut self) {
        // never `None`: `shared` holds a sender
        self.signals.recv().await;
    }

    /// Waits for the shutdown, whatever the subscriptions do.
    pub(crate) async fn stopped(&mut self) {
        while !self.is_stopped() {
            self.changed().await;
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    pub(crate) fn stats(&self) -> &SocketStats {
        &self.shared.stats
    }

    pub(crate) fn handle(&self) -> SocketHandle {
        SocketHandle(Arc::clone(&self.shared))
    }

    /// What has to change so that `active` becomes what is wanted.
    pub(crate) fn difference(&self, active: &FxHashMap<Token, Mode>) -> Difference {
        let wanted = self.shared.wanted();
        let mut difference = Difference::default();
        for (token, mode) in wanted.iter() {
            match active.get(token) {
                Some(known) if known == mode => {}
                Some(_) => difference.modes.push((*token, *mode)),
                None => difference.added.push((*token, *mode)),
            }
        }
        difference.removed.extend(active.keys().filter(|token| !wanted.contains_key(token)));
        difference.removed.sort_unstable();
        difference
    }
}

/// The way from one set of subscriptions to another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) removed: Vec<Token>,
    pub(crate) added: Vec<(Token, Mode)>,
    pub(crate) modes: Vec<(Token, Mode)>,
}

impl Difference {
    /// The messages that do it, of at most `batch` tokens each. A bare subscribe gives quote mode, so quotes need no mode
    /// message; every other subscribe is followed at once by its mode.
    pub(crate) fn requests(&self, batch: usize) -> Vec<Request> {
        let mut requests = Vec::new();
        requests.extend(self.removed.chunks(batch).map(|tokens| Request::Unsubscribe(tokens.to_vec())));
        for mode in [Mode::Full, Mode::Quote, Mode::Ltp] {
            for tokens in of_mode(&self.added, mode).chunks(batch) {
                requests.push(Request::Subscribe(tokens.to_vec()));
                if mode != Mode::Quote {
                    requests.push(Request::Mode(mode, tokens.to_vec()));
                }
            }
            for tokens in of_mode(&self.modes, mode).chunks(batch) {
                requests.push(Request::Mode(mode, tokens.to_vec()));
            }
        }
        requests
    }
}

fn of_mode(pairs: &[(Token, Mode)], mode: Mode) -> Vec<Token> {
    pairs.iter().filter(|(_, other)| *other == mode).map(|(token, _)| *token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(token: u32, mode: Mode) -> Subscription {
        Subscription { token: Token(token), mode }
    }

    #[test]
    fn the_first_messages_of_a_connection() {
        let list: Vec<_> = (0..5).map(|token| one(token, Mode::Full)).chain([one(9, Mode::Quote)]).collect();
        let (_handle, control) = control(&list, 6).unwrap();
        let texts: Vec<_> =
            control.difference(&FxHashMap::default()).requests(4).iter().map(Request::to_json).collect();
        assert_eq!(
            texts,
            [
                r#"{"a":"subscribe","v":[0,1,2,3]}"#,
                r#"{"a":"mode","v":["full",[0,1,2,3]]}"#,
                r#"{"a":"subscribe","v":[4]}"#,
                r#"{"a":"mode","v":["full",[4]]}"#,
                r#"{"a":"subscribe","v":[9]}"#,
            ]
        );
    }

    #[test]
    fn a_change_beyond_the_limit_changes_nothing() {
        let (handle, _control) = control(&[one(1, Mode::Ltp)], 1).unwrap();
        let error = handle.subscribe(&[one(2, Mode::Ltp)]).unwrap_err();
        assert_eq!(error, SourceError::TooManySubscriptions { wanted: 2, limit: 1 });
        assert_eq!(handle.subscriptions(), [one(1, Mode::Ltp)]);
        handle.unsubscribe(&[Token(1), Token(5)]);
        handle.subscribe(&[one(2, Mode::Ltp)]).unwrap();
        assert_eq!(handle.subscriptions(), [one(2, Mode::Ltp)]);
    }

    /// What a server that knows the protocol has subscribed after these messages.
    fn apply(state: &mut BTreeMap<Token, Mode>, requests: &[Request]) {
        for request in requests {
            match request {
                Request::Subscribe(tokens) => state.extend(tokens.iter().map(|token| (*token, Mode::Quote))),
                Request::Unsubscribe(tokens) => state.retain(|token, _| !tokens.contains(token)),
                Request::Mode(mode, tokens) => state.extend(tokens.iter().map(|token| (*token, *mode))),
            }
        }
    }

    fn any_set() -> impl Strategy<Value = BTreeMap<Token, Mode>> {
        let mode = prop::sample::select(vec![Mode::Ltp, Mode::Quote, Mode::Full]);
        prop::collection::btree_map((0_u32..60).prop_map(Token), mode, 0..50)
    }

    proptest! {
        #[test]
        fn requests_lead_from_any_set_to_any_other(before in any_set(), after in any_set(), batch in 1_usize..20) {
            let list: Vec<_> = after.iter().map(|(token, mode)| one(token.0, *mode)).collect();
            let (_handle, control) = control(&list, 60).unwrap();
            let active: FxHashMap<_, _> = before.iter().map(|(token, mode)| (*token, *mode)).collect();
            let requests = control.difference(&active).requests(batch);
            let mut state = before.clone();
            apply(&mut state, &requests);
            prop_assert_eq!(&state, &after);
            for request in &requests {
                let (Request::Subscribe(tokens) | Request::Unsubscribe(tokens) | Request::Mode(_, tokens)) = request;
                prop_assert!(!tokens.is_empty() && tokens.len() <= batch);
                for token in tokens {
                    prop_assert!(before.get(token) != after.get(token), "{token} was touched");
                }
            }
        }
    }
}
