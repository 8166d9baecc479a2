use super::*;
use jiff::civil::date;
use proptest::prelude::*;
use tickhouse_decode::decode_body;
use tickhouse_model::PacketKind;

const NOON: i64 = 1_795_156_200_000; // 2026-11-20T12:00:00+05:30

fn market(seed: u64, count: usize) -> Market {
    let universe = Arc::new(Universe::generate(seed, count, date(2026, 11, 20)));
    Market::new(universe, seed, Timestamp::from_millis(NOON))
}

/// What must hold for every packet by itself.
fn check_alone(packet: &Packet, tick: i32) {
    let on_grid = |price: i32| price % tick == 0 && price >= 0;
    let Packet { last_price, open_price, high_price, low_price, close_price, .. } = *packet;
    for price in [last_price, open_price, high_price, low_price, close_price] {
        assert!(on_grid(price), "{packet:?}");
    }
    assert!(last_price > 0 && close_price > 0, "{packet:?}");
    if open_price == 0 {
        assert_eq!((high_price, low_price, packet.volume), (0, 0, 0), "{packet:?}");
    } else {
        assert!((low_price..=high_price).contains(&last_price), "{packet:?}");
        assert!((low_price..=high_price).contains(&open_price), "{packet:?}");
    }
    if packet.kind == PacketKind::IndexFull {
        assert_eq!(packet.net_change, last_price - close_price);
        return;
    }
    assert_eq!(packet.volume == 0, packet.average_traded_price == 0, "{packet:?}");
    if packet.volume > 0 {
        assert!((low_price..=high_price).contains(&packet.average_traded_price), "{packet:?}");
        assert!(
            packet.last_traded_quantity > 0 && packet.last_traded_quantity <= packet.volume,
            "{packet:?}"
        );
    }
    assert!(packet.oi_day_low <= packet.open_interest && packet.open_interest <= packet.oi_day_high);
    check_depth(packet, tick);
}

fn check_depth(packet: &Packet, tick: i32) {
    for level in packet.bids.iter().chain(&packet.asks) {
        assert_eq!(level.price == 0, level.quantity == 0, "{packet:?}");
        assert_eq!(level.price == 0, level.orders == 0, "{packet:?}");
        assert!(level.price % tick == 0 && level.price >= 0, "{packet:?}");
    }
    let falling = |pair: &[tickhouse_model::Level]| pair[0].price > pair[1].price || pair[1].price == 0;
    assert!(packet.bids.windows(2).all(falling), "{packet:?}");
    assert!(packet.asks.windows(2).all(|pair| pair[0].price < pair[1].price), "{packet:?}");
    assert!(packet.asks[0].price > packet.bids[0].price, "{packet:?}");
    let sum =
        |levels: &[tickhouse_model::Level]| levels.iter().map(|level| u64::from(level.quantity)).sum::<u64>();
    assert!(u64::from(packet.total_buy_quantity) >= sum(&packet.bids), "{packet:?}");
    assert!(u64::from(packet.total_sell_quantity) >= sum(&packet.asks), "{packet:?}");
}

/// What must hold between two packets of one instrument on one day.
fn check_pair(before: &Packet, after: &Packet) {
    assert_eq!(before.close_price, after.close_price);
    if before.open_price > 0 {
        assert_eq!(before.open_price, after.open_price);
        assert!(after.high_price >= before.high_price && after.low_price <= before.low_price);
    }
    assert!(after.volume >= before.volume && after.exchange_timestamp >= before.exchange_timestamp);
    assert!(after.last_trade_time >= before.last_trade_time);
    if before.last_price != after.last_price && !after.kind.is_index() {
        assert!(after.volume > before.volume, "a price without a trade: {after:?}");
        assert_eq!(after.last_trade_time, after.exchange_timestamp);
    }
}

/// Runs a market and checks every packet; gives the bytes of everything it sent.
fn run(market: &mut Market, from: i64, steps: usize, per_step: usize) -> Vec<u8> {
    let universe = Arc::clone(&market.universe);
    let now = Timestamp::from_millis(from);
    let mut last: Vec<Packet> =
        (0..universe.listings().len() as u32).map(|index| *market.last_value(index, now)).collect();
    let mut bytes = Vec::new();
    for step in 0..steps {
        let mut batch = Batch::default();
        market.step(Timestamp::from_millis(from + step as i64 * 20), per_step, &ALL_OPEN, &mut batch);
        for update in &batch.updates {
            let packet = decode_body(batch.body(update)).unwrap();
            let listing = &universe.listings()[update.index as usize];
            assert_eq!(packet.token, listing.token);
            check_alone(&packet, listing.tick);
            let before = &mut last[update.index as usize];
            check_pair(before, &packet);
            assert_eq!(update.changes.last_price, before.last_price != packet.last_price);
            assert_eq!(update.changes.quote, quote_of(before) != quote_of(&packet), "{before:?}\n{packet:?}");
            *before = packet;
        }
        bytes.extend_from_slice(&batch.bytes);
    }
    bytes
}

