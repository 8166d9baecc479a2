//! Kite's documented request rates: quote 1 a second, historical 3, everything else 10, per `api_key`.

use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(1);

/// When each key made its latest requests, by family.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<FxHashMap<(String, &'static str), VecDeque<Instant>>>);

impl Limits {
    /// Whether a request may pass now; one that may not is not counted.
    pub(super) fn admit(&self, api_key: &str, path: &str) -> bool {
        let (family, most) = match path {
            path if path.starts_with("/quote") => ("quote", 1),
            path if path.starts_with("/instruments/historical") => ("historical", 3),
            _ => ("other", 10),
        };
        let now = Instant::now();
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = requests.entry((api_key.to_owned(), family)).or_default();
        while recent.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            recent.pop_front();
        }
        let admitted = recent.len() < most;
        if admitted {
            recent.push_back(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_keys_count_apart() {
        let limits = Limits::default();
        assert!(limits.admit("a", "/quote") && !limits.admit("a", "/quote/ltp"));
        assert!(limits.admit("b", "/quote/ohlc"));
        let historical = (0..5).filter(|_| limits.admit("a", "/instruments/historical/1/day")).count();
        let others = (0..20).filter(|_| limits.admit("a", "/user/profile")).count();
        assert_eq!((historical, others), (3, 10));
    }
}
