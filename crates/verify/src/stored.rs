//! What the tables hold, as digests by chunk, computed by ClickHouse.
//!
//! What enters: a recorder, a window, up to where each socket is stored. What leaves: counts and digests. What never happens here: a row that
//! leaves the server, but for chunks that differ; a write.

use crate::VerifyError;
use crate::chunk::{CHUNK, Chunk, Held, Place, Sum};
use crate::digest::{frame_expression, place_expression, tick_expression};
use clickhouse::{Row, RowOwned, RowRead};
use serde::Deserialize;
use std::collections::BTreeMap;
use tickhouse_read::{Reader, Statement, Window};

/// The sockets of one recorder and what of them is compared.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) recorder: String,
    pub(crate) window: Window,
    /// By socket: the first record that the journal still holds, and the mark.
    pub(crate) sockets: BTreeMap<u16, (Option<Place>, Place)>,
}

/// Rows of the window that are stored (up to the mark), and of those what the journal can be asked about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    /// What the journal still has.
    pub(crate) covered: BTreeMap<Chunk, Held>,
    /// Everything, whether the journal has it or not.
    pub(crate) ledger: BTreeMap<Chunk, Ledger>,
}

/// What `frames` says of a chunk, and what the other two tables have of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) records: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Sum of sequences, and of their squares.
    pub(crate) sequences: (u64, u64),
    pub(crate) said_ticks: u64,
    pub(crate) said_quarantined: u64,
    /// Digest of the identities of all packets that it says there were.
    pub(crate) said_places: u64,
    pub(crate) ticks: Sum,
    pub(crate) quarantined: Sum,
}

/// The mark and the first journaled record of a row's socket.
const UP_TO: &str = "({mark_sessions:Array(UInt64)}[indexOf({sockets:Array(UInt16)}, socket)], \
     {mark_sequences:Array(UInt64)}[indexOf({sockets:Array(UInt16)}, socket)])";
const SINCE: &str = "({first_sessions:Array(UInt64)}[indexOf({sockets:Array(UInt16)}, socket)], \
     {first_sequences:Array(UInt64)}[indexOf({sockets:Array(UInt16)}, socket)])";

impl Bounds {
    /// Counts and digests of the three tables.
    pub(crate) async fn read(&self, reader: &Reader) -> Result<Tables, VerifyError> {
        let mut tables = Tables::default();
        self.read_frames(reader, &mut tables).await?;
        self.read_ticks(reader, &mut tables).await?;
        self.read_quarantine(reader, &mut tables).await?;
        Ok(tables)
    }

    async fn read_frames(&self, reader: &Reader, tables: &mut Tables) -> Result<(), VerifyError> {
        #[derive(Row, Deserialize)]
        struct Frames {
            chunk: Chunk3,
            records: u64,
            bounds: (u64, u64),
            sequences: (u64, u64),
            said: (u64, u64, u64),
            covered: (u64, u64),
        }
        let what = format!(
            "count(), (min(sequence), max(sequence)), (sumWithOverflow(sequence), sumWithOverflow(sequence * sequence)), \
             (sum(ticks), sum(quarantined), sumWithOverflow(arraySum(place -> {}, range(packets)))), {}",
            place_expression("place"),
            covered(&frame_expression()),
        );
        for row in self.chunks::<Frames>(reader, "frames", "received_at", &what).await? {
            let Frames { chunk, records, bounds, sequences, said, covered } = row;
            let ledger = Ledger {
                records,
                first: bounds.0,
                last: bounds.1,
                sequences,
                said_ticks: said.0,
                said_quarantined: said.1,
                said_places: said.2,
                ..Ledger::default()
            };
            tables.ledger.insert(chunk.into(), ledger);
            tables.cover(chunk, covered, |held| &mut held.frames);
        }
        Ok(())
    }

    async fn read_ticks(&self, reader: &Reader, tables: &mut Tables) -> Result<(), VerifyError> {
        #[derive(Row, Deserialize)]
        struct Ticks {
            chunk: Chunk3,
            all: (u64, u64),
            covered: (u64, u64),
            places: (u64, u64),
        }
        let place = place_expression("packet_index");
        let what = format!(
            "(count(), sumWithOverflow({place})), {}, {}",
            covered(&tick_expression()),
            covered(&place)
        );
        for Ticks { chunk, all, covered, places } in
            self.chunks(reader, "tick_data", "timestamp", &what).await?
        {
            tables.ledger.entry(chunk.into()).or_default().ticks = Sum { rows: all.0, digest: all.1 };
            tables.cover(chunk, covered, |held| &mut held.ticks);
            tables.cover(chunk, places, |held| &mut held.places);
        }
        Ok(())
    }