fn quote_of(packet: &Packet) -> Vec<u8> {
    let mut body = Vec::new();
    encode_packet(packet, &mut body);
    body.truncate(if packet.kind.is_index() { 28 } else { 44 });
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_packet_is_one_that_a_market_could_make(seed: u64, count in 1_usize..3_000) {
        run(&mut market(seed, count), NOON, 40, 400);
    }

    #[test]
    fn the_same_seed_and_steps_give_the_same_bytes(seed: u64) {
        let twice = [(); 2].map(|()| run(&mut market(seed, 300), NOON, 10, 200));
        prop_assert_eq!(&twice[0], &twice[1]);
        prop_assert_ne!(&twice[0], &run(&mut market(seed ^ 1, 300), NOON, 10, 200));
    }
}

#[test]
fn a_long_day_stays_in_bounds() {
    let mut market = market(3, 200);
    run(&mut market, NOON, 500, 2_000);
    for instrument in &market.instruments {
        let packet = instrument.packet();
        let away = f64::from(packet.last_price - packet.close_price) / f64::from(packet.close_price);
        let walks = matches!(instrument.pricing(), Pricing::Walk);
        assert!(!walks || away.abs() < instrument::CIRCUIT * 1.1, "{packet:?}");
    }
}

#[test]
fn midnight_begins_a_new_day() {
    let mut market = market(5, 300);
    run(&mut market, NOON, 100, 500);
    let evening = *market.last_value(30, Timestamp::from_millis(NOON));
    assert!(evening.volume > 0);
    let next = Timestamp::from_millis(NOON + 86_400_000);
    let morning = *market.last_value(30, next);
    assert_eq!((morning.volume, morning.average_traded_price, morning.open_price), (0, 0, 0));
    assert_eq!(morning.close_price, evening.last_price);
    assert_eq!(morning.last_price, evening.last_price);
    run(&mut market, next.as_millis(), 100, 500);
    assert!(market.last_value(30, next).open_price > 0);
}

#[test]
fn activity_has_a_heavy_tail_and_depth_changes_little() {
    let mut market = market(11, 1_000);
    let mut batch = Batch::default();
    let mut last: Vec<Packet> =
        (0..1_000).map(|index| *market.last_value(index, Timestamp::from_millis(NOON))).collect();
    market.step(Timestamp::from_millis(NOON), 200_000, &ALL_OPEN, &mut batch);
    let (mut counts, mut same_price, mut levels, mut tradable) = (vec![0_usize; 1_000], 0, 0, 0);
    for update in &batch.updates {
        counts[update.index as usize] += 1;
        let packet = decode_body(batch.body(update)).unwrap();
        let before = std::mem::replace(&mut last[update.index as usize], packet);
        if !packet.kind.is_index() {
            tradable += 1;
            same_price += usize::from(!update.changes.last_price);
            let both = |packet: &Packet| [packet.bids, packet.asks].concat();
            levels +=
                both(&before).iter().zip(both(&packet)).filter(|(before, after)| *before != after).count();
        }
    }
    counts.sort_unstable();
    let top: usize = counts.iter().rev().take(100).sum();
    assert!(top > 100_000, "the busiest tenth makes only {top} of 200,000 updates");
    assert!(same_price * 100 > tradable * 60, "{same_price} of {tradable} kept their price");
    assert!(levels < tradable * 2, "{levels} changed levels in {tradable} updates");
}

#[test]
fn a_closed_segment_is_silent() {
    let mut market = market(2, 500);
    let mut open = [false; 16];
    open[slot(Segment::MCX)] = true;
    let mut batch = Batch::default();
    market.step(Timestamp::from_millis(NOON), 1_000, &open, &mut batch);
    assert!(batch.updates.len() > 500);
    let universe = &market.universe;
    let segment = |update: &Update| universe.listings()[update.index as usize].token.segment();
    assert!(batch.updates.iter().all(|update| segment(update) == Segment::MCX));
    market.step(Timestamp::from_millis(NOON), 1_000, &[false; 16], &mut Batch::default());
}
