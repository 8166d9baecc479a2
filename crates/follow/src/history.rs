//! What is stored: marks, and the ticks between two of them.
//!
//! What enters: marks. What leaves: ticks by the time of receipt, in pieces that fit into memory. What never happens here: a row
//! beyond a mark.

use crate::FollowedTick;
use crate::tick::COLUMNS;
use clickhouse::Row;
use serde::Deserialize;
use std::collections::BTreeMap;
use tickhouse_model::Timestamp;
use tickhouse_read::ticks::IS_TICK;
use tickhouse_read::{ReadError, Reader, Selection, Statement};
use tickhouse_store::Mark;

/// Ticks of one question, about: some 25 MB.
const PIECE: u64 = 50_000;
const MINUTE_MILLIS: i64 = 60_000;

/// Up to where each origin is stored.
pub(crate) type Marks = BTreeMap<String, Mark>;

/// Asks for what is stored.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) reader: Reader,
    pub(crate) selection: Selection,
    pub(crate) from: Timestamp,
}

/// A stretch of time with about [`PIECE`] ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// What is after some marks, up to others.
#[derive(Debug, Default)]
pub(crate) struct Range {
    origins: Vec<String>,
    after: (Vec<u32>, Vec<u64>, Vec<u64>),
    up_to: (Vec<u32>, Vec<u64>, Vec<u64>),
    /// Whether it begins before everything that is stored.
    from_the_start: bool,
}

impl Range {
    /// What `after` and `up_to` have between them; an origin that is not in `after` begins at its first entry.
    pub(crate) fn between(after: &Marks, up_to: &Marks) -> Self {
        let mut range = Self { from_the_start: after.is_empty(), ..Self::default() };
        for (origin, to) in up_to {
            let from = after.get(origin).copied().unwrap_or_default();
            if from < *to {
                range.origins.push(origin.clone());
                push(&mut range.after, from);
                push(&mut range.up_to, *to);
            }
        }
        range
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }
}

fn push(columns: &mut (Vec<u32>, Vec<u64>, Vec<u64>), mark: Mark) {
    columns.0.push(mark.epoch);
    columns.1.push(mark.last.0);
    columns.2.push(mark.last.1);
}

const MARKS: &str = "SELECT toString(range.1), max((range.2, range.5, range.6)) FROM loader_seals \
     ARRAY JOIN ranges AS range WHERE state = 'stored' GROUP BY range.1";

/// The bounds of the origin at `place`.
const AFTER: &str = "({after_epochs:Array(UInt32)}[PLACE], {after_sessions:Array(UInt64)}[PLACE], {after_sequences:Array(UInt64)}[PLACE])";
const UP_TO: &str = "({to_epochs:Array(UInt32)}[PLACE], {to_sessions:Array(UInt64)}[PLACE], {to_sequences:Array(UInt64)}[PLACE])";

/// Partitions of the batches that reach into the range: without them each look at a few seconds would go over everything.
const PARTITIONS: &str = "(date, hour) IN (SELECT partition.1, partition.2 FROM loader_seals ARRAY JOIN partitions AS partition \
     WHERE state = 'stored' AND arrayExists(range -> has({origins:Array(String)}, range.1) \
         AND (range.2, range.5, range.6) > AFTER AND (range.2, range.3, range.4) <= UP_TO, ranges))";

impl History {
    /// Up to where each origin is stored.
    pub(crate) async fn marks(&self) -> Result<Marks, ReadError> {
        #[derive(Row, Deserialize)]
        struct MarkRow {
            origin: String,
            last: (u32, u64, u64),
        }
        let rows: Vec<MarkRow> = self.reader.fetch("marks", &Statement::new(MARKS)).await?;
        let mark = |row: MarkRow| (row.origin, Mark { epoch: row.last.0, last: (row.last.1, row.last.2) });
        Ok(rows.into_iter().map(mark).collect())
    }

    /// The pieces of a range, by time.
    pub(crate) async fn pieces(&self, range: &Range) -> Result<Vec<Piece>, ReadError> {
        #[derive(Row, Deserialize)]
        struct MinuteRow {
            minute: i64,
            ticks: u64,
        }
        if range.is_empty() || self.selection.meant().is_some_and(<[_]>::is_empty) {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT toInt64(toUnixTimestamp(toStartOfMinute(timestamp))) * 1000 AS minute, count() FROM tick_data \
             WHERE {} GROUP BY minute ORDER BY minute",
            self.condition(range)
        );
        let rows: Vec<MinuteRow> = self.reader.fetch("minutes", &self.bound(sql, range)).await?;
        Ok(pieces(rows.into_iter().map(|row| (row.minute, row.ticks))))
    }

