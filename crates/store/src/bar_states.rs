//! The states that bars are made of, over other rows and slices than the view's.

use crate::migrate::section;

/// How long the slices are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarSlice {
    /// A minute: as `tick_data_1min_state` has them.
    Minute,
    /// A second.
    Second,
}

/// The SELECT that makes the states of `tick_data_1min_state` (migration 0007), for slices of a length. `rows` is what stands behind
/// FROM: `tick_data`, or a subquery in brackets over it with all of its columns; the program's own text, never a user's. The columns
/// are those of the table, with `minute` the slice's first second.
pub fn bar_states(rows: &str, slice: BarSlice) -> String {
    let states = section("bar states").replace("FROM tick_data\n", &format!("FROM {rows}\n"));
    match slice {
        BarSlice::Minute => states,
        BarSlice::Second => states.replace("toStartOfMinute(used)", "toDateTime(used)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_slices_are_replaced() {
        let text = bar_states("(SELECT 1)", BarSlice::Second);
        assert!(text.contains("FROM (SELECT 1)\n") && text.contains("toDateTime(used) AS minute"), "{text}");
        assert!(!text.contains("toStartOfMinute") && !text.contains("FROM tick_data"), "{text}");
        assert!(bar_states("tick_data", BarSlice::Minute).contains("toStartOfMinute(used) AS minute"));
    }
}
