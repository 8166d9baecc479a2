//! Building a table: instruments one by one, in bounded memory.

use crate::read::{ReadError, ReadReport};
use crate::rules::Rules;
use crate::table::{InstrumentTable, Profile, Row, StrId, Texts};
use crate::{Market, kite_csv, token_lookup};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::io::{BufRead as _, Read};
use tickhouse_model::{Instrument, InstrumentKind};

/// Most instruments that one table takes. Kite's master had 108,981 rows in September 2026, the brief's look-up 400,000.
/// It bounds what a wrong or hostile file can make us allocate.
pub const MAX_INSTRUMENTS: usize = 1_000_000;

/// Most bytes of one text field; readers skip rows with longer ones, [`InstrumentTableBuilder::add`] cuts them.
pub const MAX_TEXT_LEN: usize = 255;

/// Most bytes of all different texts of one table; 400,000 instruments have about 10 MB.
const MAX_TEXT_BYTES: usize = 48 << 20;

/// The table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {MAX_INSTRUMENTS} instruments, or more than {} MB of names: is this a file of instruments?",
    MAX_TEXT_BYTES >> 20
)]
pub struct TableFull;

/// What a file of instruments is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterFormat {
    /// Kite's instruments CSV: everything of the exchanges that it names.
    KiteCsv,
    /// `token_lookup_enriched.json`: what somebody gathered over time.
    TokenLookup,
}

/// Rows whose ids are final, for [`InstrumentTable`].
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) rows: Vec<Row>,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) texts: Texts,
}

/// Collects instruments from any source; the last one of a token wins.
#[derive(Debug)]
pub struct InstrumentTableBuilder {
    rules: Rules,
    ids: FxHashMap<Box<str>, u32>,
    /// Bytes of the keys of `ids`.
    text_bytes: usize,
    rows: Vec<Row>,
    row_of: FxHashMap<u32, u32>,
    profiles: FxHashMap<Profile, u32>,
}

impl Default for InstrumentTableBuilder {
    fn default() -> Self {
        Self::with_rules(Rules::builtin().clone())
    }
}

impl InstrumentTableBuilder {
    /// A builder with the built-in rules for symbols, sectors and asset classes.
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder with rules of the user's own.
    pub fn with_rules(rules: Rules) -> Self {
        Self {
            rules,
            ids: FxHashMap::from_iter([("".into(), StrId::EMPTY.0)]),
            text_bytes: 0,
            rows: Vec::new(),
            row_of: FxHashMap::default(),
            profiles: FxHashMap::default(),
        }
    }

    /// How many instruments there are so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds an instrument, or replaces the one of the same token: `true` when it replaced. Empty `symbol`, `sector` and
    /// `asset_class` are filled by the rules. It holds for every day up to its expiry.
    ///
    /// # Errors
    /// When there are already [`MAX_INSTRUMENTS`] others, or too many different names.
    pub fn add(&mut self, mut instrument: Instrument) -> Result<bool, TableFull> {
        self.rules.complete(&mut instrument);
        let known = self.row_of.get(&instrument.token.0).copied();
        if known.is_none() {
            self.ensure_room()?;
        }
        let row = self.row(&instrument);
        if let Some(at) = known {
            self.rows[at as usize] = row;
        } else {
            self.row_of.insert(instrument.token.0, self.rows.len() as u32);
            self.rows.push(row);
        }
        Ok(known.is_some())
    }

    /// Adds what a token meant from one day to another, both included, as days since 1970-01-01. The versions of a token
    /// must not overlap; nothing is replaced.
    ///
    /// # Errors
    /// When there are already [`MAX_INSTRUMENTS`] others, or too many different names.
    pub fn add_version(
        &mut self,
        mut instrument: Instrument,
        valid_from: u16,
        valid_to: u16,
    ) -> Result<(), TableFull> {
        self.rules.complete(&mut instrument);
        self.ensure_room()?;
        let row = self.row(&instrument);
        self.rows.push(Row { valid_from, valid_to: row.valid_to.min(valid_to), ..row });
        Ok(())
    }

    fn ensure_room(&self) -> Result<(), TableFull> {
        if self.rows.len() >= MAX_INSTRUMENTS || self.text_bytes > MAX_TEXT_BYTES {
            return Err(TableFull);
        }
        Ok(())
    }

    /// Adds instruments that were read elsewhere, such as the rows of `token_metadata`.
    ///
    /// # Errors
    /// When there are more than [`MAX_INSTRUMENTS`].
    pub fn add_all(
        &mut self,
        instruments: impl IntoIterator<Item = Instrument>,
    ) -> Result<ReadReport, TableFull> {
        let mut report = ReadReport::default();
        for instrument in instruments {
            report.rows += 1;
            report.count(self.add(instrument)?);
        }
        Ok(report)
    }

