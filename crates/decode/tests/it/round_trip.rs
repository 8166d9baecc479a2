//! decode(encode(x)) == x, for every kind, segment and value.

use proptest::prelude::*;
use tickhouse_decode::{FrameBuilder, Item, PacketRef, decode, encode_packet, packet_count, tokens};
use tickhouse_model::{DEPTH_LEVELS, Level, Packet, PacketKind, Token};

fn any_level() -> impl Strategy<Value = Level> {
    any::<(i32, u32, u16)>().prop_map(|(price, quantity, orders)| Level { price, quantity, orders })
}

/// A packet with every field set, whatever its kind.
fn any_filled() -> impl Strategy<Value = Packet> {
    let side = || prop::collection::vec(any_level(), DEPTH_LEVELS);
    (any::<[u32; 11]>(), any::<[i32; 7]>(), side(), side()).prop_map(|(numbers, prices, bids, asks)| Packet {
        token: Token(numbers[0]),
        kind: PacketKind::Full,
        last_price: prices[0],
        last_traded_quantity: numbers[1],
        average_traded_price: prices[1],
        volume: numbers[2],
        total_buy_quantity: numbers[3],
        total_sell_quantity: numbers[4],
        open_price: prices[2],
        high_price: prices[3],
        low_price: prices[4],
        close_price: prices[5],
        net_change: prices[6],
        last_trade_time: numbers[5],
        open_interest: numbers[6],
        oi_day_high: numbers[7],
        oi_day_low: numbers[8],
        exchange_timestamp: numbers[9],
        bids: bids.try_into().unwrap(),
        asks: asks.try_into().unwrap(),
    })
}

/// The same packet with only the fields that its kind carries.
fn as_kind(packet: Packet, kind: PacketKind) -> Packet {
    let bare = Packet { last_price: packet.last_price, ..Packet::empty(packet.token, kind) };
    let prices = Packet {
        open_price: packet.open_price,
        high_price: packet.high_price,
        low_price: packet.low_price,
        close_price: packet.close_price,
        ..bare
    };
    match kind {
        PacketKind::Ltp => bare,
        PacketKind::IndexQuote => Packet { net_change: packet.net_change, ..prices },
        PacketKind::IndexFull => {
            Packet { net_change: packet.net_change, exchange_timestamp: packet.exchange_timestamp, ..prices }
        }
        PacketKind::Quote => Packet {
            last_traded_quantity: packet.last_traded_quantity,
            average_traded_price: packet.average_traded_price,
            volume: packet.volume,
            total_buy_quantity: packet.total_buy_quantity,
            total_sell_quantity: packet.total_sell_quantity,
            ..prices
        },
        PacketKind::Full => Packet { kind, net_change: 0, ..packet },
    }
}

pub(crate) fn any_packet() -> impl Strategy<Value = Packet> {
    (any_filled(), 0..PacketKind::ALL.len()).prop_map(|(packet, kind)| as_kind(packet, PacketKind::ALL[kind]))
}

fn message_of(packets: &[Packet]) -> Vec<u8> {
    let mut builder = FrameBuilder::default();
    packets.iter().for_each(|packet| builder.push(packet));
    builder.take()
}

