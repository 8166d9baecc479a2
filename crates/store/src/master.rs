//! A master of instruments into `instruments` and `token_metadata`.
//!
//! What enters: the instruments of one day's master, by rising token. What leaves: what changed, as rows of both tables, and at
//! last a row of `instrument_masters`, which says that the rest is there. What never happens here: a change when the same master
//! comes again; more in memory than one token's history and two blocks of rows.
//!
//! Three sorted streams are walked together: the master, the versions that are stored, the current rows. So a load that was
//! killed is mended by loading again, and masters may come late and in any order: that of day D says what holds from D until
//! the day before the next master of the same exchange.

mod judge;

use crate::instruments::{InstrumentCursor, METADATA_COLUMNS, VERSION_COLUMNS, date_text, push};
use crate::native::ColumnSpec;
use crate::versions::Interval;
use crate::{BlockBuilder, InstrumentVersion, Store, StoreError};
use clickhouse::Row;
use judge::{Span, judge};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tickhouse_model::{Instrument, Token};
use tokio::task::JoinHandle;

/// Rows of one insert.
const BLOCK_ROWS: usize = 65_536;
/// An exchange with fewer live instruments may lose any number of them.
const SMALL_EXCHANGE: u64 = 100;

/// What a master is.
#[derive(Clone, Debug)]
pub struct Master<'a> {
    /// The day it is of, as days since 1970-01-01, at least 1.
    pub day: u16,
    /// Whether it lists everything of its exchanges, as Kite's does: what it lacks is gone. A look-up file only adds.
    pub whole: bool,
    /// Where it came from, for people.
    pub source: &'a str,
    /// How many instruments it has of each exchange.
    pub exchanges: BTreeMap<String, u64>,
    /// Accept a whole master that has less than half of an exchange's live instruments.
    pub may_shrink: bool,
    /// Only count what would change.
    pub dry_run: bool,
}

/// What a master changed. `instruments` = added + reused + changed + completed + unchanged + past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MasterReport {
    /// Instruments of the master.
    pub instruments: u64,
    /// Tokens that meant nothing on that day before.
    pub added: u64,
    /// Tokens that mean another contract from that day on.
    pub reused: u64,
    /// Same contract, other lot size, tick size, name, ….
    pub changed: u64,
    /// Same contract, fields filled that were empty.
    pub completed: u64,
    /// As they were.
    pub unchanged: u64,
    /// Known tokens whose contract in this master expired before its day: nothing to say.
    pub past: u64,
    /// Tokens that are not in a whole master any more.
    pub gone: u64,
    /// Rows written, or with `dry_run` to write.
    pub rows: u64,
}

impl Store {
    /// Stores the instruments of a master, which must come by strictly rising token. `progress` is called with their number
    /// now and then.
    ///
    /// Not cancel safe: a dropped future leaves a part; storing the same master again completes it.
    ///
    /// # Errors
    /// [`StoreError::MasterShrinks`] before anything is written; or a statement that failed.
    pub async fn store_master(
        &self,
        master: &Master<'_>,
        instruments: impl Iterator<Item = Instrument>,
        mut progress: impl FnMut(u64),
    ) -> Result<MasterReport, StoreError> {
        self.refuse_shrinking(master).await?;
        let spans = self.spans(master).await?;
        let mut incoming = instruments.peekable();
        let mut versions = Ahead::of(self.versions_by_token()?).await?;
        let mut current = Ahead::of(self.metadata_by_token()?).await?;
        let mut writer = Writer::new(self, master.dry_run);
        let mut report = MasterReport::default();
        loop {
            let heads = [incoming.peek().map(|it| it.token), versions.token(), current.token()];
            let Some(token) = heads.into_iter().flatten().min() else { break };
            let new = incoming.next_if(|it| it.token == token);
            if new.is_some() {
                report.instruments += 1;
                if report.instruments.is_multiple_of(4_096) {
                    progress(report.instruments);
                }
            }
            let before = versions.take(token).await?;
            let known = current.take(token).await?.pop().map(|it| it.value);
            let judged = judge(master, &spans, new, &before);
            judged.change.count(&mut report);
            for row in &judged.rows {
                writer.version(row).await?;
            }
            if let Some(newest) = judged.newest.filter(|newest| known.as_ref() != Some(newest)) {
                writer.current(&newest).await?;
            }
        }
        report.rows = writer.finish().await?;
        if !master.dry_run {
            self.finish_master(master).await?;
        }
        Ok(report)
    }

