//! Bytes that no exchange should send: an error with its offset, the good packets before it kept, never a panic.

use crate::round_trip::any_packet;
use proptest::prelude::*;
use tickhouse_decode::{FrameBuilder, FrameError, Item, decode, is_heartbeat, tokens};

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let items = decode(&bytes).count();
        prop_assert!(items <= usize::from(u16::MAX) + 1);
        prop_assert!(tokens(&bytes).count() <= items);
    }

    /// `for_each` is compiled apart from `next`.
    #[test]
    fn each_item_is_the_next_item(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(by_for_each(&bytes), decode(&bytes).collect::<Vec<_>>());
    }

    /// Cut anywhere: exactly the packets that are whole before the cut, then one error at the right offset.
    #[test]
    fn a_cut_message_keeps_what_is_whole(
        packets in prop::collection::vec(any_packet(), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut builder = FrameBuilder::default();
        let mut ends = vec![];
        for packet in &packets {
            builder.push(packet);
            ends.push(builder.len());
        }
        let mut message = builder.take();
        let cut = 2 + cut.index(message.len() - 2);
        message.truncate(cut);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let items: Vec<_> = decode(&message).collect();
        prop_assert_eq!(by_for_each(&message), items.clone());
        prop_assert_eq!(items.len(), whole + 1);
        for (item, packet) in items.iter().zip(&packets).take(whole) {
            let same = matches!(item, Ok(Item::Packet { packet: decoded, .. }) if decoded.to_packet() == *packet);
            prop_assert!(same);
        }
        let start = ends.get(whole.wrapping_sub(1)).copied().unwrap_or(2);
        let error = items[whole].unwrap_err();
        let truncated = matches!(error, FrameError::Truncated { .. });
        prop_assert!(truncated);
        prop_assert_eq!(error.offset(), start);
    }

    /// A body of unknown length is handed out whole, and the packets around it are decoded.
    #[test]
    fn an_unknown_length_does_not_stop_the_frame(
        before in any_packet(),
        body in prop::collection::vec(any::<u8>(), 0..400),
        after in any_packet(),
    ) {
        prop_assume!(![8, 28, 32, 44, 184].contains(&body.len()));
        let mut builder = FrameBuilder::default();
        builder.push(&before);
        builder.push_raw(&body);
        builder.push(&after);
        let message = builder.take();
        let items: Vec<_> = decode(&message).collect();
        prop_assert_eq!(items.len(), 3);
        let unknown_at = 2 + 2 + before.kind.body_len() + 2;
        let first = matches!(&items[0], Ok(Item::Packet { index: 0, packet }) if packet.to_packet() == before);
        let second = matches!(&items[1],
            Ok(Item::Unknown { index: 1, offset, body: found }) if *offset == unknown_at && *found == body.as_slice());
        let third = matches!(&items[2], Ok(Item::Packet { index: 2, packet }) if packet.to_packet() == after);
        prop_assert!(first && second && third);
    }

    #[test]
    fn an_overstated_count_is_an_error_after_the_good_packets(packet in any_packet(), extra in 1..1_000_u16) {
        let mut builder = FrameBuilder::default();
        builder.push(&packet);
        let mut message = builder.take();
        message[..2].copy_from_slice(&(1 + extra).to_be_bytes());
        let items: Vec<_> = decode(&message).collect();
        prop_assert_eq!(items.len(), 2);
        prop_assert!(items[0].is_ok() && items[1].is_err());
    }
}

fn by_for_each(message: &[u8]) -> Vec<Result<Item<'_>, FrameError>> {
    let mut items = vec![];
    decode(message).for_each(|item| items.push(item));
    items
}

#[test]
fn bytes_after_the_last_packet_are_reported() {
    let items: Vec<_> = decode(&[0, 0, 7, 7, 7]).collect();
    assert_eq!(items, [Err(FrameError::Trailing { offset: 2, len: 3 })]);
}

#[test]
fn a_heartbeat_is_no_container() {
    for message in [&[][..], &[0], &[255]] {
        assert!(is_heartbeat(message));
        assert_eq!(decode(message).count(), 0);
    }
    assert!(!is_heartbeat(&[0, 0]));
}

/// The 164-byte full packet of Kite's first versions is in old forum dumps: unknown, not misread.
#[test]
fn the_obsolete_full_packet_is_unknown() {
    let mut builder = FrameBuilder::default();
    builder.push_raw(&[0; 164]);
    assert!(
        matches!(decode(&builder.take()).next(), Some(Ok(Item::Unknown { body, .. })) if body.len() == 164)
    );
}
