//! The container: walking it, and making one.

use crate::body::encode_packet;
use crate::fold::fold;
use crate::view::PacketRef;
use tickhouse_model::{Packet, PacketKind, Token};

/// Whether a binary message is a heartbeat: Kite sends one byte, of undocumented value, when there is nothing else.
#[inline]
pub const fn is_heartbeat(message: &[u8]) -> bool {
    message.len() < 2
}

/// Packets that the message says it has; 0 for a heartbeat. A truncated message may hold fewer.
#[inline]
pub fn packet_count(message: &[u8]) -> u16 {
    message.first_chunk().map_or(0, |count| u16::from_be_bytes(*count))
}

/// What stands at one place of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A packet of a known length.
    Packet {
        /// Its place in the message, from 0.
        index: u16,
        /// Its bytes, to be read from.
        packet: PacketRef<'a>,
    },
    /// A body whose length Kite does not document. The rest of the message goes on.
    Unknown {
        /// Its place in the message, from 0.
        index: u16,
        /// Where its body begins in the message.
        offset: usize,
        /// The body.
        body: &'a [u8],
    },
}

/// Why a message is no whole container. Packets before the fault are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The message ends inside a packet.
    #[error("message ends at byte {len}: packet {index} at offset {offset} needs {needed} bytes", len = offset + left)]
    Truncated {
        /// Which packet, from 0.
        index: u16,
        /// Where its length (or its body) begins.
        offset: usize,
        /// Bytes it needs from there.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// Bytes follow the last packet.
    #[error("{len} bytes follow the last packet at offset {offset}")]
    Trailing {
        /// Where they begin.
        offset: usize,
        /// How many.
        len: usize,
    },
}

impl FrameError {
    /// Offset in the message at which the fault was seen.
    pub const fn offset(&self) -> usize {
        match self {
            Self::Truncated { offset, .. } | Self::Trailing { offset, .. } => *offset,
        }
    }
}

/// Decodes a binary message: its packets stay where they are, to be read from. A heartbeat gives no items.
/// After an error the iterator ends.
#[inline]
pub fn decode(message: &[u8]) -> Packets<'_> {
    Packets { bodies: Bodies::new(message) }
}

/// Iterator over the items of a message; see [`decode`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    bodies: Bodies<'a>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Item<'a>, FrameError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.bodies.next().map(item)
    }

    /// What `for_each` runs on, and faster than a `for` loop when much is read from each packet.
    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, each: F) -> B {
        fold(self.bodies.map(item), init, each)
    }
}

#[inline]
fn item(found: Result<Body<'_>, FrameError>) -> Result<Item<'_>, FrameError> {
    let (index, offset, body) = found?;
    Ok(match PacketRef::new(body) {
        Some(packet) => Item::Packet { index, packet },
        None => Item::Unknown { index, offset, body },
    })
}

/// The tokens of a message with their places, without decoding anything else; stops silently at a fault. Bodies of
/// fewer than four bytes have no token and are passed over.
pub fn tokens(message: &[u8]) -> Tokens<'_> {
    Tokens { bodies: Bodies::new(message) }
}

/// Iterator over the tokens of a message; see [`tokens`].
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    bodies: Bodies<'a>,
}

impl Iterator for Tokens<'_> {
    type Item = (u16, Token);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (index, _, body) = self.bodies.next()?.ok()?;
            if let Some(token) = body.first_chunk() {
                return Some((index, Token(u32::from_be_bytes(*token))));
            }
        }
    }
}

/// Index, offset of the body, body.
type Body<'a> = (u16, usize, &'a [u8]);

/// Walks the lengths: index, offset and bytes of each body.
#[derive(Clone, Debug)]
struct Bodies<'a> {
    /// What follows the last body; empty after an error.
    rest: &'a [u8],
    /// Length of the whole message.
    len: usize,
    index: u16,
    count: u16,
}

impl<'a> Bodies<'a> {
    #[inline]
    fn new(message: &'a [u8]) -> Self {
        let rest = message.get(2..).unwrap_or_default();
        Self { rest, len: message.len(), index: 0, count: packet_count(message) }
    }

    /// Where `rest` begins in the message.
    #[inline]
    fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    /// Gives the error; nothing follows it.
    #[cold]
    fn truncated(&mut self, needed: usize) -> FrameError {
        let (index, offset, left) = (self.index, self.offset(), self.rest.len());
        (self.rest, self.count) = (&[], index);
        FrameError::Truncated { index, offset, needed, left }
    }

    #[cold]
    fn finish(&mut self) -> Option<Result<Body<'a>, FrameError>> {
        let (offset, len) = (self.offset(), self.rest.len());
        self.rest = &[];
        (len > 0).then_some(Err(FrameError::Trailing { offset, len }))
    }
}

impl<'a> Iterator for Bodies<'a> {
    type Item = Result<Body<'a>, FrameError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.count {
            return self.finish();
        }
        let Some((len, rest)) = self.rest.split_first_chunk() else {
            return Some(Err(self.truncated(2)));
        };
        let len = usize::from(u16::from_be_bytes(*len));
        let Some((body, rest)) = rest.split_at_checked(len) else {
            return Some(Err(self.truncated(2 + len)));
        };
        let found = (self.index, self.offset() + 2, body);
        self.rest = rest;
        self.index += 1;
        Some(Ok(found))
    }
}

/// Makes messages: what a server sends.
#[derive(Clone, Debug)]
pub struct FrameBuilder {
    bytes: Vec<u8>,
    count: u16,
}

impl Default for FrameBuilder {
    fn default() -> Self {
        Self { bytes: vec![0, 0], count: 0 }
    }
}

impl FrameBuilder {
    /// Adds a packet.
    ///
    /// # Panics
    /// When the message already has 65 535 packets; see [`FrameBuilder::is_full`].
    pub fn push(&mut self, packet: &Packet) {
        self.begin(packet.kind.body_len());
        encode_packet(packet, &mut self.bytes);
    }

    /// Adds a body of any bytes, as a faulty exchange would. At most 65 535 bytes.
    ///
    /// # Panics
    /// When the body is longer, or the message is full.
    pub fn push_raw(&mut self, body: &[u8]) {
        self.begin(body.len());
        self.bytes.extend_from_slice(body);
    }

    fn begin(&mut self, body_len: usize) {
        let len = u16::try_from(body_len).expect("a body has at most 65 535 bytes");
        self.count = self.count.checked_add(1).expect("a message has at most 65 535 packets");
        self.bytes[..2].copy_from_slice(&self.count.to_be_bytes());
        self.bytes.extend_from_slice(&len.to_be_bytes());
    }

    /// Packets so far.
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Whether another packet would not fit the count.
    pub const fn is_full(&self) -> bool {
        self.count == u16::MAX
    }

    /// Bytes so far, the count included.
    #[expect(clippy::len_without_is_empty, reason = "it always holds its count")]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The message; the builder begins a new one.
    pub fn take(&mut self) -> Vec<u8> {
        let capacity = self.bytes.len();
        self.count = 0;
        let mut next = Vec::with_capacity(capacity);
        next.extend_from_slice(&[0, 0]);
        std::mem::replace(&mut self.bytes, next)
    }
}

/// Every kind has its own length, so a packet made by [`FrameBuilder::push`] decodes as the same kind.
const _: () = {
    let mut at = 0;
    while at < PacketKind::ALL.len() {
        assert!(PacketKind::of_len(PacketKind::ALL[at].body_len()).is_some());
        at += 1;
    }
};