    /// The ticks of a piece of a range, by the time of receipt.
    pub(crate) async fn ticks(&self, range: &Range, piece: Piece) -> Result<Vec<FollowedTick>, ReadError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM tick_data WHERE {} \
             AND timestamp >= {{piece_from:DateTime64(3)}} AND timestamp < {{piece_to:DateTime64(3)}} \
             AND date >= toDate({{piece_from:DateTime64(3)}}, 'Asia/Kolkata') AND date <= toDate({{piece_to:DateTime64(3)}}, 'Asia/Kolkata') \
             ORDER BY timestamp, recorder, stream, socket, epoch, session, sequence, packet_index",
            self.condition(range)
        );
        let statement = self.bound(sql, range).with("piece_from", piece.from).with("piece_to", piece.to);
        self.reader.fetch("ticks", &statement).await
    }

    fn condition(&self, range: &Range) -> String {
        let place = "indexOf({origins:Array(String)}, if(stream = '', concat(recorder, '/', toString(socket)), stream))";
        let row = format!("greatest({place}, 1)");
        let seal = "indexOf({origins:Array(String)}, range.1)";
        let partitions = if range.from_the_start {
            "1".to_owned()
        } else {
            PARTITIONS
                .replace("AFTER", &AFTER.replace("PLACE", seal))
                .replace("UP_TO", &UP_TO.replace("PLACE", seal))
        };
        format!(
            "{} AND timestamp >= {{from:DateTime64(3)}} AND date >= toDate({{from:DateTime64(3)}}, 'Asia/Kolkata') AND {IS_TICK} \
             AND {partitions} AND {place} > 0 \
             AND (epoch, session, sequence) > {} AND (epoch, session, sequence) <= {}",
            self.selection.condition(),
            AFTER.replace("PLACE", &row),
            UP_TO.replace("PLACE", &row),
        )
    }

    fn bound(&self, sql: String, range: &Range) -> Statement {
        self.selection
            .bind(Statement::new(sql))
            .with("from", self.from)
            .with("origins", range.origins.as_slice())
            .with("after_epochs", range.after.0.as_slice())
            .with("after_sessions", range.after.1.as_slice())
            .with("after_sequences", range.after.2.as_slice())
            .with("to_epochs", range.up_to.0.as_slice())
            .with("to_sessions", range.up_to.1.as_slice())
            .with("to_sequences", range.up_to.2.as_slice())
    }
}

/// Stretches of about [`PIECE`] ticks, from (begin of a minute in milliseconds, its ticks) by time. Minutes that have more are
/// split evenly.
fn pieces(minutes: impl Iterator<Item = (i64, u64)>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut held = 0;
    for (minute, ticks) in minutes {
        let end = Timestamp::from_millis(minute + MINUTE_MILLIS);
        if held > 0 && held + ticks <= PIECE {
            held += ticks;
            if let Some(last) = pieces.last_mut() {
                last.to = end;
            }
            continue;
        }
        let parts = i64::try_from(ticks.div_ceil(PIECE)).unwrap_or(1).clamp(1, MINUTE_MILLIS);
        let cut = |part: i64| Timestamp::from_millis(minute + MINUTE_MILLIS * part / parts);
        pieces.extend((0..parts).map(|part| Piece { from: cut(part), to: cut(part + 1) }));
        held = if parts == 1 { ticks } else { PIECE };
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_minute_once() {
        let minutes = [(0, 10), (60_000, PIECE), (120_000, PIECE * 3 + 1), (180_000, 5), (600_000, 7)];
        let found = pieces(minutes.into_iter());
        let millis: Vec<_> =
            found.iter().map(|piece| (piece.from.as_millis(), piece.to.as_millis())).collect();
        assert_eq!(
            millis,
            [
                (0, 60_000),
                (60_000, 120_000),
                (120_000, 135_000),
                (135_000, 150_000),
                (150_000, 165_000),
                (165_000, 180_000),
                (180_000, 660_000)
            ]
        );
    }

    #[test]
    fn a_range_holds_what_moved() {
        let marks = |list: &[(&str, u64)]| -> Marks {
            list.iter()
                .map(|(origin, last)| ((*origin).to_owned(), Mark { epoch: 0, last: (1, *last) }))
                .collect()
        };
        let range =
            Range::between(&marks(&[("a/0", 5), ("b/0", 5)]), &marks(&[("a/0", 5), ("b/0", 6), ("c", 1)]));
        assert_eq!(
            (range.origins.as_slice(), &range.after.2),
            (["b/0".to_owned(), "c".to_owned()].as_slice(), &vec![5, 0])
        );
        assert!(Range::between(&marks(&[("a", 2)]), &marks(&[("a", 1)])).is_empty());
    }
}
