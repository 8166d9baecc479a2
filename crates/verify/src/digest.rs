//! One number for a row, computed alike here and by ClickHouse, so that sums of it can be compared instead of rows.
//!
//! A row's values are unsigned 64-bit words (a double is its bits); each is multiplied by an odd constant of its column, the products are
//! added, and the sum is mixed as ClickHouse's `intHash64` does. Everything wraps at 64 bits. Sums of such digests do not depend on an order, and
//! a row that is missing, double or altered changes them but for a chance of 2⁻⁶⁴.

use tickhouse_model::{DEPTH_LEVELS, PacketKind, Record, RecordKind, Timestamp};
use tickhouse_store::{Tick, TickLevel};

/// A row's values as words.
pub(crate) struct Words<const N: usize>(pub(crate) [u64; N]);

impl<const N: usize> Words<N> {
    /// The row's digest.
    #[inline]
    pub(crate) fn digest(&self) -> u64 {
        let products = self.0.iter().enumerate().map(|(place, word)| word.wrapping_mul(multiplier(place)));
        mixed(products.fold(0, u64::wrapping_add))
    }
}

/// The same as an expression over columns.
fn expression(words: &[String]) -> String {
    let products = words.iter().enumerate().map(|(place, word)| format!("{word} * {}", multiplier(place)));
    format!("intHash64({})", products.collect::<Vec<_>>().join(" + "))
}

/// The odd constant of a place: `SplitMix64`, so that no two places are related.
#[inline]
const fn multiplier(place: usize) -> u64 {
    let mut word = (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word ^ (word >> 31)) | 1
}

/// `intHash64` of ClickHouse.
#[inline]
const fn mixed(word: u64) -> u64 {
    let mut word = word ^ 0x4cf2_d2ba_ae6d_a887;
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

/// Words of an identity: `(sequence, packet index)` within a session and socket.
pub(crate) fn place_digest(sequence: u64, packet_index: u16) -> u64 {
    Words([sequence, packet_index.into()]).digest()
}

/// [`place_digest`] over the columns of a packet's row.
pub(crate) fn place_expression(packet_index: &str) -> String {
    expression(&["sequence".to_owned(), format!("toUInt64({packet_index})")])
}

/// Words of a row of `tick_data`: everything that Kite sent, the receive time and the identity. Not what was added to it (names, session
/// phase), which a later master may mend.
const TICK_WORDS: usize = HEAD_WORDS + 2 * 3 * DEPTH_LEVELS;
const HEAD_WORDS: usize = 24;

/// The digest of a tick's row.
#[inline]
pub(crate) fn tick_digest(tick: &Tick<'_>) -> u64 {
    let frame = tick.identity.frame;
    let head: [u64; HEAD_WORDS] = [
        frame.session,
        frame.socket.into(),
        frame.sequence,
        tick.identity.packet_index.into(),
        tick.token.0.into(),
        millis(tick.timestamp),
        millis(tick.exchange_timestamp),
        tick.last_price.to_bits(),
        tick.open_price.to_bits(),
        tick.high_price.to_bits(),
        tick.low_price.to_bits(),
        tick.close_price.to_bits(),
        tick.average_traded_price.to_bits(),
        tick.net_change.to_bits(),
        tick.volume,
        tick.last_traded_quantity.into(),
        tick.total_buy_quantity,
        tick.total_sell_quantity,
        tick.open_interest,
        tick.oi_day_high,
        tick.oi_day_low,
        packet_type(tick.packet_type),
        seconds(tick.last_trade_time),
        tick.snapshot.into(),
    ];
    let mut words = [0; TICK_WORDS];
    words[..HEAD_WORDS].copy_from_slice(&head);
    let levels = tick.bids.iter().chain(&tick.asks);
    for (words, level) in words[HEAD_WORDS..].chunks_exact_mut(3).zip(levels) {
        let TickLevel { price, quantity, orders } = *level;
        words.copy_from_slice(&[price.to_bits(), quantity.into(), orders.into()]);
    }
    Words(words).digest()
}

/// [`tick_digest`] over the columns of `tick_data`.
pub(crate) fn tick_expression() -> String {
    let word = |column: &str| format!("toUInt64({column})");
    let bits = |column: &str| format!("reinterpretAsUInt64({column})");
    let kinds: Vec<String> = PacketKind::ALL.iter().map(|kind| format!("'{}'", kind.name())).collect();
    let mut words = vec![word("session"), word("socket"), word("sequence"), word("packet_index")];
    words.push(word("instrument_token"));
    words.extend(
        ["timestamp", "exchange_timestamp"].map(|column| word(&format!("toUnixTimestamp64Milli({column})"))),
    );
    words.extend(
        [
            "last_price",
            "open_price",
            "high_price",
            "low_price",
            "close_price",
            "average_traded_price",
            "net_change",
        ]
        .map(bits),
    );
    words.extend(
        [
            "volume",
            "last_traded_quantity",
            "total_buy_quantity",
            "total_sell_quantity",
            "open_interest",
            "oi_day_high",
            "oi_day_low",
        ]
        .map(word),
    );
    words.push(word(&format!("indexOf([{}], packet_type)", kinds.join(", "))));
    words.push(word("toUnixTimestamp(last_trade_time)"));
    words.push(word("snapshot"));
    for side in ["bid", "ask"] {
        for level in 1..=DEPTH_LEVELS {
            words.push(bits(&format!("{side}_{level}_price")));
            words.push(word(&format!("{side}_{level}_quantity")));
            words.push(word(&format!("{side}_{level}_orders")));
        }
    }
    expression(&words)
}

/// What became of a record's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) ticks: u16,
    pub(crate) quarantined: u16,
}

/// The digest of a record's row in `frames`.
pub(crate) fn frame_digest(record: &Record, outcome: Outcome, checksum: u32) -> u64 {
    Words([
        record.id.session,
        record.id.socket.into(),
        record.id.sequence,
        micros(record.received_at),
        kind(record.kind),
        outcome.ticks.into(),
        outcome.quarantined.into(),
        record.payload.len() as u64,
        checksum.into(),
    ])
    .digest()
}

/// [`frame_digest`] over the columns of `frames`.
pub(crate) fn frame_expression() -> String {
    let kinds: Vec<String> = RecordKind::ALL.iter().map(|kind| format!("'{}'", kind.name())).collect();
    let words = [
        "session".to_owned(),
        "socket".to_owned(),
        "sequence".to_owned(),
        "toUnixTimestamp64Micro(received_at)".to_owned(),
        format!("indexOf([{}], kind)", kinds.join(", ")),
        "ticks".to_owned(),
        "quarantined".to_owned(),
        "bytes".to_owned(),
        "checksum".to_owned(),
    ];
    expression(&words.map(|word| format!("toUInt64({word})")))
}

fn kind(kind: RecordKind) -> u64 {
    RecordKind::ALL.iter().position(|other| *other == kind).map_or(0, |place| place as u64 + 1)
}

#[inline]
fn packet_type(name: &str) -> u64 {
    PacketKind::ALL.iter().position(|kind| kind.name() == name).map_or(0, |place| place as u64 + 1)
}

#[inline]
fn millis(at: Timestamp) -> u64 {
    at.as_millis() as u64
}

fn micros(at: Timestamp) -> u64 {
    at.as_nanos().div_euclid(1_000) as u64
}

#[inline]
fn seconds(at: Timestamp) -> u64 {
    at.as_seconds() as u64
}