    async fn read_quarantine(&self, reader: &Reader, tables: &mut Tables) -> Result<(), VerifyError> {
        #[derive(Row, Deserialize)]
        struct Quarantined {
            chunk: Chunk3,
            all: (u64, u64),
            covered: (u64, u64),
        }
        let place = place_expression("packet_index");
        let what = format!("(count(), sumWithOverflow({place})), {}", covered(&place));
        for Quarantined { chunk, all, covered } in
            self.chunks(reader, "quarantine", "received_at", &what).await?
        {
            tables.ledger.entry(chunk.into()).or_default().quarantined = Sum { rows: all.0, digest: all.1 };
            tables.cover(chunk, covered, |held| &mut held.quarantined);
        }
        Ok(())
    }

    async fn chunks<T: RowOwned + RowRead>(
        &self,
        reader: &Reader,
        table: &'static str,
        time: &str,
        what: &str,
    ) -> Result<Vec<T>, VerifyError> {
        let sql = format!(
            "SELECT (socket, session, intDiv(sequence, {CHUNK})) AS chunk, {what} FROM {table} WHERE {} GROUP BY chunk",
            stored(time)
        );
        Ok(reader.fetch(table, &self.bind(Statement::new(sql))).await?)
    }

    /// Rows of some chunks, one by one: sequence, packet index (0 in `frames`) and digest.
    pub(crate) async fn rows(
        &self,
        reader: &Reader,
        table: Table,
        chunk: Chunk,
    ) -> Result<Vec<(u64, u16, u64)>, VerifyError> {
        let (time, index, digest) = match table {
            Table::Frames => ("received_at", "toUInt16(0)", frame_expression()),
            Table::Ticks => ("timestamp", "packet_index", tick_expression()),
            Table::Quarantine => ("received_at", "packet_index", place_expression("packet_index")),
        };
        let sql = format!(
            "SELECT sequence, {index}, {digest} FROM {} WHERE {} AND (session, sequence) >= {SINCE} \
             AND socket = {{socket:UInt16}} AND session = {{session:UInt64}} \
             AND sequence >= {{first:UInt64}} AND sequence < {{first:UInt64}} + {CHUNK}",
            table.name(),
            stored(time)
        );
        let statement = self
            .bind(Statement::new(sql))
            .with("socket", chunk.socket)
            .with("session", chunk.session)
            .with("first", chunk.first());
        Ok(reader.fetch(table.name(), &statement).await?)
    }

    fn bind(&self, statement: Statement) -> Statement {
        let sockets: Vec<u16> = self.sockets.keys().copied().collect();
        let of =
            |pick: fn(&(Option<Place>, Place)) -> u64| self.sockets.values().map(pick).collect::<Vec<u64>>();
        // without a journal nothing of the socket is covered
        let first = |bounds: &(Option<Place>, Place)| bounds.0.unwrap_or((u64::MAX, u64::MAX));
        let firsts: Vec<Place> = self.sockets.values().map(first).collect();
        let (first_sessions, first_sequences): (Vec<u64>, Vec<u64>) = firsts.into_iter().unzip();
        statement
            .with("recorder", self.recorder.as_str())
            .with("from", self.window.from)
            .with("to", self.window.to)
            .with("sockets", sockets.as_slice())
            .with("mark_sessions", of(|(_, mark)| mark.0).as_slice())
            .with("mark_sequences", of(|(_, mark)| mark.1).as_slice())
            .with("first_sessions", first_sessions.as_slice())
            .with("first_sequences", first_sequences.as_slice())
    }
}

/// A table that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// The ledger: a row per record.
    Frames,
    /// A row per packet.
    #[serde(rename = "tick_data")]
    Ticks,
    /// A row per thing that could not be read.
    Quarantine,
}

impl Table {
    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Ticks => "tick_data",
            Self::Quarantine => "quarantine",
        }
    }
}

/// A chunk as a tuple of columns.
type Chunk3 = (u16, u64, u64);

impl From<Chunk3> for Chunk {
    fn from((socket, session, number): Chunk3) -> Self {
        Self { socket, session, number }
    }
}

impl Tables {
    fn cover(&mut self, chunk: Chunk3, (rows, digest): (u64, u64), part: fn(&mut Held) -> &mut Sum) {
        if rows > 0 {
            *part(self.covered.entry(chunk.into()).or_default()) = Sum { rows, digest };
        }
    }
}

/// Rows of frame streams in the window that the loader has said to be stored.
fn stored(time: &str) -> String {
    format!(
        "recorder = {{recorder:String}} AND {time} >= {{from:DateTime64(3)}} AND {time} < {{to:DateTime64(3)}} \
         AND date >= toDate({{from:DateTime64(3)}}, 'Asia/Kolkata') AND date <= toDate({{to:DateTime64(3)}}, 'Asia/Kolkata') \
         AND has({{sockets:Array(UInt16)}}, socket) AND (session, sequence) <= {UP_TO}"
    )
}

fn covered(digest: &str) -> String {
    let is = format!("(session, sequence) >= {SINCE}");
    format!("(countIf({is}), sumWithOverflowIf({digest}, {is}))")
}
