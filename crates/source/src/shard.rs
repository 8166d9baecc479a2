//! Which socket of which key carries which instrument.

use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::Hasher;
use tickhouse_model::{Mode, SocketId, Token};

/// One instrument to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subscription {
    /// Which instrument.
    pub token: Token,
    /// How much of it.
    pub mode: Mode,
}

/// How much a socket and a key may carry; Kite documents 3,000 instruments and 3 connections. It enforces neither
/// strictly, but serves what is beyond in part and silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardLimits {
    /// Instruments of one socket.
    pub per_socket: usize,
    /// Sockets of one API key.
    pub sockets_per_key: usize,
}

impl Default for ShardLimits {
    fn default() -> Self {
        Self { per_socket: 3_000, sockets_per_key: 3 }
    }
}

/// What one socket carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// 0, 1, 2, … over all keys.
    pub socket: SocketId,
    /// With which API key it connects.
    pub api_key: String,
    /// Its instruments, rising by token.
    pub subscriptions: Vec<Subscription>,
}

/// Why a list of subscriptions cannot be spread.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// More instruments than all keys together may carry.
    #[error(
        "{instruments} instruments do not fit {keys} API key(s) with {} sockets of {} instruments each, {capacity} \
         together: remove {} instruments or bring {keys_needed} keys",
        limits.sockets_per_key, limits.per_socket, instruments - capacity
    )]
    TooMany {
        /// Distinct tokens asked for.
        instruments: usize,
        /// Keys there are.
        keys: usize,
        /// Instruments that fit.
        capacity: usize,
        /// Keys that would be enough.
        keys_needed: usize,
        /// The limits that were applied.
        limits: ShardLimits,
    },
    /// No API key at all.
    #[error("no API key: {0} instruments need at least one")]
    NoKey(usize),
    /// The same API key twice: its connections would be counted double.
    #[error("API key `{0}` is listed twice")]
    RepeatedKey(String),
    /// A limit of zero, or more sockets than a [`SocketId`] can number.
    #[error("limits of {} instruments per socket and {} sockets per key cannot be used", .0.per_socket, .0.sockets_per_key)]
    Limits(ShardLimits),
}

/// Spreads subscriptions over as few sockets as hold them, the first key's first.
///
/// The result depends on the set of subscriptions only, not on its order. A token listed twice counts once, with the
/// larger mode. As long as the number of sockets stays the same, adding or removing an instrument moves hardly any
/// other one: each token ranks the sockets by a hash of both and takes the first that has room.
///
/// # Errors
/// When they do not fit, with the numbers.
pub fn shard(
    subscriptions: &[Subscription],
    keys: &[impl AsRef<str>],
    limits: ShardLimits,
) -> Result<Vec<Shard>, ShardError> {
    let modes = distinct(subscriptions);
    let sockets = sockets_needed(modes.len(), keys, limits)?;
    let mut shards: Vec<Shard> = (0..sockets)
        .map(|socket| Shard {
            socket: socket as SocketId,
            api_key: keys[socket / limits.sockets_per_key].as_ref().to_owned(),
            subscriptions: Vec::new(),
        })
        .collect();
    for (token, mode) in modes {
        let best = shards
            .iter_mut()
            .filter(|shard| shard.subscriptions.len() < limits.per_socket)
            .max_by_key(|shard| (weight(token, shard.socket), shard.socket))
            .expect("the number of sockets was chosen so that all fit");
        best.subscriptions.push(Subscription { token, mode });
    }
    Ok(shards)
}

/// One entry per token, with its largest mode.
pub(crate) fn distinct(subscriptions: &[Subscription]) -> BTreeMap<Token, Mode> {
    let mut modes = BTreeMap::new();
    for Subscription { token, mode } in subscriptions {
        let known = modes.entry(*token).or_insert(*mode);
        *known = (*known).max(*mode);
    }
    modes
}

fn sockets_needed(
    instruments: usize,
    keys: &[impl AsRef<str>],
    limits: ShardLimits,
) -> Result<usize, ShardError> {
    let per_key = limits.per_socket.saturating_mul(limits.sockets_per_key);
    let all_sockets = keys.len().saturating_mul(limits.sockets_per_key);
    if per_key == 0 || all_sockets > usize::from(SocketId::MAX) {
        return Err(ShardError::Limits(limits));
    }
    for (at, key) in keys.iter().enumerate() {
        if keys[..at].iter().any(|earlier| earlier.as_ref() == key.as_ref()) {
            return Err(ShardError::RepeatedKey(key.as_ref().to_owned()));
        }
    }
    let capacity = per_key.saturating_mul(keys.len());
    match keys.len() {
        0 if instruments > 0 => Err(ShardError::NoKey(instruments)),
        _ if instruments > capacity => Err(ShardError::TooMany {
            instruments,
            keys: keys.len(),
            capacity,
            keys_needed: instruments.div_ceil(per_key),
            limits,
        }),
        _ => Ok(instruments.div_ceil(limits.per_socket)),
    }
}