    /// A download that was cut, or the wrong file, would close thousands of instruments.
    async fn refuse_shrinking(&self, master: &Master<'_>) -> Result<(), StoreError> {
        if !master.whole || master.may_shrink {
            return Ok(());
        }
        let sql = "SELECT toString(exchange) AS exchange, count() AS live FROM instruments FINAL \
                   WHERE valid_from <= toDate(?) AND valid_to >= toDate(?) GROUP BY exchange";
        let query = self.client().query(sql).bind(master.day).bind(master.day);
        let rows = query.fetch_all::<(String, u64)>().await;
        for (exchange, live) in rows.map_err(|source| StoreError::query("count the instruments", source))? {
            match master.exchanges.get(&exchange) {
                Some(&listed) if live >= SMALL_EXCHANGE && listed < live / 2 => {
                    return Err(StoreError::MasterShrinks { exchange, listed, live });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// For which days the master speaks, per exchange.
    async fn spans(&self, master: &Master<'_>) -> Result<BTreeMap<String, Span>, StoreError> {
        #[derive(Row, Deserialize)]
        struct Neighbours {
            exchange: String,
            earlier: bool,
            /// 0 when there is none.
            next: u16,
        }
        let sql = "SELECT toString(exchange) AS exchange, countIf(day < toDate(?)) > 0 AS earlier, \
                   minIf(day, day > toDate(?)) AS next FROM instrument_masters FINAL WHERE whole GROUP BY exchange";
        let query = self.client().query(sql).bind(master.day).bind(master.day);
        let rows = query.fetch_all::<Neighbours>().await;
        let rows = rows.map_err(|source| StoreError::query("read which masters there are", source))?;
        let mut spans: BTreeMap<String, Span> =
            master.exchanges.keys().map(|exchange| (exchange.clone(), Span::default())).collect();
        for row in rows {
            if let Some(span) = spans.get_mut(&row.exchange) {
                *span = Span { first: !row.earlier, next: (row.next != 0).then_some(row.next) };
            }
        }
        Ok(spans)
    }

    /// Tidies up, also where nothing was written: an earlier load may have been killed before it did.
    async fn finish_master(&self, master: &Master<'_>) -> Result<(), StoreError> {
        let tidy = [
            // plain look-ups, without FINAL, find one row
            "OPTIMIZE TABLE instruments FINAL SETTINGS optimize_skip_merged_partitions = 1",
            "OPTIMIZE TABLE token_metadata FINAL SETTINGS optimize_skip_merged_partitions = 1",
            "SYSTEM REFRESH VIEW hot_token_metadata",
        ];
        for sql in tidy {
            let done = self.client().query_raw(sql).execute().await;
            done.map_err(|source| StoreError::query("tidy the instruments up", source))?;
        }
        for (exchange, instruments) in &master.exchanges {
            let sql = "INSERT INTO instrument_masters (exchange, day, whole, source, instruments) \
                       SETTINGS async_insert = 0 SELECT ?, toDate(?), ?, ?, ?";
            let query = self.client().query(sql).bind(exchange).bind(master.day).bind(master.whole);
            let done = query.bind(master.source).bind(*instruments as u32).execute().await;
            done.map_err(|source| StoreError::query("record the master", source))?;
        }
        tracing::info!(day = date_text(master.day), source = master.source, "instruments stored");
        Ok(())
    }
}

/// A sorted stream of which the next row is known.
struct Ahead {
    cursor: InstrumentCursor,
    next: Option<InstrumentVersion>,
}

impl Ahead {
    async fn of(mut cursor: InstrumentCursor) -> Result<Self, StoreError> {
        let next = cursor.next().await?;
        Ok(Self { cursor, next })
    }

    fn token(&self) -> Option<Token> {
        self.next.as_ref().map(|next| next.instrument.token)
    }

    /// The rows of a token, which must be the next one's or smaller.
    async fn take(&mut self, token: Token) -> Result<Vec<Interval<Instrument>>, StoreError> {
        let mut rows = Vec::new();
        while self.token() == Some(token) {
            let next = self.cursor.next().await?;
            if let Some(InstrumentVersion { instrument, valid_from, valid_to }) =
                std::mem::replace(&mut self.next, next)
            {
                rows.push(Interval { from: valid_from, to: valid_to, value: instrument });
            }
        }
        Ok(rows)
    }
}

/// Rows on their way into both tables, one insert of each at a time beside the reading.
struct Writer<'a> {
    store: &'a Store,
    dry_run: bool,
    versions: BlockBuilder,
    current: BlockBuilder,
    running: [Option<JoinHandle<Result<(), StoreError>>>; 2],
    rows: u64,
}

const TABLES: [(&str, &[ColumnSpec]); 2] =
    [("instruments", VERSION_COLUMNS), ("token_metadata", METADATA_COLUMNS)];

impl<'a> Writer<'a> {
    fn new(store: &'a Store, dry_run: bool) -> Self {
        let [versions, current] = TABLES.map(|(_, columns)| BlockBuilder::new(columns));
        Self { store, dry_run, versions, current, running: [None, None], rows: 0 }
    }

    async fn version(&mut self, row: &Interval<Instrument>) -> Result<(), StoreError> {
        self.rows += 1;
        push(&mut self.versions, &row.value, Some((row.from, row.to)));
        if self.versions.rows() >= BLOCK_ROWS {
            self.send(0).await?;
        }
        Ok(())
    }

    async fn current(&mut self, instrument: &Instrument) -> Result<(), StoreError> {
        self.rows += 1;
        push(&mut self.current, instrument, None);
        if self.current.rows() >= BLOCK_ROWS {
            self.send(1).await?;
        }
        Ok(())
    }

    /// Begins the insert of a block, once the one before it is done.
    async fn send(&mut self, which: usize) -> Result<(), StoreError> {
        let (table, columns) = TABLES[which];
        let block = if which == 0 { &mut self.versions } else { &mut self.current };
        let block = std::mem::replace(block, BlockBuilder::new(columns));
        self.settle(which).await?;
        if self.dry_run || block.is_empty() {
            return Ok(());
        }
        let (store, block) = (self.store.clone(), block.finish());
        self.running[which] = Some(tokio::spawn(async move {
            let sql = format!("INSERT INTO {table} ({}) FORMAT Native", block.column_names());
            let failed = |source| StoreError::query("store instruments", source);
            let mut insert = store.insert_client().insert_formatted_with(sql);
            for chunk in block.chunks() {
                insert.send(chunk.clone()).await.map_err(failed)?;
            }
            insert.end().await.map_err(failed)
        }));
        Ok(())
    }

    async fn settle(&mut self, which: usize) -> Result<(), StoreError> {
        match self.running[which].take() {
            Some(insert) => insert.await.expect("an insert neither panics nor is aborted"),
            None => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<u64, StoreError> {
        for which in [0, 1] {
            self.send(which).await?;
        }
        for which in [0, 1] {
            self.settle(which).await?;
        }
        Ok(self.rows)
    }
}
