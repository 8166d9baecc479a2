//! Names of the depth's fields, and of those that are computed here.

use tickhouse_model::DEPTH_LEVELS;

pub(super) struct LevelNames {
    pub(super) price: &'static str,
    pub(super) quantity: &'static str,
    pub(super) orders: &'static str,
}

macro_rules! levels {
    ($side:literal) => {
        [
            levels!($side, "1"),
            levels!($side, "2"),
            levels!($side, "3"),
            levels!($side, "4"),
            levels!($side, "5"),
        ]
    };
    ($side:literal, $level:literal) => {
        LevelNames {
            price: concat!($side, "_", $level, "_price"),
            quantity: concat!($side, "_", $level, "_quantity"),
            orders: concat!($side, "_", $level, "_orders"),
        }
    };
}

pub(super) const BIDS: [LevelNames; DEPTH_LEVELS] = levels!("bid");
pub(super) const ASKS: [LevelNames; DEPTH_LEVELS] = levels!("ask");

/// Columns of `tick_data` that an entry may carry and the loader computes.
pub(super) const COMPUTED: [&str; 4] = ["date", "hour", "batch_id", "processed_at"];
