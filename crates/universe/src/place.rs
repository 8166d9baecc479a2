//! Which socket carries what: an instrument stays where it is for as long as it is wanted.

use crate::Wanted;
use std::collections::BTreeMap;
use tickhouse_model::{Mode, Token};

/// What the open sockets carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    sockets: Vec<BTreeMap<Token, Mode>>,
    per_socket: usize,
}

/// What changes on one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketChange {
    /// Which socket, counted from 0 as they were given.
    pub socket: usize,
    /// New on it.
    pub added: Vec<(Token, Mode)>,
    /// There already, in another mode.
    pub modes: Vec<(Token, Mode)>,
    /// No longer wanted.
    pub removed: Vec<Token>,
}

impl Placement {
    /// The sockets as they are, of at most `per_socket` instruments each.
    pub fn new(sockets: impl IntoIterator<Item = Vec<(Token, Mode)>>, per_socket: usize) -> Self {
        Self { sockets: sockets.into_iter().map(|socket| socket.into_iter().collect()).collect(), per_socket }
    }

    /// One more socket, which carries nothing yet.
    pub fn add_socket(&mut self) {
        self.sockets.push(BTreeMap::new());
    }

    /// Instruments that the sockets carry together.
    pub fn capacity(&self) -> usize {
        self.sockets.len().saturating_mul(self.per_socket)
    }

    /// Instruments that they carry now.
    pub fn len(&self) -> usize {
        self.sockets.iter().map(BTreeMap::len).sum()
    }

    /// Whether they carry none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each socket carries, rising by token.
    pub fn sockets(&self) -> impl ExactSizeIterator<Item = &BTreeMap<Token, Mode>> {
        self.sockets.iter()
    }

    /// Makes the sockets carry exactly what is wanted; the changes, of those sockets that have any. What stays stays on its
    /// socket; what is new goes to the socket with the most room. Of more than [`Placement::capacity`] the last are not
    /// taken.
    pub fn apply(&mut self, wanted: &[Wanted]) -> Vec<SocketChange> {
        let wanted = &wanted[..wanted.len().min(self.capacity())];
        let mut left: BTreeMap<Token, Mode> = wanted.iter().map(|one| (one.token, one.mode)).collect();
        let mut changes: Vec<SocketChange> = (0..self.sockets.len())
            .map(|socket| SocketChange { socket, added: Vec::new(), modes: Vec::new(), removed: Vec::new() })
            .collect();
        for (socket, change) in self.sockets.iter_mut().zip(&mut changes) {
            socket.retain(|token, mode| match left.remove(token) {
                None => {
                    change.removed.push(*token);
                    false
                }
                Some(new) => {
                    if *mode != new {
                        change.modes.push((*token, new));
                        *mode = new;
                    }
                    true
                }
            });
        }
        // in the order of their worth
        for one in wanted {
            let Some(mode) = left.remove(&one.token) else { continue };
            let emptiest = self.sockets.iter_mut().zip(&mut changes).min_by_key(|(socket, _)| socket.len());
            if let Some((socket, change)) = emptiest.filter(|(socket, _)| socket.len() < self.per_socket) {
                socket.insert(one.token, mode);
                change.added.push((one.token, mode));
            }
        }
        changes.retain(|change| {
            !(change.added.is_empty() && change.modes.is_empty() && change.removed.is_empty())
        });
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn modes() -> impl Strategy<Value = BTreeMap<u32, usize>> {
        prop::collection::btree_map(0_u32..60, 0..3_usize, 0..40)
    }

    proptest! {
        #[test]
        fn what_stays_stays_where_it_is(
            sockets in 1_usize..5,
            per_socket in 1_usize..15,
            days in prop::collection::vec(modes(), 1..8),
        ) {
            let all = [Mode::Ltp, Mode::Quote, Mode::Full];
            let mut placement = Placement::new(vec![Vec::new(); sockets], per_socket);
            for wanted in days {
                let list: Vec<Wanted> = wanted
                    .iter()
                    .map(|(token, mode)| Wanted { token: Token(*token), mode: all[*mode] })
                    .take(sockets * per_socket)
                    .collect();
                let before = placement.clone();
                let changes = placement.apply(&list);
                let carried: Vec<Wanted> = {
                    let mut carried: Vec<Wanted> = placement
                        .sockets()
                        .flatten()
                        .map(|(token, mode)| Wanted { token: *token, mode: *mode })
                        .collect();
                    carried.sort_by_key(|one| one.token);
                    carried
                };
                prop_assert_eq!(&carried, &list, "exactly what is wanted, each once");
                prop_assert!(placement.sockets().all(|socket| socket.len() <= per_socket));
                // the changes lead from what was to what is, and name no instrument that stays
                let mut replayed: Vec<BTreeMap<Token, Mode>> = before.sockets.clone();
                for change in &changes {
                    let socket = &mut replayed[change.socket];
                    for token in &change.removed {
                        prop_assert!(socket.remove(token).is_some());
                    }
                    for (token, mode) in &change.added {
                        prop_assert!(socket.insert(*token, *mode).is_none());
                        prop_assert!(before.sockets().all(|socket| !socket.contains_key(token)), "{token} moved");
                    }
                    for (token, mode) in &change.modes {
                        prop_assert!(socket.insert(*token, *mode).is_some_and(|old| old != *mode));
                    }
                }
                prop_assert_eq!(&replayed, &placement.sockets);
                prop_assert_eq!(placement.apply(&list), vec![], "twice is once");
            }
        }
    }

    #[test]
    fn more_than_there_is_room_for_is_not_taken() {
        let mut placement = Placement::new([vec![], vec![]], 2);
        let wanted: Vec<Wanted> =
            (0..6).map(|token| Wanted { token: Token(token), mode: Mode::Full }).collect();
        placement.apply(&wanted);
        assert_eq!((placement.len(), placement.capacity()), (4, 4));
        assert!(placement.sockets().flatten().all(|(token, _)| token.0 < 4));
    }
}
