//! How many elements are read at once: Redis counts elements, memory counts bytes.

/// Elements of a piece, at most.
const PIECE: u64 = 1_000;
/// Bytes of a piece, as far as those before it tell.
const PIECE_BYTES: u64 = 4 << 20;
/// Elements of a key's first piece, which tells how large they are.
pub(crate) const FIRST: u64 = 16;
/// What an element is taken to have before one was seen, and at least.
const UNSEEN_BYTES: u64 = 4_096;
const LEAST_BYTES: u64 = 64;

/// How large elements were lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    element_bytes: u64,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self { element_bytes: UNSEEN_BYTES }
    }

    /// Elements of the next piece of a key.
    pub(crate) fn count(self, first: bool) -> u64 {
        (PIECE_BYTES / self.element_bytes).clamp(1, if first { FIRST } else { PIECE })
    }

    /// Bytes that so many elements will have.
    pub(crate) const fn bytes(self, elements: u64) -> u64 {
        elements.saturating_mul(self.element_bytes)
    }

    /// Learns from what was read. Large ones are forgotten slowly, because keys of all kinds are read in turn.
    pub(crate) fn note(&mut self, elements: u64, bytes: u64) {
        if let Some(each) = bytes.checked_div(elements) {
            self.element_bytes = each.max(self.element_bytes / 2).max(LEAST_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_elements_are_read_in_small_pieces() {
        let mut pace = Pace::new();
        assert_eq!((pace.count(true), pace.count(false)), (16, 1_000));
        pace.note(16, 16 << 20);
        assert_eq!((pace.count(true), pace.count(false), pace.bytes(256)), (4, 4, 256 << 20));
        // larger than a piece may be: one by one
        pace.note(4, 400 << 20);
        assert_eq!(pace.count(false), 1);
        pace.note(0, 0);
        assert_eq!(pace.count(false), 1);
        for _ in 0..20 {
            pace.note(1_000, 200_000);
        }
        assert_eq!((pace.count(true), pace.count(false)), (16, 1_000));
    }
}
