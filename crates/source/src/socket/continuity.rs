//! Whether data flows without a hole. Pure: times come from outside.

use tickhouse_model::{Gap, GapCause, Timestamp};

/// Remembers the last data frame and an open hole after it.
#[derive(Debug)]
pub(crate) struct Continuity {
    begun_at: Timestamp,
    last_data_at: Timestamp,
    hole: Option<Hole>,
}

#[derive(Debug)]
struct Hole {
    from: Timestamp,
    cause: GapCause,
    detail: String,
    /// What went wrong after that, while the hole was open.
    later: u32,
    latest: String,
}

impl Continuity {
    /// A socket that begins now. `previous` is the last data frame of the process before, if there was one: what lies
    /// between is a hole, too.
    pub(crate) fn new(begun_at: Timestamp, previous: Timestamp) -> Self {
        let hole = previous.is_some().then(|| Hole {
            from: previous,
            cause: GapCause::RecorderDown,
            detail: "the recorder was not running".to_owned(),
            later: 0,
            latest: String::new(),
        });
        Self { begun_at, last_data_at: Timestamp::NONE, hole }
    }

    /// Receive time of this process's last data frame on the socket.
    pub(crate) fn last_data_at(&self) -> Timestamp {
        self.last_data_at
    }

    /// The connection ended, or an attempt failed. The first cause names the hole.
    pub(crate) fn broke(&mut self, cause: GapCause, detail: &str) {
        if let Some(hole) = &mut self.hole {
            hole.later += 1;
            detail.clone_into(&mut hole.latest);
            return;
        }
        let from = if self.last_data_at.is_some() { self.last_data_at } else { self.begun_at };
        let detail = detail.to_owned();
        self.hole = Some(Hole { from, cause, detail, later: 0, latest: String::new() });
    }

    /// A data frame came. Gives the hole that it ends, without its tokens.
    pub(crate) fn data(&mut self, at: Timestamp) -> Option<Gap> {
        self.last_data_at = at;
        let Hole { from, cause, mut detail, later, latest } = self.hole.take()?;
        if later > 0 {
            detail = format!("{detail}; then {later} more, last: {latest}");
        }
        Some(Gap { from, to: at, cause, detail, tokens: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_hole_runs_from_the_last_frame_before_to_the_first_after() {
        let mut continuity = Continuity::new(at(1), Timestamp::NONE);
        assert_eq!(continuity.data(at(2)), None);
        assert_eq!(continuity.data(at(3)), None);
        continuity.broke(GapCause::Closed, "closed by the server");
        continuity.broke(GapCause::Unauthorised, "403");
        continuity.broke(GapCause::Broken, "refused");
        let gap = continuity.data(at(9)).unwrap();
        assert_eq!((gap.from, gap.to, gap.cause), (at(3), at(9), GapCause::Closed));
        assert_eq!(gap.detail, "closed by the server; then 2 more, last: refused");
        assert_eq!(continuity.data(at(10)), None);
    }

    #[test]
    fn what_a_first_connection_missed_counts_from_the_start() {
        let mut continuity = Continuity::new(at(1), Timestamp::NONE);
        continuity.broke(GapCause::Unauthorised, "403");
        assert_eq!(continuity.data(at(5)).map(|gap| (gap.from, gap.to)), Some((at(1), at(5))));
    }

    #[test]
    fn the_time_before_a_restart_is_a_hole() {
        let mut continuity = Continuity::new(at(100), at(40));
        continuity.broke(GapCause::Broken, "refused");
        let gap = continuity.data(at(102)).unwrap();
        assert_eq!((gap.from, gap.to, gap.cause), (at(40), at(102), GapCause::RecorderDown));
    }
}
