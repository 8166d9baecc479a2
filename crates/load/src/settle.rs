//! A sealed batch into ClickHouse, until every row is counted there.
//!
//! What enters: a sealed batch. What leaves: the knowledge that each of its rows is stored exactly once. What never happens
//! here: believing an answer without counting.

use crate::batch::SealedBatch;
use crate::counters::Counters;
use crate::error::LoadError;
use tickhouse_store::{Deduplicate, InsertId, Month, NativeBlock, Partition, Seal, Store};
use uuid::Uuid;

/// A part of a batch that one insert carries.
struct Part<'a> {
    table: &'static str,
    /// `tick_data` and `indices_data` have several parts per batch.
    partition: Option<Partition>,
    month: Option<Month>,
    block: &'a NativeBlock,
}

impl Part<'_> {
    fn name(&self) -> String {
        match (self.partition, self.month) {
            (Some(Partition { date, hour }), _) => format!("{}/{date}-{hour}", self.table),
            (None, Some(Month(month))) => format!("{}/{month}", self.table),
            (None, None) => self.table.to_owned(),
        }
    }

    async fn count(&self, store: &Store, batch_id: Uuid) -> Result<u64, LoadError> {
        Ok(match (self.partition, self.month) {
            (Some(partition), _) => {
                let counts = store.count_ticks(batch_id, &[(partition, self.block.rows() as u32)]).await?;
                counts.get(&partition).copied().unwrap_or(0)
            }
            (None, Some(month)) => store.count_index_values(batch_id, Some(month)).await?,
            (None, None) => store.count_rows(self.table, batch_id).await?,
        })
    }
}

fn tick_parts(batch: &SealedBatch) -> impl Iterator<Item = Part<'_>> {
    batch.ticks.iter().map(|(partition, block)| Part {
        table: "tick_data",
        partition: Some(*partition),
        month: None,
        block,
    })
}

fn ledger_parts(batch: &SealedBatch) -> impl Iterator<Item = Part<'_>> {
    let indices = batch.indices.iter().map(|(month, block)| Part {
        table: "indices_data",
        partition: None,
        month: Some(*month),
        block,
    });
    let ledger =
        batch.ledger.iter().map(|(table, block)| Part { table, partition: None, month: None, block });
    indices.chain(ledger)
}

/// Ticks first, `frames` last: a row of `frames` promises that everything else of its record is there.
fn parts(batch: &SealedBatch) -> Vec<Part<'_>> {
    tick_parts(batch).chain(ledger_parts(batch)).collect()
}

/// Inserts the ticks of a batch that nobody has tried to insert before, and counts them.
pub(crate) async fn store_ticks(
    store: &Store,
    batch: &SealedBatch,
    counters: &Counters,
) -> Result<(), LoadError> {
    let batch_id = batch.seal.batch_id();
    let mut repeated = false;
    for part in tick_parts(batch) {
        repeated |= store_part(store, &part, batch_id, counters).await?;
    }
    if repeated {
        store.repair_batch(batch_id, &batch.seal.partitions).await?;
    }
    Ok(())
}

/// As [`store_ticks`], everything else. Called after it.
pub(crate) async fn store_ledger(
    store: &Store,
    batch: &SealedBatch,
    counters: &Counters,
) -> Result<(), LoadError> {
    for part in ledger_parts(batch) {
        store_part(store, &part, batch.seal.batch_id(), counters).await?;
    }
    Ok(())
}

/// Inserts and counts one part; whether it had to be inserted again.
async fn store_part(
    store: &Store,
    part: &Part<'_>,
    batch_id: Uuid,
    counters: &Counters,
) -> Result<bool, LoadError> {
    insert(store, part, batch_id, Deduplicate::ByToken).await?;
    confirm(store, part, batch_id, counters).await
}

