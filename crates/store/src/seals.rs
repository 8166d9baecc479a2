//! Seals: what a batch is, recorded before its rows are inserted, and again once they are counted.
//!
//! A batch is a range of entries of one or more streams. `sealed` without `stored` means: its rows may be in ClickHouse,
//! wholly, partly or not at all; they must be counted before anything else happens. The highest entry of the stored
//! ranges of an origin is its *mark*: what is at or below it is stored.

use crate::ticks::Partition;
use crate::{Store, StoreError};
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tickhouse_model::Timestamp;
use uuid::Uuid;

/// A batch, as recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// Which loader made it.
    pub loader: String,
    /// The loader's lease: rises with every owner.
    pub fence: u64,
    /// Rises with every batch of a fence.
    pub number: u64,
    /// Entries, at most one range per origin.
    pub ranges: Vec<SealRange>,
    /// Rows of `tick_data` per partition.
    pub partitions: Vec<(Partition, u32)>,
    /// Rows of `frames`.
    pub frames: u32,
    /// Rows of `quarantine`.
    pub quarantined: u32,
    /// Rows of `feed_gaps`.
    pub gaps: u32,
    /// Rows of `news_data`.
    pub news: u32,
    /// Rows of `indices_data` that were published as such; those of index packets are a view's.
    pub indices: u32,
}

/// Entries `first..=last` of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealRange {
    /// `<recorder>/<socket>` of a frame stream, the name of a stream of flat entries.
    pub origin: String,
    /// How often the stream's ids began anew; 0 for frames.
    pub epoch: u32,
    /// Id of the first entry: (session, sequence) of a frame, the two halves of the id of a flat entry.
    pub first: (u64, u64),
    /// Id of the last entry.
    pub last: (u64, u64),
    /// Entries in the range.
    pub entries: u32,
}

/// Where an origin is stored up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// See [`SealRange::epoch`].
    pub epoch: u32,
    /// Id of the last entry that is stored.
    pub last: (u64, u64),
}

impl Seal {
    /// The batch's identity, derived from the seal: a version 8 UUID of fence, loader and number. Only its last bytes
    /// change from batch to batch, so the column compresses well, and it sorts by time.
    pub fn batch_id(&self) -> Uuid {
        batch_id(&self.loader, self.fence, self.number)
    }

    /// Rows of `tick_data`.
    pub fn ticks(&self) -> u32 {
        self.partitions.iter().map(|(_, rows)| rows).sum()
    }
}

