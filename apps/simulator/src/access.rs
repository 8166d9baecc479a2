//! Who may come in: tokens, connection limits, seats.
//!
//! What enters: keys and tokens of handshakes and requests. What leaves: a seat, or a refusal. What never happens here:
//! a token in a log, a `Debug` or the ledger.

use crate::faults::FaultScript;
use crate::options::Credentials;
use rustc_hash::{FxHashMap, FxHashSet};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 403: the key or the token is not valid.
    Token,
    /// 429: too many connections.
    Limit,
}

/// Ends a connection from outside.
#[derive(Debug, Default)]
pub(crate) struct Eviction {
    reason: OnceLock<&'static str>,
    notify: Notify,
}

impl Eviction {
    pub(crate) fn evict(&self, reason: &'static str) {
        // the first reason stays
        self.reason.get_or_init(|| reason);
        self.notify.notify_one();
    }

    /// Waits for an eviction. Cancel-safe: a notification that came before is kept.
    pub(crate) async fn reason(&self) -> &'static str {
        loop {
            if let Some(reason) = self.reason.get() {
                return reason;
            }
            self.notify.notified().await;
        }
    }
}

struct Holder {
    api_key: String,
    access_token: String,
    socket: usize,
    /// A stalled connection is one that the exchange has forgotten: it does not count.
    counts: bool,
    eviction: Arc<Eviction>,
}

#[derive(Default)]
struct State {
    next_connection: u64,
    next_login: u64,
    holders: FxHashMap<u64, Holder>,
    /// When each token was first shown.
    seen: FxHashMap<String, Instant>,
    expired: FxHashSet<String>,
    used_request_tokens: FxHashSet<String>,
    /// The one valid access token, when there are credentials.
    current: Option<String>,
}

/// The doorkeeper of one simulator.
pub(crate) struct Access {
    credentials: Option<Credentials>,
    connections_per_key: usize,
    faults: Arc<FaultScript>,
    started: Instant,
    state: Mutex<State>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    pub(crate) fn new(
        credentials: Option<Credentials>,
        connections_per_key: usize,
        faults: Arc<FaultScript>,
    ) -> Self {
        let current = credentials.as_ref().and_then(|credentials| credentials.access_token.clone());
        let state = Mutex::new(State { current, ..State::default() });
        Self { credentials, connections_per_key, faults, started: Instant::now(), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the simulator started.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// Whether a key and token are valid now.
    pub(crate) fn check(&self, api_key: &str, access_token: &str) -> Result<(), Refusal> {
        self.check_in(&mut self.state(), api_key, access_token)
    }

    fn check_in(&self, state: &mut State, api_key: &str, access_token: &str) -> Result<(), Refusal> {
        if api_key.is_empty() || access_token.is_empty() {
            return Err(Refusal::Token);
        }
        let now = Instant::now();
        let seen = *state.seen.entry(access_token.to_owned()).or_insert(now);
        let strange = self
            .credentials
            .as_ref()
            .is_some_and(|known| known.api_key != api_key || state.current.as_deref() != Some(access_token));
        let expired = state.expired.contains(access_token) || self.faults.expired(self.started, seen, now);
        if strange || expired { Err(Refusal::Token) } else { Ok(()) }
    }

    /// A seat for a new connection.
    pub(crate) fn take_seat(self: &Arc<Self>, api_key: &str, access_token: &str) -> Result<Seat, Refusal> {
        match self.faults.refusal(self.started, Instant::now()) {
            Some(429) => return Err(Refusal::Limit),
            Some(_) => return Err(Refusal::Token),
            None => {}
        }
        let mut state = self.state();
        self.check_in(&mut state, api_key, access_token)?;
        let open = state.holders.values().filter(|holder| holder.counts && holder.api_key == api_key).count();
        if open >= self.connections_per_key {
            return Err(Refusal::Limit);
        }
        state.next_connection += 1;
        let connection = state.next_connection;
        let taken: FxHashSet<usize> = state.holders.values().map(|holder| holder.socket).collect();
        let socket =
            (0..=taken.len()).find(|slot| !taken.contains(slot)).expect("one more slot than are taken");
        let eviction = Arc::new(Eviction::default());
        let holder = Holder {
            api_key: api_key.to_owned(),
            access_token: access_token.to_owned(),
            socket,
            counts: true,
            eviction: Arc::clone(&eviction),
        };
        state.holders.insert(connection, holder);
        Ok(Seat { access: Arc::clone(self), connection, socket, api_key: api_key.to_owned(), eviction })
    }

    /// Ends a token's life and the connections that came in with it.
    pub(crate) fn expire(&self, access_token: &str, reason: &'static str) {
        let mut state = self.state();
        state.expired.insert(access_token.to_owned());
        for holder in state.holders.values().filter(|holder| holder.access_token == access_token) {
            holder.eviction.evict(reason);
        }
    }

    /// Ends every connection.
    pub(crate) fn evict_all(&self, reason: &'static str) {
        self.state().holders.values().for_each(|holder| holder.eviction.evict(reason));
    }

    /// Whether nobody is connected.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().holders.is_empty()
    }

    /// Exchanges a request token for an access token. With credentials, the checksum
    /// `sha256(api_key + request_token + api_secret)` must be right and a request token works once.
    pub(crate) fn log_in(
        &self,
        api_key: &str,
        request_token: &str,
        checksum: &str,
    ) -> Result<String, Refusal> {
        let mut state = self.state();
        if let Some(known) = &self.credentials {
            let expected = sha256_hex(&[&known.api_key, request_token, &known.api_secret]);
            let right = known.api_key == api_key && expected.eq_ignore_ascii_case(checksum);
            if !right
                || request_token.is_empty()
                || !state.used_request_tokens.insert(request_token.to_owned())
            {
                return Err(Refusal::Token);
            }
        }
        state.next_login += 1;
        let access_token =
            sha256_hex(&[api_key, request_token, &state.next_login.to_string()])[..32].to_owned();
        if let Some(old) = state.current.replace(access_token.clone()) {
            state.expired.insert(old);
        }
        Ok(access_token)
    }

    /// A request token of the login page.
    pub(crate) fn request_token(&self, api_key: &str) -> String {
        let mut state = self.state();
        state.next_login += 1;
        sha256_hex(&["request", api_key, &state.next_login.to_string()])[..32].to_owned()
    }
}

fn sha256_hex(parts: &[&str]) -> String {
    let digest = parts.iter().fold(Sha256::new(), Sha256::chain_update).finalize();
    digest.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    access: Arc<Access>,
    /// 1, 2, 3, … as accepted.
    pub(crate) connection: u64,
    /// The lowest number that was free.
    pub(crate) socket: usize,
    pub(crate) api_key: String,
    pub(crate) eviction: Arc<Eviction>,
}

impl Seat {
    /// Stops counting to the limit of connections.
    pub(crate) fn forget(&self) {
        if let Some(holder) = self.access.state().holders.get_mut(&self.connection) {
            holder.counts = false;
        }
    }

    /// Ends the life of the token that this connection came in with.
    pub(crate) fn expire_token(&self) {
        let mut state = self.access.state();
        if let Some(token) = state.holders.get(&self.connection).map(|holder| holder.access_token.clone()) {
            state.expired.insert(token);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.access.state().holders.remove(&self.connection);
    }
}
