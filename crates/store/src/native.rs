//! Blocks in ClickHouse's Native format: columns built once, value by value, and sent as they are.
//!
//! What enters: values, row by row, in the order of a column list. What leaves: the bytes of one block, one buffer per
//! column. What never happens here: I/O, an allocation per row once the buffers have grown.
//!
//! Layout: `varint columns, varint rows`, then per column `name, type, data`, strings with a varint length, numbers
//! little-endian. Source: <https://clickhouse.com/docs/interfaces/specs/nativeformat>, at protocol revision 0, which is what
//! HTTP without `client_protocol_version` means.

use bytes::Bytes;
use rustc_hash::FxHashMap;
use uuid::Uuid;

/// A column of a table: its name and its type as ClickHouse writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Column name.
    pub name: &'static str,
    /// ClickHouse type, exactly as `system.columns` shows it.
    pub sql_type: &'static str,
}

/// Shorthand for a column list.
pub(crate) const fn column(name: &'static str, sql_type: &'static str) -> ColumnSpec {
    ColumnSpec { name, sql_type }
}

/// Rows as columns, growing.
#[derive(Debug)]
pub struct BlockBuilder {
    specs: &'static [ColumnSpec],
    columns: Vec<Column>,
    rows: usize,
}

#[derive(Debug)]
enum Column {
    /// Numbers of any width, and strings with their lengths: the bytes as they are sent.
    Plain(Vec<u8>),
    /// `LowCardinality(String)`: a dictionary and an index per row.
    Dictionary(Dictionary),
    /// `Array(UInt32)`, `Array(String)`: end offsets, then values.
    Array { offsets: Vec<u8>, values: Vec<u8>, count: u64 },
}

impl BlockBuilder {
    /// No rows yet.
    pub fn new(specs: &'static [ColumnSpec]) -> Self {
        let columns = specs.iter().map(|spec| Column::of(spec.sql_type)).collect();
        Self { specs, columns, rows: 0 }
    }

    /// Rows so far.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Begins a row. Values must follow in the order of the columns, one for each.
    #[inline]
    pub fn row(&mut self) -> Row<'_> {
        self.rows += 1;
        Row { columns: self.columns.iter_mut() }
    }

    /// The block, ready to be sent.
    pub fn finish(self) -> NativeBlock {
        let mut header = Vec::with_capacity(16);
        put_varint(&mut header, self.specs.len() as u64);
        put_varint(&mut header, self.rows as u64);
        let mut chunks = Vec::with_capacity(self.specs.len() * 2 + 1);
        for (spec, column) in self.specs.iter().zip(self.columns) {
            put_string(&mut header, spec.name.as_bytes());
            put_string(&mut header, spec.sql_type.as_bytes());
            column.finish(&mut header, &mut chunks);
        }
        chunks.push(Bytes::from(header));
        NativeBlock { specs: self.specs, rows: self.rows, chunks }
    }
}

impl Column {
    fn of(sql_type: &str) -> Self {
        match sql_type {
            "LowCardinality(String)" => Self::Dictionary(Dictionary::default()),
            "Array(UInt32)" | "Array(String)" => {
                Self::Array { offsets: Vec::new(), values: Vec::new(), count: 0 }
            }
            _ => Self::Plain(Vec::new()),
        }
    }

    /// Appends the data. Small pieces are gathered in `pending`; a large one is handed on without copying.
    fn finish(self, pending: &mut Vec<u8>, chunks: &mut Vec<Bytes>) {
        match self {
            Self::Plain(bytes) => hand_on(bytes, pending, chunks),
            Self::Dictionary(dictionary) => dictionary.finish(pending),
            Self::Array { offsets, values, .. } => {
                hand_on(offsets, pending, chunks);
                hand_on(values, pending, chunks);
            }
        }
    }
}

/// Below this many bytes a copy is cheaper than one more chunk on the connection.
const COPY_BELOW: usize = 16 * 1024;

fn hand_on(bytes: Vec<u8>, pending: &mut Vec<u8>, chunks: &mut Vec<Bytes>) {
    if bytes.len() < COPY_BELOW {
        pending.extend_from_slice(&bytes);
    } else {
        chunks.push(std::mem::take(pending).into());
        chunks.push(bytes.into());
    }
}

/// One row being written.
///
/// Each method writes the next column; the width must be that of the column's type.
#[derive(Debug)]
pub struct Row<'a> {
    columns: std::slice::IterMut<'a, Column>,
}

macro_rules! fixed_width {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, value: $type) -> &mut Self {
            self.plain().extend_from_slice(&value.to_le_bytes());
            self
        }
    )*};
}