/// See [`Seal::batch_id`].
pub fn batch_id(loader: &str, fence: u64, number: u64) -> Uuid {
    // FNV-1a: stable over versions, which a hasher of the standard library is not
    let hash = loader.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let high = fence << 16 | (hash & 0xffff);
    let low = (hash >> 16 & 0xffff) << 48 | (number & 0xffff_ffff_ffff);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// `state` of `loader_seals`.
const SEALED: i8 = 1;
const STORED: i8 = 2;

#[derive(Clone, Debug, Row, Serialize, Deserialize)]
struct SealRow {
    loader: String,
    fence: u64,
    number: u64,
    #[serde(with = "clickhouse::serde::uuid")]
    batch_id: Uuid,
    state: i8,
    ranges: Vec<(String, u32, u64, u64, u64, u64, u32)>,
    partitions: Vec<(u16, u8, u32)>,
    frames: u32,
    quarantined: u32,
    gaps: u32,
    news: u32,
    indices: u32,
    written_at: i64,
}

impl SealRow {
    fn new(seal: &Seal, state: i8, now: Timestamp) -> Self {
        let range = |range: &SealRange| {
            let SealRange { origin, epoch, first, last, entries } = range;
            (origin.clone(), *epoch, first.0, first.1, last.0, last.1, *entries)
        };
        Self {
            loader: seal.loader.clone(),
            fence: seal.fence,
            number: seal.number,
            batch_id: seal.batch_id(),
            state,
            ranges: seal.ranges.iter().map(range).collect(),
            partitions: seal.partitions.iter().map(|(at, rows)| (at.date, at.hour, *rows)).collect(),
            frames: seal.frames,
            quarantined: seal.quarantined,
            gaps: seal.gaps,
            news: seal.news,
            indices: seal.indices,
            written_at: now.as_nanos() / 1_000,
        }
    }

    fn seal(self) -> Seal {
        let range = |(origin, epoch, first_session, first_sequence, last_session, last_sequence, entries)| {
            SealRange {
                origin,
                epoch,
                first: (first_session, first_sequence),
                last: (last_session, last_sequence),
                entries,
            }
        };
        let partition = |(date, hour, rows)| (Partition { date, hour }, rows);
        Seal {
            loader: self.loader,
            fence: self.fence,
            number: self.number,
            ranges: self.ranges.into_iter().map(range).collect(),
            partitions: self.partitions.into_iter().map(partition).collect(),
            frames: self.frames,
            quarantined: self.quarantined,
            gaps: self.gaps,
            news: self.news,
            indices: self.indices,
        }
    }
}

impl Store {
    /// Records that a batch will be inserted.
    ///
    /// # Errors
    /// When ClickHouse does not confirm. The seal may be recorded all the same; a seal recorded twice is harmless.
    pub async fn record_sealed(&self, seal: &Seal, now: Timestamp) -> Result<(), StoreError> {
        self.write_seal(SealRow::new(seal, SEALED, now)).await
    }

    /// Records that every row of a batch was counted in ClickHouse.
    ///
    /// # Errors
    /// As [`Store::record_sealed`].
    pub async fn record_stored(&self, seal: &Seal, now: Timestamp) -> Result<(), StoreError> {
        self.write_seal(SealRow::new(seal, STORED, now)).await
    }

    async fn write_seal(&self, row: SealRow) -> Result<(), StoreError> {
        let failed = |source| StoreError::query("record a seal", source);
        let mut insert = self.insert_client().insert::<SealRow>("loader_seals").await.map_err(failed)?;
        insert.write(&row).await.map_err(failed)?;
        insert.end().await.map_err(failed)
    }

    /// Seals that were never confirmed, oldest first, of every loader.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn open_seals(&self) -> Result<Vec<Seal>, StoreError> {
        let sql = "SELECT ?fields FROM loader_seals WHERE state = 'sealed' AND batch_id NOT IN \
                   (SELECT batch_id FROM loader_seals WHERE state = 'stored') \
                   ORDER BY fence, number LIMIT 1 BY batch_id";
        let rows = self.client().query(sql).fetch_all::<SealRow>().await;
        let rows = rows.map_err(|source| StoreError::query("read open seals", source))?;
        Ok(rows.into_iter().map(SealRow::seal).collect())
    }

    /// The mark of every origin.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn marks(&self) -> Result<BTreeMap<String, Mark>, StoreError> {
        #[derive(Row, Deserialize)]
        struct MarkRow {
            origin: String,
            last: (u32, u64, u64),
        }
        let sql = "SELECT range.1 AS origin, max((range.2, range.5, range.6)) AS last FROM loader_seals \
                   ARRAY JOIN ranges AS range WHERE state = 'stored' GROUP BY origin";
        let rows = self.client().query(sql).fetch_all::<MarkRow>().await;
        let rows = rows.map_err(|source| StoreError::query("read marks", source))?;
        let mark = |row: MarkRow| (row.origin, Mark { epoch: row.last.0, last: (row.last.1, row.last.2) });
        Ok(rows.into_iter().map(mark).collect())
    }

    /// The highest fence ever used, 0 for none.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn highest_fence(&self) -> Result<u64, StoreError> {
        let query = self.client().query("SELECT max(fence) FROM loader_seals");
        query.fetch_one::<u64>().await.map_err(|source| StoreError::query("read the highest fence", source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_of_different_seals_differ(
            a in (0..1_u64 << 47, 0..1_u64 << 47), b in (0..1_u64 << 47, 0..1_u64 << 47),
        ) {
            prop_assert_eq!(batch_id("loader", a.0, a.1) == batch_id("loader", b.0, b.1), a == b);
            prop_assert_ne!(batch_id("loader", a.0, a.1), batch_id("other", a.0, a.1));
            prop_assert_eq!(batch_id("loader", a.0, a.1).get_version_num(), 8);
        }
    }
}
