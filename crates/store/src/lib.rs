//! ClickHouse: migrations, native blocks, inserts, counts, seals.
//!
//! What enters: columns of ticks. What leaves: rows in ClickHouse, and their counts. What never happens here: Redis,
//! deciding what to do about a failed insert (that is the loader's).

mod bar_states;
mod candles;
mod client;
mod condition;
mod error;
mod indices;
mod insert;
mod instruments;
mod ledger;
mod lookup;
mod master;
mod mend;
mod migrate;
mod native;
mod news;
mod repair;
mod seals;
mod ticks;
mod users;
mod versions;

pub use bar_states::{BarSlice, bar_states};
pub use candles::{CANDLE_COLUMNS, CandleColumns, CandleRange, MOST_LISTED, StoredCandle};
pub use client::{Store, StoreOptions};
pub use condition::{StoreCondition, TableCondition};
pub use error::StoreError;
pub use indices::{INDEX_COLUMNS, IndexColumns, IndexRow, Month};
pub use insert::{Deduplicate, InsertId, RowIdentity};
pub use instruments::{HELD_VERSIONS, InstrumentCursor, InstrumentVersion};
pub use ledger::{
    FRAME_COLUMNS, FrameRow, GAP_COLUMNS, LedgerColumns, LedgerRows, Origin, QUARANTINE_COLUMNS,
    QuarantineRow,
};
pub use lookup::{InstrumentChange, InstrumentLine, InstrumentSearch};
pub use master::{Master, MasterReport};
pub use mend::{MendPartition, MendPlan, MissingToken};
pub use migrate::{MIGRATIONS, Migration, Partitioning, Report, SchemaOptions, migrate, migrate_up_to};
pub use native::{BlockBuilder, ColumnSpec, NativeBlock, Row};
pub use news::{NEWS_COLUMNS, NewsColumns, NewsRow};
pub use seals::{Mark, Seal, SealRange, batch_id};
pub use ticks::{Partition, TICK_COLUMNS, Tick, TickColumns, TickIdentity, TickInstrument, TickLevel};
pub use users::{create_users, reader_grants, writer_grants};
