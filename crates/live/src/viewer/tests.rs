//! Against a plain list of everything that ever came.

use super::*;
use crate::TICKS_KEPT;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tickhouse_model::{Packet, PacketKind, Timestamp, Token};

const TOKENS: u32 = 12;

#[derive(Clone, Debug)]
enum Step {
    /// So many ticks of this instrument, received so many milliseconds after the one before (or before it).
    Ticks(u32, usize, i64),
    /// A viewer looks.
    Look(usize),
    Watch(usize, Vec<u32>),
    Focus(usize, Option<u32>),
    Hole,
}

fn step() -> impl Strategy<Value = Step> {
    let token = 0..TOKENS;
    prop_oneof![
        6 => (token.clone(), prop_oneof![4 => 1..4_usize, 1 => 500..700_usize], -2..5_i64)
            .prop_map(|(token, count, later)| Step::Ticks(token, count, later)),
        4 => (0..3_usize).prop_map(Step::Look),
        1 => (0..3_usize, prop::collection::vec(0..TOKENS + 2, 0..8)).prop_map(|(who, all)| Step::Watch(who, all)),
        1 => (0..3_usize, prop::option::of(token)).prop_map(|(who, which)| Step::Focus(who, which)),
        1 => Just(Step::Hole),
    ]
}

fn packet(token: u32, number: i32) -> Packet {
    let mut packet = Packet::empty(Token(token), PacketKind::Quote);
    (packet.last_price, packet.volume) = (number, number as u32);
    packet
}

/// What a viewer must know, told by other means.
#[derive(Default)]
struct Knows {
    watched: BTreeSet<u32>,
    /// The last quote of each that it was given.
    given: BTreeMap<u32, Quote>,
    focus: Option<u32>,
    /// Ticks of the focused one since it focused, given or told as skipped.
    owed: u64,
    accounted: u64,
    holes: u64,
    last_tick: u64,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_last_look_is_the_newest_state_and_no_tick_is_lost_uncounted(steps in prop::collection::vec(step(), 1..80)) {
        let market = Arc::new(Market::default());
        let mut viewers: Vec<Viewer> = (0..3).map(|_| Viewer::new(Arc::clone(&market))).collect();
        let mut knows: Vec<Knows> = (0..3).map(|_| Knows::default()).collect();
        let mut newest: BTreeMap<u32, (i64, i32)> = BTreeMap::new();
        let (mut now, mut number, mut found) = (1_000_i64, 0_i32, Look::default());
        let looks = (0..3).map(Step::Look);
        for step in steps.into_iter().chain(looks) {
            match step {
                Step::Ticks(token, count, later) => {
                    now += later;
                    let first = number + 1;
                    number += count as i32;
                    market.take(Timestamp::from_millis(now), (first..=number).map(|number| (packet(token, number), false)));
                    let at = newest.entry(token).or_insert((now, 0));
                    if now >= at.0 {
                        *at = (now, number);
                    }
                    for knows in knows.iter_mut().filter(|knows| knows.focus == Some(token)) {
                        knows.owed += count as u64;
                    }
                }
                Step::Hole => {
                    market.note_hole();
                    knows.iter_mut().filter(|knows| knows.focus.is_some()).for_each(|knows| knows.holes += 1);
                }
                Step::Watch(who, tokens) => {
                    viewers[who].watch(&tokens);
                    knows[who].watched = tokens.into_iter().collect();
                    knows[who].given.clear();
                }
                Step::Focus(who, token) => {
                    viewers[who].focus(token);
                    let Knows { watched, given, .. } = std::mem::take(&mut knows[who]);
                    knows[who] = Knows { watched, given, focus: token, ..Knows::default() };
                }
                Step::Look(who) => {
                    viewers[who].look(&mut found);
                    let knows = &mut knows[who];
                    for quote in &found.quotes {
                        prop_assert!(knows.watched.contains(&quote.instrument_token));
                        let before = knows.given.insert(quote.instrument_token, *quote);
                        prop_assert!(before.is_none_or(|before| before.timestamp <= quote.timestamp && before != *quote));
                    }
                    let expected: BTreeMap<u32, (i64, i32)> =
                        newest.iter().filter(|(token, _)| knows.watched.contains(token)).map(|(token, at)| (*token, *at)).collect();
                    let given: BTreeMap<u32, (i64, i32)> = knows.given.iter()
                        .map(|(token, quote)| (*token, (quote.timestamp.as_millis(), quote.volume as i32)))
                        .collect();
                    prop_assert_eq!(given, expected);
                    prop_assert!(found.ticks.len() <= TICKS_KEPT);
                    knows.accounted += found.ticks.len() as u64 + found.skipped;
                    prop_assert_eq!(knows.accounted, knows.owed + knows.holes);
                    for tick in &found.ticks {
                        prop_assert!(tick.volume > knows.last_tick, "in order, once");
                        knows.last_tick = tick.volume;
                    }
                }
            }
        }
        prop_assert!(market.read().focused.len() <= 3);
        drop(viewers);
        prop_assert!(market.read().focused.is_empty() && market.counts().viewers == 0, "nothing is left of them");
    }
}