/// Rendezvous hashing: how much a token likes a socket. The same on every machine and in every version.
fn weight(token: Token, socket: SocketId) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u32(token.0);
    hasher.write_u16(socket);
    // FxHash mixes upwards only; the finalizer of splitmix64 spreads a change to all bits
    let mut bits = hasher.finish();
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeSet, HashMap};

    fn full(tokens: impl IntoIterator<Item = u32>) -> Vec<Subscription> {
        tokens.into_iter().map(|token| Subscription { token: Token(token), mode: Mode::Full }).collect()
    }

    fn places(shards: &[Shard]) -> HashMap<Token, SocketId> {
        let place = |shard: &Shard| {
            let socket = shard.socket;
            shard.subscriptions.iter().map(move |one| (one.token, socket)).collect::<Vec<_>>()
        };
        shards.iter().flat_map(place).collect()
    }

    #[test]
    fn two_keys_carry_eighteen_thousand_and_not_one_more() {
        let shards = shard(&full(0..18_000), &["a", "b"], ShardLimits::default()).unwrap();
        let keys: Vec<_> = shards.iter().map(|shard| (shard.socket, shard.api_key.as_str())).collect();
        assert_eq!(keys, [(0, "a"), (1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "b")]);
        assert!(shards.iter().all(|shard| shard.subscriptions.len() == 3_000));

        let error = shard(&full(0..18_001), &["a", "b"], ShardLimits::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "18001 instruments do not fit 2 API key(s) with 3 sockets of 3000 instruments each, 18000 together: \
             remove 1 instruments or bring 3 keys"
        );
    }

    #[test]
    fn refusals() {
        let one = full([1]);
        assert_eq!(shard(&one, &[] as &[&str], ShardLimits::default()), Err(ShardError::NoKey(1)));
        assert_eq!(shard(&[], &[] as &[&str], ShardLimits::default()), Ok(vec![]));
        let twice = shard(&one, &["a", "a"], ShardLimits::default());
        assert_eq!(twice, Err(ShardError::RepeatedKey("a".to_owned())));
        let none = ShardLimits { per_socket: 0, sockets_per_key: 3 };
        assert_eq!(shard(&one, &["a"], none), Err(ShardError::Limits(none)));
    }

    proptest! {
        #[test]
        fn every_token_is_placed_once_and_order_does_not_matter(
            (tokens, shuffled) in prop::collection::vec((0_u32..500, 0..3_usize), 0..400)
                .prop_flat_map(|tokens| (Just(tokens.clone()), Just(tokens).prop_shuffle())),
            per_socket in 1_usize..100,
        ) {
            let modes = [Mode::Ltp, Mode::Quote, Mode::Full];
            let list = |pairs: &[(u32, usize)]| -> Vec<_> {
                pairs.iter().map(|(token, mode)| Subscription { token: Token(*token), mode: modes[*mode] }).collect()
            };
            let keys: Vec<String> = (0..300).map(|key| key.to_string()).collect();
            let limits = ShardLimits { per_socket, sockets_per_key: 2 };
            let shards = shard(&list(&tokens), &keys, limits).unwrap();
            prop_assert_eq!(&shards, &shard(&list(&shuffled), &keys, limits).unwrap());

            let wanted: BTreeSet<_> = tokens.iter().map(|(token, _)| Token(*token)).collect();
            let placed: Vec<_> = shards.iter().flat_map(|shard| &shard.subscriptions).collect();
            prop_assert_eq!(placed.len(), wanted.len());
            prop_assert_eq!(placed.iter().map(|one| one.token).collect::<BTreeSet<_>>(), wanted.clone());
            for one in placed {
                let most = tokens.iter().filter(|(token, _)| Token(*token) == one.token).map(|(_, mode)| modes[*mode]).max();
                prop_assert_eq!(Some(one.mode), most);
            }
            prop_assert_eq!(shards.len(), wanted.len().div_ceil(per_socket));
            for (at, shard) in shards.iter().enumerate() {
                prop_assert!(shard.subscriptions.len() <= per_socket && usize::from(shard.socket) == at);
                prop_assert_eq!(&shard.api_key, &keys[at / 2]);
                prop_assert!(shard.subscriptions.is_sorted());
            }
        }

        #[test]
        fn one_instrument_less_moves_few_others(tokens in prop::collection::btree_set(any::<u32>(), 2_100..2_900), gone in any::<prop::sample::Index>()) {
            let limits = ShardLimits { per_socket: 1_000, sockets_per_key: 3 };
            let before = places(&shard(&full(tokens.clone()), &["a"], limits).unwrap());
            let gone = *gone.get(&tokens.iter().copied().collect::<Vec<_>>());
            let rest = tokens.into_iter().filter(|token| *token != gone);
            let after = places(&shard(&full(rest), &["a"], limits).unwrap());
            let moved = after.iter().filter(|(token, socket)| before[token] != **socket).count();
            prop_assert!(moved <= 60, "{moved} moved");
        }
    }
}
