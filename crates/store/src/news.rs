//! News items as columns.

use crate::ledger::Origin;
use crate::native::{BlockBuilder, ColumnSpec, NativeBlock, column};
use tickhouse_model::Timestamp;
use uuid::Uuid;

const TEXT: &str = "LowCardinality(String)";

/// The columns of `news_data`.
pub const NEWS_COLUMNS: &[ColumnSpec] = &[
    column("id", "String"),
    column("source", TEXT),
    column("title", "String"),
    column("content", "String"),
    column("link", "String"),
    column("published_at", "DateTime64(3, 'Asia/Kolkata')"),
    column("symbols", "Array(String)"),
    column("sentiment", "Float32"),
    column("sentiment_confidence", "Float32"),
    column("categories", "Array(String)"),
    column("date", "Date"),
    column("processed_at", "DateTime64(3, 'UTC')"),
    column("batch_id", "UUID"),
    column("stream", TEXT),
    column("epoch", "UInt32"),
    column("session", "UInt64"),
    column("sequence", "UInt64"),
];

/// A row of `news_data`.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are columns: docs/data-dictionary.md describes each")]
pub struct NewsRow<'a> {
    pub origin: Origin<'a>,
    pub id: &'a str,
    pub source: &'a str,
    pub title: &'a str,
    pub content: &'a str,
    pub link: &'a str,
    pub published_at: Timestamp,
    pub symbols: &'a [String],
    pub sentiment: f32,
    pub sentiment_confidence: f32,
    pub categories: &'a [String],
}

/// News items of one batch. The table has no partitions: whatever dates they have, one insert is one block.
#[derive(Debug)]
pub struct NewsColumns {
    batch_id: Uuid,
    processed_at: Timestamp,
    block: BlockBuilder,
}

impl NewsColumns {
    /// No rows yet.
    pub fn new(batch_id: Uuid, processed_at: Timestamp) -> Self {
        Self { batch_id, processed_at, block: BlockBuilder::new(NEWS_COLUMNS) }
    }

    /// Rows so far.
    pub const fn rows(&self) -> usize {
        self.block.rows()
    }

    /// Adds an item.
    pub fn push(&mut self, news: &NewsRow<'_>) {
        self.block
            .row()
            .bytes(news.id.as_bytes())
            .text(news.source)
            .bytes(news.title.as_bytes())
            .bytes(news.content.as_bytes())
            .bytes(news.link.as_bytes())
            .i64(news.published_at.as_millis())
            .strings(news.symbols)
            .f32(news.sentiment)
            .f32(news.sentiment_confidence)
            .strings(news.categories)
            .u16(news.published_at.ist().days_since_epoch.clamp(0, i32::from(u16::MAX)) as u16)
            .i64(self.processed_at.as_millis())
            .uuid(self.batch_id)
            .text(news.origin.stream)
            .u32(news.origin.epoch)
            .u64(news.origin.id.session)
            .u64(news.origin.id.sequence)
            .end();
    }

    /// The block, `None` without rows.
    pub fn finish(self) -> Option<NativeBlock> {
        (!self.block.is_empty()).then(|| self.block.finish())
    }
}