impl Row<'_> {
    fixed_width! {
        /// `UInt8`, `Bool`.
        u8: u8,
        /// `Enum8`.
        i8: i8,
        /// `UInt16`, `Date`.
        u16: u16,
        /// `UInt32`, `DateTime`.
        u32: u32,
        /// `UInt64`.
        u64: u64,
        /// `DateTime64`.
        i64: i64,
        /// `Float32`.
        f32: f32,
        /// `Float64`.
        f64: f64,
    }

    /// `UUID`: two little-endian halves, the high one first.
    pub fn uuid(&mut self, value: Uuid) -> &mut Self {
        let (high, low) = value.as_u64_pair();
        let bytes = self.plain();
        bytes.extend_from_slice(&high.to_le_bytes());
        bytes.extend_from_slice(&low.to_le_bytes());
        self
    }

    /// `String`, any bytes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        put_string(self.plain(), value);
        self
    }

    /// `LowCardinality(String)`.
    #[inline]
    pub fn text(&mut self, value: &str) -> &mut Self {
        match self.columns.next() {
            Some(Column::Dictionary(dictionary)) => dictionary.push(value),
            other => unreachable!("a text for {other:?}: the row and the column list disagree"),
        }
        self
    }

    /// `Array(UInt32)`.
    pub fn u32s(&mut self, items: impl Iterator<Item = u32>) -> &mut Self {
        match self.columns.next() {
            Some(Column::Array { offsets, values, count }) => {
                for item in items {
                    *count += 1;
                    values.extend_from_slice(&item.to_le_bytes());
                }
                offsets.extend_from_slice(&count.to_le_bytes());
            }
            other => unreachable!("an array for {other:?}: the row and the column list disagree"),
        }
        self
    }

    /// `Array(String)`.
    pub fn strings(&mut self, items: &[String]) -> &mut Self {
        match self.columns.next() {
            Some(Column::Array { offsets, values, count }) => {
                *count += items.len() as u64;
                items.iter().for_each(|item| put_string(values, item.as_bytes()));
                offsets.extend_from_slice(&count.to_le_bytes());
            }
            other => unreachable!("an array for {other:?}: the row and the column list disagree"),
        }
        self
    }

    /// Ends the row.
    #[inline]
    pub fn end(&mut self) {
        debug_assert!(self.columns.len() == 0, "{} columns have no value", self.columns.len());
    }

    #[inline]
    fn plain(&mut self) -> &mut Vec<u8> {
        match self.columns.next() {
            Some(Column::Plain(bytes)) => bytes,
            other => unreachable!("a number for {other:?}: the row and the column list disagree"),
        }
    }
}

/// `LowCardinality(String)`. Key 0 is the empty string, as the server expects of a default.
#[derive(Debug)]
struct Dictionary {
    keys: Vec<u8>,
    indexes: Vec<u8>,
    seen: FxHashMap<Box<str>, Key>,
    /// Rows of the same exchange or recorder follow each other often.
    last: Key,
}

/// A key of a dictionary: its index, and where its bytes stand in `keys`.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    index: u32,
    start: u32,
    len: u32,
}

impl Default for Dictionary {
    fn default() -> Self {
        let empty = Key { index: 0, start: 1, len: 0 };
        let seen = std::iter::once(("".into(), empty)).collect();
        Self { keys: vec![0], indexes: Vec::new(), seen, last: empty }
    }
}

impl Dictionary {
    /// Version of the serialisation: a dictionary shared by parts, with additional keys.
    const VERSION: u64 = 1;
    /// Indexes are `UInt32` (2), keys follow (bit 9).
    const INDEX_TYPE: u64 = 2 | 1 << 9;

    #[inline]
    fn push(&mut self, value: &str) {
        let Key { start, len, .. } = self.last;
        if self.keys[start as usize..][..len as usize] != *value.as_bytes() {
            self.last = self.key_of(value);
        }
        self.indexes.extend_from_slice(&self.last.index.to_le_bytes());
    }

    fn key_of(&mut self, value: &str) -> Key {
        if let Some(key) = self.seen.get(value) {
            return *key;
        }
        put_string(&mut self.keys, value.as_bytes());
        let len = value.len() as u32;
        let key = Key { index: self.seen.len() as u32, start: self.keys.len() as u32 - len, len };
        self.seen.insert(value.into(), key);
        key
    }

    fn finish(self, out: &mut Vec<u8>) {
        let rows = (self.indexes.len() / 4) as u64;
        out.extend_from_slice(&Self::VERSION.to_le_bytes());
        if rows == 0 {
            return;
        }
        out.extend_from_slice(&Self::INDEX_TYPE.to_le_bytes());
        out.extend_from_slice(&(self.seen.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.keys);
        out.extend_from_slice(&rows.to_le_bytes());
        out.extend_from_slice(&self.indexes);
    }
}

/// The bytes of one block. Cloning shares them.
#[derive(Clone, Debug)]
pub struct NativeBlock {
    specs: &'static [ColumnSpec],
    rows: usize,
    chunks: Vec<Bytes>,
}

impl NativeBlock {
    /// Rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the block.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Whether the block has no rows.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The pieces in order.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// Names of the columns, for the `INSERT`.
    pub fn column_names(&self) -> String {
        self.specs.iter().map(|spec| format!("`{}`", spec.name)).collect::<Vec<_>>().join(", ")
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_string(out: &mut Vec<u8>, value: &[u8]) {
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}
