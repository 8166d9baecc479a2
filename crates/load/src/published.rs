//! News items and index values into rows.
//!
//! What enters: the fields of a flat entry. What leaves: a row of `news_data` or `indices_data`, pushed into a batch; or one of
//! `quarantine`. What never happens here: I/O, dropping anything.

use crate::batch::Batch;
use crate::rows::{RowMaker, quarantine};
use crate::source::payload_of_fields;
use crate::ticks::first_time;
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tickhouse_enrich::{InstrumentTable, TitleSymbols};
use tickhouse_model::{InstrumentKind, Timestamp, Token};
use tickhouse_store::{IndexRow, NewsRow, Origin};
use tickhouse_stream::{FlatError, FlatIndex, FlatNews};

/// What is looked up by name in a table of instruments: made when the first item comes, and again for a newer table.
#[derive(Debug, Default)]
pub(crate) struct Names {
    of: Option<Arc<InstrumentTable>>,
    titles: TitleSymbols,
    /// Tokens of indices, by each of their names.
    indices: FxHashMap<String, u32>,
}

impl Names {
    fn follow(&mut self, table: &Arc<InstrumentTable>) {
        if self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, table)) {
            return;
        }
        self.titles = TitleSymbols::new(table);
        let indices = table.iter().filter(|one| one.kind == InstrumentKind::Index);
        self.indices = indices
            .flat_map(|index| {
                [index.tradingsymbol, index.symbol].map(|id| (table.text(id).to_owned(), index.token.0))
            })
            .collect();
        self.of = Some(Arc::clone(table));
    }
}

impl RowMaker {
    /// Pushes the row of a news item, or quarantines it. Where it names no symbols, they are looked for in its title.
    pub(crate) fn push_news(
        &mut self,
        batch: &mut Batch,
        origin: &Origin<'_>,
        arrived_at: Timestamp,
        fields: &[(Bytes, Bytes)],
    ) {
        let mut news = match FlatNews::from_fields(fields.iter().map(|(field, value)| (field, value))) {
            Ok(news) => news,
            Err(error) => return refuse(batch, origin, arrived_at, "news_entry", &error, fields),
        };
        if news.symbols.is_empty() {
            self.names.follow(&self.instruments);
            news.symbols = self.names.titles.find(&news.title);
        }
        batch.push_news(&NewsRow {
            origin: *origin,
            id: &news.identity(),
            source: &news.source,
            title: &news.title,
            content: &news.content,
            link: &news.link,
            published_at: first_time(news.published_at, arrived_at),
            symbols: &news.symbols,
            sentiment: news.sentiment,
            sentiment_confidence: news.sentiment_confidence,
            categories: &news.categories,
        });
    }

    /// Pushes the row of an index value, or quarantines it. Of token and symbol, the one that it lacks comes from the table.
    pub(crate) fn push_index(
        &mut self,
        batch: &mut Batch,
        origin: &Origin<'_>,
        arrived_at: Timestamp,
        fields: &[(Bytes, Bytes)],
    ) {
        let mut index = match FlatIndex::from_fields(fields.iter().map(|(field, value)| (field, value))) {
            Ok(index) => index,
            Err(error) => return refuse(batch, origin, arrived_at, "index_entry", &error, fields),
        };
        if index.instrument_token == 0 {
            self.names.follow(&self.instruments);
            index.instrument_token = self.names.indices.get(&index.symbol).copied().unwrap_or(0);
        } else if index.symbol.is_empty()
            && let Some(known) = self.instruments.get(Token(index.instrument_token))
        {
            self.instruments.text(known.symbol).clone_into(&mut index.symbol);
        }
        batch.push_index(&IndexRow {
            origin: *origin,
            instrument_token: index.instrument_token,
            symbol: &index.symbol,
            timestamp: first_time(index.timestamp, arrived_at),
            last_price: index.last_price,
            net_change: index.net_change,
            percent_change: index.percent_change,
            open: index.open,
            high: index.high,
            low: index.low,
            close: index.close,
            volume: index.volume,
        });
    }
}

fn refuse(
    batch: &mut Batch,
    origin: &Origin<'_>,
    arrived_at: Timestamp,
    reason: &str,
    error: &FlatError,
    fields: &[(Bytes, Bytes)],
) {
    quarantine(batch, origin, arrived_at, reason, &error.to_string(), &payload_of_fields(fields));
}
