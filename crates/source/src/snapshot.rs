//! Which packets are cached last values: the first of each token after a subscribe or mode change.
//!
//! Kite answers a subscribe with one packet per token from its cache, possibly days old (forum, comment/766 and 34446),
//! and a mode change with another in the new layout. A subscribe is followed at once by its mode, so a token may answer
//! twice: first in quote layout, then in the layout that was asked for. Both are marked; never more than two.

use rustc_hash::FxHashMap;
use tickhouse_model::{Mode, PacketKind, SnapshotMarks, Token};

/// Answers of a token that are marked at most after one request.
const MOST_ANSWERS: u8 = 2;

#[derive(Clone, Copy, Debug)]
struct Expected {
    mode: Mode,
    answers: u8,
}

/// The tokens whose snapshot is still to come on this connection.
#[derive(Debug, Default)]
pub(crate) struct Awaiting {
    tokens: FxHashMap<Token, Expected>,
    silent: usize,
}

impl Awaiting {
    /// Awaits the snapshot of a token that was just subscribed, or whose mode was just changed.
    pub(crate) fn expect(&mut self, token: Token, mode: Mode) {
        self.forget(token);
        self.tokens.insert(token, Expected { mode, answers: 0 });
        self.silent += 1;
    }

    /// Awaits nothing more of a token.
    pub(crate) fn forget(&mut self, token: Token) {
        if self.tokens.remove(&token).is_some_and(|expected| expected.answers == 0) {
            self.silent -= 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How many tokens sent nothing at all since their request.
    pub(crate) fn silent_count(&self) -> usize {
        self.silent
    }

    /// Tokens that sent nothing at all since their request.
    pub(crate) fn silent(&self) -> impl Iterator<Item = Token> + '_ {
        self.tokens.iter().filter(|(_, expected)| expected.answers == 0).map(|(token, _)| *token)
    }

    /// The marks of a message. Walks lengths and tokens only, as far as the message is well formed.
    pub(crate) fn mark(&mut self, message: &[u8]) -> SnapshotMarks {
        let mut marked = Vec::new();
        for (body, index) in Bodies::of(message).zip(0_u16..) {
            if self.answers(body) {
                marked.push(index);
            }
        }
        if marked.is_empty() {
            SnapshotMarks::None
        } else if marked.len() == usize::from(tickhouse_decode::packet_count(message)) {
            SnapshotMarks::All
        } else {
            SnapshotMarks::Some(marked)
        }
    }

    /// Whether this body is an awaited snapshot.
    fn answers(&mut self, body: &[u8]) -> bool {
        let Some(token) = body.first_chunk().map(|bytes| Token(u32::from_be_bytes(*bytes))) else {
            return false;
        };
        let Some(expected) = self.tokens.get_mut(&token) else { return false };
        self.silent -= usize::from(expected.answers == 0);
        expected.answers += 1;
        if is_of_mode(body.len(), expected.mode) || expected.answers == MOST_ANSWERS {
            self.tokens.remove(&token);
        }
        true
    }
}

/// Whether a body of this length is what a subscription in `mode` sends.
fn is_of_mode(len: usize, mode: Mode) -> bool {
    match PacketKind::of_len(len) {
        Some(PacketKind::Ltp) => mode == Mode::Ltp,
        Some(PacketKind::IndexQuote | PacketKind::Quote) => mode == Mode::Quote,
        Some(PacketKind::IndexFull | PacketKind::Full) => mode == Mode::Full,
        None => false,
    }
}

/// The bodies of a container, up to its first fault. (The walk of `tickhouse_decode::tokens` has no lengths.)
struct Bodies<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Bodies<'a> {
    fn of(message: &'a [u8]) -> Self {
        let left = tickhouse_decode::packet_count(message);
        Self { rest: message.get(2..).unwrap_or_default(), left }
    }
}