    /// Adds the instruments of a file of either kind, gzipped or plain, told apart by its first character.
    ///
    /// # Errors
    /// As the readers of both kinds.
    pub fn read(&mut self, reader: impl Read) -> Result<(MasterFormat, ReadReport), ReadError> {
        let io = |source| ReadError::Io { line: 0, source };
        let mut reader = kite_csv::maybe_gzipped(reader).map_err(io)?;
        let first = reader.fill_buf().map_err(io)?.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'{') {
            Ok((MasterFormat::TokenLookup, self.read_token_lookup(reader)?))
        } else {
            Ok((MasterFormat::KiteCsv, self.read_kite_csv(reader)?))
        }
    }

    /// Adds the rows of Kite's instruments CSV, gzipped or plain. See [`read_kite_csv`](crate::read_kite_csv).
    ///
    /// # Errors
    /// As [`read_kite_csv`](crate::read_kite_csv); rows before the error stay.
    pub fn read_kite_csv(&mut self, reader: impl Read) -> Result<ReadReport, ReadError> {
        kite_csv::read_kite_csv(reader, |instrument| self.add(instrument))
    }

    /// Adds the entries of a `token_lookup_enriched.json`, gzipped or plain. See
    /// [`read_token_lookup`](crate::read_token_lookup).
    ///
    /// # Errors
    /// As [`read_token_lookup`](crate::read_token_lookup); entries before the error stay.
    pub fn read_token_lookup(&mut self, reader: impl Read) -> Result<ReadReport, ReadError> {
        token_lookup::read_token_lookup(reader, |instrument| self.add(instrument))
    }

    /// The table of what was added.
    pub fn finish(self) -> InstrumentTable {
        let Self { rules: _, ids, text_bytes: _, mut rows, row_of, profiles } = self;
        drop(row_of);
        mark_auctions(&ids, &mut rows, &profiles);
        rows.sort_unstable_by_key(|row| (row.token, Reverse(row.valid_from)));
        let mut by_number = vec![None; profiles.len()];
        for (profile, number) in profiles {
            by_number[number as usize] = Some(profile);
        }
        let mut profiles: Vec<Profile> = by_number.into_iter().flatten().collect();
        let texts = renumber(&ids, &mut rows, &mut profiles);
        InstrumentTable::from_parts(Parts { rows, profiles, texts })
    }

    fn row(&mut self, instrument: &Instrument) -> Row {
        let kind = instrument.instrument_type;
        let market = Market::of_instrument(instrument, &self.rules);
        let profile = Profile {
            exchange: self.id(&instrument.exchange),
            segment: self.id(&instrument.segment),
            sector: self.id(&instrument.sector),
            asset_class: self.id(&instrument.asset_class),
            instrument_type: self.id(kind.name()),
            tick_size_bits: finite(instrument.tick_size).to_bits(),
        };
        let next = self.profiles.len() as u32;
        let expiry_days = instrument.expiry.and_then(|days| u16::try_from(days).ok()).unwrap_or(0);
        Row {
            token: instrument.token,
            symbol: self.id(&instrument.symbol),
            tradingsymbol: self.id(&instrument.tradingsymbol),
            underlying: self.id(&instrument.underlying),
            profile: *self.profiles.entry(profile).or_insert(next),
            lot_size: instrument.lot_size,
            expiry_days,
            valid_from: 0,
            valid_to: if expiry_days == 0 { u16::MAX } else { expiry_days },
            market,
            kind,
            strike: finite(instrument.strike),
        }
    }

    fn id(&mut self, text: &str) -> u32 {
        let text = &text[..text.floor_char_boundary(MAX_TEXT_LEN)];
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.ids.len() as u32;
        self.text_bytes += text.len();
        self.ids.insert(text.into(), id);
        id
    }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// Moves shares that have futures to the markets with a closing auction: only the whole master tells which they are.
fn mark_auctions(ids: &FxHashMap<Box<str>, u32>, rows: &mut [Row], profiles: &FxHashMap<Profile, u32>) {
    let exchanges = ["NFO", "BFO"].map(|exchange| ids.get(exchange).copied());
    let derivatives: FxHashSet<u32> = profiles
        .iter()
        .filter(|(profile, _)| exchanges.contains(&Some(profile.exchange)))
        .map(|(_, number)| *number)
        .collect();
    let with_futures: FxHashSet<u32> = rows
        .iter()
        .filter(|row| row.kind == InstrumentKind::Future && derivatives.contains(&row.profile))
        .map(|row| row.underlying)
        .collect();
    for row in rows.iter_mut().filter(|row| with_futures.contains(&row.tradingsymbol)) {
        row.market = row.market.with_auction();
    }
}

/// Gives strings their final ids: those that profiles share first, then the rest by first use; drops those that only a
/// replaced row used.
fn renumber(ids: &FxHashMap<Box<str>, u32>, rows: &mut [Row], profiles: &mut [Profile]) -> Texts {
    let mut strings = vec![""; ids.len()];
    for (string, id) in ids {
        strings[*id as usize] = string;
    }
    let mut new_ids = vec![u32::MAX; ids.len()];
    let mut order: Vec<u32> = Vec::with_capacity(ids.len());
    let mut renew = |id: &mut u32| {
        let new = &mut new_ids[*id as usize];
        if *new == u32::MAX {
            *new = order.len() as u32;
            order.push(*id);
        }
        *id = *new;
    };
    renew(&mut StrId::EMPTY.0.clone());
    for profile in profiles {
        let Profile { exchange, segment, sector, asset_class, instrument_type, tick_size_bits: _ } = profile;
        [exchange, segment, sector, asset_class, instrument_type].into_iter().for_each(&mut renew);
    }
    for row in rows {
        [&mut row.symbol, &mut row.tradingsymbol, &mut row.underlying].into_iter().for_each(&mut renew);
    }
    Texts::new(order.iter().map(|id| strings[*id as usize]))
}
