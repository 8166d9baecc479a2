//! Several lanes of ticks into one, by time.

use crate::FollowedTick;

/// Merges by the time of receipt; the order within a lane stays, whatever its times are.
pub(crate) fn by_time(mut lanes: Vec<Vec<FollowedTick>>) -> Vec<FollowedTick> {
    lanes.retain(|lane| !lane.is_empty());
    if lanes.len() < 2 {
        return lanes.pop().unwrap_or_default();
    }
    let mut merged = Vec::with_capacity(lanes.iter().map(Vec::len).sum());
    let mut lanes: Vec<_> = lanes.into_iter().map(|lane| lane.into_iter().peekable()).collect();
    loop {
        // a handful of lanes: a heap would not pay
        let heads = lanes.iter_mut().enumerate().filter_map(|(at, lane)| Some((lane.peek()?.timestamp, at)));
        let Some((_, earliest)) = heads.min() else { return merged };
        merged.extend(lanes[earliest].next());
    }
}
