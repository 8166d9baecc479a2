//! The table of all instruments in memory: a token gives an instrument as ids of interned strings.

use crate::Market;
use crate::builder::Parts;
use rustc_hash::FxHashMap;
use std::mem::size_of;
use tickhouse_model::{Instrument, InstrumentKind, Token};

/// The id of a string of one [`InstrumentTable`]: dense from 0, and 0 is the empty string. The strings of which there
/// are few (exchange, segment, sector, asset class, instrument type) have the lowest ids. An id means nothing to another
/// table, so keep the table's `Arc` beside columns that are being filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StrId(pub u32);

impl StrId {
    /// The id of the empty string.
    pub const EMPTY: Self = Self(0);

    /// The id as an index into arrays of [`Texts::len`] elements.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One instrument, by value: what enrichment writes beside a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InstrumentRef {
    /// Kite's number.
    pub token: Token,
    /// The trading symbol, with the names people use for indices.
    pub symbol: StrId,
    /// Kite's own trading symbol.
    pub tradingsymbol: StrId,
    /// Kite's `name`.
    pub underlying: StrId,
    /// Kite's exchange.
    pub exchange: StrId,
    /// Kite's segment, e.g. `NFO-OPT`.
    pub segment: StrId,
    /// Sector, empty where unknown.
    pub sector: StrId,
    /// `EQ`, `FUT`, `CE`, `PE`, `INDEX`, …
    pub asset_class: StrId,
    /// [`InstrumentKind::name`] of `kind`.
    pub instrument_type: StrId,
    /// What it is.
    pub kind: InstrumentKind,
    /// Whose hours it keeps.
    pub market: Market,
    /// Days since 1970-01-01 as a `Date` column counts them, 0 for what does not expire.
    pub expiry_days: u16,
    /// Strike in rupees, 0 where there is none.
    pub strike: f64,
    /// Smallest price step in rupees, 0 for indices.
    pub tick_size: f64,
    /// Units of a lot, 0 for indices.
    pub lot_size: u32,
}

/// What differs from instrument to instrument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) strike: f64,
    pub(crate) token: Token,
    pub(crate) symbol: u32,
    pub(crate) tradingsymbol: u32,
    pub(crate) underlying: u32,
    pub(crate) profile: u32,
    pub(crate) lot_size: u32,
    pub(crate) expiry_days: u16,
    /// First and last day, both included.
    pub(crate) valid_from: u16,
    pub(crate) valid_to: u16,
    pub(crate) market: Market,
    pub(crate) kind: InstrumentKind,
}

// the days of a version fill what alignment left empty: history costs nothing where there is none
const _: () = assert!(size_of::<Row>() == 40);

/// What many instruments share: a few thousand combinations in the whole master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Profile {
    pub(crate) exchange: u32,
    pub(crate) segment: u32,
    pub(crate) sector: u32,
    pub(crate) asset_class: u32,
    pub(crate) instrument_type: u32,
    pub(crate) tick_size_bits: u64,
}

/// All instruments, with the days on which each token meant them: tokens are used again after an expiry. Immutable: share it
/// as `Arc<InstrumentTable>`, and swap the `Arc` for the next one.
#[derive(Debug)]
pub struct InstrumentTable {
    /// By rising token; the versions of one token from the newest to the oldest.
    rows: Box<[Row]>,
    profiles: Box<[Profile]>,
    /// The newest version of each token.
    row_of: FxHashMap<u32, u32>,
    texts: Texts,
}

impl InstrumentTable {
    /// A table without instruments: every token is unknown.
    pub fn empty() -> Self {
        crate::InstrumentTableBuilder::new().finish()
    }

    pub(crate) fn from_parts(Parts { rows, profiles, texts }: Parts) -> Self {
        // backwards, so that the newest version of a token is the one that stays
        let row_of = rows.iter().enumerate().rev().map(|(at, row)| (row.token.0, at as u32)).collect();
        Self { rows: rows.into(), profiles: profiles.into(), row_of, texts }
    }

    /// The newest instrument of this token, `None` when the table does not know it. No allocation; about 10 ns among
    /// the 9,000 tokens of a key, 45 ns at random among 400,000.
    #[inline]
    pub fn get(&self, token: Token) -> Option<InstrumentRef> {
        let at = *self.row_of.get(&token.0)?;
        Some(self.reference(&self.rows[at as usize]))
    }