/// Brings a batch that may be stored wholly, partly or not at all to wholly. It holds all rows that its entries give now: fewer
/// than were sealed where entries are lost.
///
/// Partitions of ticks of which some rows are there are given back: the caller makes the batch again without those rows. The
/// other tables get a block whole or not at all, so some rows there mean that the rest went since, by a retention.
pub(crate) async fn store_ambiguous(
    store: &Store,
    batch: &SealedBatch,
    original: &Seal,
    counters: &Counters,
) -> Result<Vec<Partition>, LoadError> {
    let batch_id = batch.seal.batch_id();
    let mut partial = Vec::new();
    for part in parts(batch) {
        let (found, expected) = (part.count(store, batch_id).await?, part.block.rows() as u64);
        match (found, part.partition) {
            (0, _) => {
                Counters::add(&counters.blocks_reinserted, 1);
                insert(store, &part, batch_id, Deduplicate::ByToken).await?;
                confirm(store, &part, batch_id, counters).await?;
            }
            (found, Some(partition)) if found < expected => partial.push(partition),
            (found, None) if found < expected => {
                tracing::warn!(%batch_id, part = part.name(), found, expected, "rows were removed since they were stored");
            }
            (found, _) => {
                alarm(&part.name(), batch_id, found, expected.max(sealed(original, &part)), counters);
            }
        }
    }
    Ok(partial)
}

/// Inserts the rest of partitions of which some rows are there: `rest` holds only the rows that are not.
pub(crate) async fn store_rest(
    store: &Store,
    rest: &SealedBatch,
    partial: &[Partition],
    batch_id: Uuid,
) -> Result<(), LoadError> {
    for part in parts(rest).iter().filter(|part| part.partition.is_some_and(|at| partial.contains(&at))) {
        let before = part.count(store, batch_id).await?;
        insert(store, part, batch_id, Deduplicate::Never).await?;
        let (found, expected) = (part.count(store, batch_id).await?, before + part.block.rows() as u64);
        if found != expected {
            return Err(LoadError::Missing { batch_id, table: part.name(), found, expected });
        }
    }
    Ok(())
}

async fn insert(
    store: &Store,
    part: &Part<'_>,
    batch_id: Uuid,
    deduplicate: Deduplicate,
) -> Result<(), LoadError> {
    let name = part.name();
    Ok(store.insert_block(part.table, part.block, InsertId { batch_id, part: &name }, deduplicate).await?)
}

/// Counts a part after a clean answer. None of its rows there means that the server knows the token of an insert whose
/// part it lost when it was killed: the insert is repeated without the token's help, which the answer says.
async fn confirm(
    store: &Store,
    part: &Part<'_>,
    batch_id: Uuid,
    counters: &Counters,
) -> Result<bool, LoadError> {
    let expected = part.block.rows() as u64;
    let mut found = part.count(store, batch_id).await?;
    if found == 0 {
        // an insert of a killed owner may hold the token and not be visible yet
        store.kill_inserts(batch_id).await?;
        found = part.count(store, batch_id).await?;
    }
    let repeat = found == 0;
    if repeat {
        tracing::warn!(%batch_id, part = part.name(), "a confirmed insert left no rows, inserting without its token");
        Counters::add(&counters.blocks_reinserted, 1);
        insert(store, part, batch_id, Deduplicate::Never).await?;
        found = part.count(store, batch_id).await?;
    }
    report(part, batch_id, found, expected, counters)?;
    Ok(repeat)
}

fn report(
    part: &Part<'_>,
    batch_id: Uuid,
    found: u64,
    expected: u64,
    counters: &Counters,
) -> Result<(), LoadError> {
    alarm(&part.name(), batch_id, found, expected, counters);
    if found < expected {
        return Err(LoadError::Missing { batch_id, table: part.name(), found, expected });
    }
    Ok(())
}

/// Rows of a part when it was sealed.
fn sealed(seal: &Seal, part: &Part<'_>) -> u64 {
    let rows = match (part.table, part.partition) {
        (_, Some(at)) => {
            seal.partitions.iter().find(|(partition, _)| *partition == at).map_or(0, |(_, rows)| *rows)
        }
        ("frames", None) => seal.frames,
        ("quarantine", None) => seal.quarantined,
        ("feed_gaps", None) => seal.gaps,
        ("news_data", None) => seal.news,
        _ => seal.indices,
    };
    rows.into()
}

/// Says it when rows are there more often than they should be.
pub(crate) fn alarm(part: &str, batch_id: Uuid, found: u64, expected: u64, counters: &Counters) {
    if found > expected {
        Counters::add(&counters.surplus_rows, found - expected);
        tracing::error!(%batch_id, part, found, expected, "rows are stored more than once");
    }
}
