//! Which ticks are wanted, and what their instruments are called.
//!
//! What enters: a selection. What leaves: yes or no for a token on a day; names for it. What never happens here: I/O but for
//! reading all instruments, where all are wanted.

use crate::FollowError;
use crate::history::History;
use clickhouse::Row;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use std::time::{Duration, Instant};
use tickhouse_enrich::{InstrumentTable, InstrumentTableBuilder};
use tickhouse_load::ticks::{Known, instrument_of};
use tickhouse_model::{DataQuality, Instrument, InstrumentKind, Timestamp, Token};
use tickhouse_read::{Reader, Selection, Statement};

/// Between two looks at all instruments, while tokens come that are in no table.
const REFRESH_EVERY: Duration = Duration::from_mins(1);

/// Which ticks are wanted, and what their instruments are called.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Days on which a token is wanted, both included; `None`: everything is wanted.
    wanted: Option<FxHashMap<u32, Vec<(u16, u16)>>>,
    from: Timestamp,
    table: InstrumentTable,
    read_at: Option<Instant>,
    pub(crate) met_unknown: bool,
}

#[derive(Row, Deserialize)]
struct ListedRow {
    instrument_token: u32,
    symbol: String,
    tradingsymbol: String,
    exchange: String,
    valid_from: u16,
    valid_to: u16,
}

const LISTED: &str = "SELECT instrument_token, symbol, tradingsymbol, toString(exchange), valid_from, valid_to FROM instruments FINAL \
     WHERE valid_from <= valid_to AND valid_to > toDate(0) AND valid_to >= toDate({from:DateTime64(3)}, 'Asia/Kolkata')";

/// Days since 1970-01-01 as a `Date` column counts them.
fn day_number(date: impl Into<String>) -> u16 {
    let midnight = Timestamp::from_text(&date.into());
    midnight.map_or(u16::MAX, |at| at.ist().days_since_epoch.clamp(0, u16::MAX.into()) as u16)
}

impl Filter {
    pub(crate) fn new(selection: &Selection, from: Timestamp) -> Result<Self, FollowError> {
        let mut filter =
            Self { wanted: None, from, table: InstrumentTable::empty(), read_at: None, met_unknown: true };
        let Some(meant) = selection.meant() else { return Ok(filter) };
        let mut wanted: FxHashMap<u32, Vec<(u16, u16)>> = FxHashMap::default();
        let mut builder = InstrumentTableBuilder::new();
        for one in meant {
            let days = (day_number(one.first.to_string()), day_number(one.last.to_string()));
            let known = wanted.entry(one.token.0).or_default();
            if let (Some(listed), false) = (&one.listed, known.contains(&days)) {
                builder.add_version(listed.instrument.clone(), days.0, days.1)?;
            }
            known.push(days);
        }
        filter.table = builder.finish();
        filter.wanted = Some(wanted);
        Ok(filter)
    }

    /// Reads all instruments where all are wanted, and tokens came that were in no table.
    pub(crate) async fn refresh(&mut self, history: &History) -> Result<(), FollowError> {
        let due = self.read_at.is_none_or(|at| at.elapsed() >= REFRESH_EVERY);
        if self.wanted.is_some() || !self.met_unknown || !due {
            return Ok(());
        }
        self.table = all(&history.reader, self.from).await?;
        self.read_at = Some(Instant::now());
        self.met_unknown = false;
        Ok(())
    }

    /// Whether a tick of this token and time is wanted.
    pub(crate) fn wants(&self, token: Token, day: u16, at: Timestamp) -> bool {
        at.as_millis() >= self.from.as_millis()
            && self.wanted.as_ref().is_none_or(|wanted| {
                let days = wanted.get(&token.0);
                days.is_some_and(|days| days.iter().any(|(first, last)| (*first..=*last).contains(&day)))
            })
    }

    /// What a token means on a day.
    pub(crate) fn known(&self, token: Token, day: u16) -> (Known<'_>, bool) {
        let (instrument, _, data_quality) = instrument_of(&self.table, token, day);
        (Known { instrument, data_quality }, data_quality == DataQuality::Raw)
    }
}

async fn all(reader: &Reader, from: Timestamp) -> Result<InstrumentTable, FollowError> {
    let rows: Vec<ListedRow> =
        reader.fetch("instruments", &Statement::new(LISTED).with("from", from)).await?;
    let mut builder = InstrumentTableBuilder::new();
    for row in rows {
        let instrument = Instrument {
            token: Token(row.instrument_token),
            symbol: row.symbol,
            tradingsymbol: row.tradingsymbol,
            underlying: String::new(),
            exchange: row.exchange,
            segment: String::new(),
            sector: String::new(),
            asset_class: String::new(),
            instrument_type: InstrumentKind::of("", ""),
            expiry: None,
            strike: 0.0,
            tick_size: 0.0,
            lot_size: 0,
        };
        builder.add_version(instrument, row.valid_from, row.valid_to)?;
    }
    Ok(builder.finish())
}