    /// What this token meant on a day (days since 1970-01-01, as a `Date` column counts them); `None` when the table does
    /// not know it, or only before or after that day. A contract ends with its expiry, whatever the table's source says
    /// of later days. Costs what [`InstrumentTable::get`] costs.
    #[inline]
    pub fn get_on(&self, token: Token, day: u16) -> Option<InstrumentRef> {
        let newest = *self.row_of.get(&token.0)? as usize;
        let versions = self.rows[newest..].iter().take_while(|row| row.token == token);
        let row = versions.into_iter().find(|row| (row.valid_from..=row.valid_to).contains(&day))?;
        Some(self.reference(row))
    }

    /// Every instrument, by rising token; one that was another before, once for each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = InstrumentRef> + '_ {
        self.rows.iter().map(|row| self.reference(row))
    }

    /// The string of an id that this table gave; the empty string for an id that it did not.
    #[inline]
    pub fn text(&self, id: StrId) -> &str {
        self.texts.get(id)
    }

    /// All strings, by their ids.
    pub const fn texts(&self) -> &Texts {
        &self.texts
    }

    /// How many instruments there are, the versions of each token counted.
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes on the heap: rows, profiles, strings and the hash index.
    pub fn memory_bytes(&self) -> usize {
        // a swiss table has a power of two of buckets, filled to 7/8, and one control byte for each
        let buckets = (self.row_of.capacity() * 8 / 7).next_power_of_two();
        size_of_val(&*self.rows)
            + size_of_val(&*self.profiles)
            + self.texts.memory_bytes()
            + buckets * (size_of::<(u32, u32)>() + 1)
    }

    /// The instrument with its strings: for writing it down, not for a tick.
    pub fn instrument(&self, reference: &InstrumentRef) -> Instrument {
        let text = |id| self.text(id).to_owned();
        Instrument {
            token: reference.token,
            symbol: text(reference.symbol),
            tradingsymbol: text(reference.tradingsymbol),
            underlying: text(reference.underlying),
            exchange: text(reference.exchange),
            segment: text(reference.segment),
            instrument_type: reference.kind,
            sector: text(reference.sector),
            asset_class: text(reference.asset_class),
            expiry: (reference.expiry_days != 0).then_some(i32::from(reference.expiry_days)),
            strike: reference.strike,
            tick_size: reference.tick_size,
            lot_size: reference.lot_size,
        }
    }

    #[inline]
    fn reference(&self, row: &Row) -> InstrumentRef {
        let profile = &self.profiles[row.profile as usize];
        InstrumentRef {
            token: row.token,
            symbol: StrId(row.symbol),
            tradingsymbol: StrId(row.tradingsymbol),
            underlying: StrId(row.underlying),
            exchange: StrId(profile.exchange),
            segment: StrId(profile.segment),
            sector: StrId(profile.sector),
            asset_class: StrId(profile.asset_class),
            instrument_type: StrId(profile.instrument_type),
            kind: row.kind,
            market: row.market,
            expiry_days: row.expiry_days,
            strike: row.strike,
            tick_size: f64::from_bits(profile.tick_size_bits),
            lot_size: row.lot_size,
        }
    }
}

/// Interned strings, one after the other in one allocation.
#[derive(Debug)]
pub struct Texts {
    joined: Box<str>,
    /// Where each string starts, and at the end the length of `joined`.
    starts: Box<[u32]>,
}

impl Texts {
    /// `strings` in the order of their ids; the first must be empty.
    pub(crate) fn new<'a>(strings: impl Iterator<Item = &'a str>) -> Self {
        let mut joined = String::new();
        let mut starts = vec![0];
        for string in strings {
            joined.push_str(string);
            starts.push(u32::try_from(joined.len()).expect("the builder bounds count and length of strings"));
        }
        Self { joined: joined.into(), starts: starts.into() }
    }

    /// The string of an id, empty for an id beyond the end.
    #[inline]
    pub fn get(&self, id: StrId) -> &str {
        match self.starts.get(id.index()..id.index() + 2) {
            Some(&[start, end]) => &self.joined[start as usize..end as usize],
            _ => "",
        }
    }

    /// How many there are: ids are below this.
    pub const fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Never: id 0 is always there. For the sake of lints and completeness.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every string in the order of the ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + '_ {
        self.starts.windows(2).map(|pair| &self.joined[pair[0] as usize..pair[1] as usize])
    }

    fn memory_bytes(&self) -> usize {
        self.joined.len() + size_of_val(&*self.starts)
    }
}