impl<'a> Iterator for Bodies<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (len, rest) = self.rest.split_first_chunk()?;
        let (body, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        self.rest = rest;
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(packets: &[(u32, usize)]) -> Vec<u8> {
        let mut message = (packets.len() as u16).to_be_bytes().to_vec();
        for (token, len) in packets {
            message.extend((*len as u16).to_be_bytes());
            message.extend(token.to_be_bytes());
            message.resize(message.len() + len - 4, 0);
        }
        message
    }

    fn awaiting(tokens: &[(u32, Mode)]) -> Awaiting {
        let mut awaiting = Awaiting::default();
        tokens.iter().for_each(|(token, mode)| awaiting.expect(Token(*token), *mode));
        awaiting
    }

    #[test]
    fn the_first_packet_of_each_token_is_marked() {
        let mut awaiting = awaiting(&[(1, Mode::Full), (2, Mode::Quote), (3, Mode::Ltp)]);
        assert_eq!(awaiting.mark(&message(&[(1, 184), (2, 44)])), SnapshotMarks::All);
        assert_eq!(awaiting.silent().collect::<Vec<_>>(), [Token(3)]);
        let mixed = message(&[(1, 184), (9, 8), (3, 8), (2, 44), (3, 8)]);
        assert_eq!(awaiting.mark(&mixed), SnapshotMarks::Some(vec![2]));
        assert!(awaiting.is_empty());
        assert_eq!(awaiting.mark(&mixed), SnapshotMarks::None);
    }

    #[test]
    fn the_answer_to_the_subscribe_and_to_its_mode_are_both_marked_and_no_third() {
        let mut full = awaiting(&[(7, Mode::Full), (265, Mode::Full)]);
        assert_eq!(full.mark(&message(&[(7, 44), (265, 28)])), SnapshotMarks::All);
        assert_eq!((full.silent().count(), full.silent_count()), (0, 0));
        assert_eq!(full.mark(&message(&[(7, 184), (7, 184), (265, 32)])), SnapshotMarks::Some(vec![0, 2]));
        assert!(full.is_empty());

        let mut ignored = awaiting(&[(7, Mode::Full)]);
        let marks = [0, 1, 2].map(|_| ignored.mark(&message(&[(7, 44)])));
        assert_eq!(marks, [SnapshotMarks::All, SnapshotMarks::All, SnapshotMarks::None]);
    }

    #[test]
    fn a_cut_message_keeps_the_marks_before_the_cut() {
        let whole = message(&[(1, 44), (2, 44)]);
        let mut quotes = awaiting(&[(1, Mode::Quote), (2, Mode::Quote)]);
        assert_eq!(quotes.mark(&whole[..whole.len() - 1]), SnapshotMarks::Some(vec![0]));
        assert_eq!(quotes.silent().collect::<Vec<_>>(), [Token(2)]);
    }

    #[test]
    fn the_largest_count_has_an_index_for_every_packet() {
        let mut message = u16::MAX.to_be_bytes().to_vec();
        message.resize(2 + 2 * usize::from(u16::MAX) - 2, 0);
        message.extend([0, 4, 0, 0, 0, 1]);
        let last = SnapshotMarks::Some(vec![u16::MAX - 1]);
        assert_eq!(awaiting(&[(1, Mode::Ltp)]).mark(&message), last);
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic_and_marks_rise(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut awaiting = Awaiting::default();
            (0..256).for_each(|token| awaiting.expect(Token(token), Mode::Full));
            if let SnapshotMarks::Some(marks) = awaiting.mark(&bytes) {
                prop_assert!(marks.is_sorted());
            }
        }

        #[test]
        fn marks_agree_with_a_plain_first_seen_set(
            packets in prop::collection::vec((0_u32..40, prop::sample::select(vec![8_usize, 28, 32, 44, 184])), 0..80),
        ) {
            // in the layout of its own mode a token's first packet is its only snapshot
            let mode = |len| [Mode::Ltp, Mode::Quote, Mode::Full].into_iter().find(|mode| is_of_mode(len, *mode)).unwrap();
            let mut awaiting = Awaiting::default();
            let mut first = std::collections::HashMap::new();
            for (at, (token, len)) in packets.iter().enumerate() {
                if first.try_insert_first(*token, at) {
                    awaiting.expect(Token(*token), mode(*len));
                }
            }
            let marks = awaiting.mark(&message(&packets));
            prop_assert_eq!((awaiting.silent_count(), awaiting.is_empty()), (0, true));
            for (at, (token, _)) in packets.iter().enumerate() {
                prop_assert_eq!(marks.contains(at), first[token] == at);
            }
        }
    }

    trait FirstSeen {
        fn try_insert_first(&mut self, token: u32, at: usize) -> bool;
    }

    impl FirstSeen for std::collections::HashMap<u32, usize> {
        fn try_insert_first(&mut self, token: u32, at: usize) -> bool {
            let new = !self.contains_key(&token);
            self.entry(token).or_insert(at);
            new
        }
    }
}