proptest! {
    #[test]
    fn a_message_decodes_to_its_packets(packets in prop::collection::vec(any_packet(), 0..40)) {
        let message = message_of(&packets);
        let decoded: Vec<_> = decode(&message).map(|item| match item {
            Ok(Item::Packet { packet, .. }) => packet.to_packet(),
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(usize::from(packet_count(&message)), packets.len());
        let found: Vec<_> = tokens(&message).map(|(_, token)| token).collect();
        prop_assert_eq!(found, packets.iter().map(|packet| packet.token).collect::<Vec<_>>());
        prop_assert_eq!(decoded, packets);
    }

    /// Fields read and scaled in the loop, as in the hot path, against arithmetic that knows nothing of views: the nearest
    /// double of a decimal number is what Rust parses its digits to.
    #[test]
    fn prices_are_the_nearest_doubles(
        packets in prop::collection::vec(any_filled(), 1..40),
        segments in prop::collection::vec(prop::sample::select(vec![1_u8, 3, 6, 7, 12, 200]), 40),
    ) {
        let packets: Vec<_> = packets.into_iter().zip(segments)
            .map(|(packet, segment)| as_kind(Packet { token: Token::new(7, segment), ..packet }, PacketKind::Full))
            .collect();
        let message = message_of(&packets);
        let mut prices = vec![];
        decode(&message).for_each(|item| {
            let Ok(Item::Packet { packet: PacketRef::Full(full), .. }) = item else { panic!("{item:?}") };
            let scale = full.segment().scale();
            let levels = full.bids().into_iter().chain(full.asks()).map(|level| level.price);
            let raws = [full.last_price(), full.average_traded_price(), full.open_price()];
            let raws = raws.into_iter().chain([full.high_price(), full.low_price(), full.close_price()]);
            prices.extend(raws.chain(levels).map(|raw| scale.rupees(raw).to_bits()));
        });
        let expected: Vec<_> = packets.iter().flat_map(|packet| {
            let exponent = match packet.token.0 & 0xff { 3 => 7, 6 | 12 => 4, _ => 2 };
            let levels = packet.bids.iter().chain(&packet.asks).map(|level| level.price).collect::<Vec<_>>();
            [packet.last_price, packet.average_traded_price, packet.open_price, packet.high_price,
                packet.low_price, packet.close_price]
                .into_iter().chain(levels)
                .map(move |raw| format!("{raw}e-{exponent}").parse::<f64>().unwrap().to_bits())
        }).collect();
        prop_assert_eq!(prices, expected);
    }

    #[test]
    fn a_body_has_the_length_of_its_kind(packet in any_packet()) {
        let mut body = Vec::new();
        encode_packet(&packet, &mut body);
        prop_assert_eq!(body.len(), packet.kind.body_len());
    }
}

/// The byte table of the documents, by hand: an index in full mode on a falling day, with five distinct prices.
#[test]
fn index_fields_stand_in_the_order_high_low_open_close() {
    let numbers: [i32; 8] =
        [256_265, 2_400_005, 2_410_000, 2_390_000, 2_405_000, 2_408_000, -7_995, 1_763_609_400];
    let mut message = vec![0, 1, 0, 32];
    numbers.iter().for_each(|number| message.extend(number.to_be_bytes()));
    let Some(Ok(Item::Packet { packet, .. })) = decode(&message).next() else { panic!("no packet") };
    let packet = packet.to_packet();
    assert_eq!((packet.high_price, packet.low_price), (2_410_000, 2_390_000));
    assert_eq!((packet.open_price, packet.close_price), (2_405_000, 2_408_000));
    assert_eq!((packet.net_change, packet.exchange_timestamp), (-7_995, 1_763_609_400));
    assert_eq!((packet.kind, packet.last_price), (PacketKind::IndexFull, 2_400_005));
}

/// Offsets of the full packet, by hand: each 4-byte field holds its own offset.
#[test]
fn full_fields_stand_at_their_offsets() {
    let mut message = vec![0, 1, 0, 184];
    (0..46_u32).for_each(|word| message.extend((word * 4).to_be_bytes()));
    let Some(Ok(Item::Packet { packet, .. })) = decode(&message).next() else { panic!("no packet") };
    let packet = packet.to_packet();
    assert_eq!((packet.token.0, packet.last_price, packet.last_traded_quantity), (0, 4, 8));
    assert_eq!((packet.average_traded_price, packet.volume), (12, 16));
    assert_eq!((packet.total_buy_quantity, packet.total_sell_quantity), (20, 24));
    assert_eq!(
        (packet.open_price, packet.high_price, packet.low_price, packet.close_price),
        (28, 32, 36, 40)
    );
    assert_eq!((packet.last_trade_time, packet.open_interest), (44, 48));
    assert_eq!((packet.oi_day_high, packet.oi_day_low, packet.exchange_timestamp), (52, 56, 60));
    for (level, at) in packet.bids.iter().chain(&packet.asks).zip((64_u32..).step_by(12)) {
        assert_eq!(
            (level.quantity, level.price, level.orders),
            (at, at.cast_signed() + 4, 0),
            "level at {at}"
        );
    }
}
