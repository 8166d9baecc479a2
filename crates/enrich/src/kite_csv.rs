//! Kite's instruments master: a CSV, gzipped as the API sends it, or plain.
//!
//! Rows are lines. A general CSV reader lets one unbalanced quote swallow every row up to the next quote; here it costs
//! the one row, and a line without an end costs no more memory than [`MAX_LINE`].
//! Columns: <https://kite.trade/docs/connect/v3/market-quotes/#instruments>.

use crate::read::{ReadError, ReadReport};
use crate::{MAX_TEXT_LEN, TableFull};
use flate2::bufread::MultiGzDecoder;
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use tickhouse_model::{Instrument, InstrumentKind, Token};

/// Most bytes of a line; a row of Kite's has about 100.
const MAX_LINE: u64 = 16 * 1024;

/// Most bytes of a file after decompression; Kite's has about 10 MB.
pub(crate) const MAX_FILE: u64 = 2 << 30;

const BUFFER: usize = 64 * 1024;

/// Decompresses when the first bytes are those of gzip.
///
/// # Errors
/// When the reader fails.
pub(crate) fn maybe_gzipped<'a>(reader: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    // one look may give one byte only, so look until there are two or the end
    let first = reader.fill_buf()?;
    if first.len() == 1 {
        let mut head = vec![first[0]];
        reader.consume(1);
        reader.by_ref().take(1).read_to_end(&mut head)?;
        let gzipped = head == GZIP_MAGIC;
        return Ok(decoded(BufReader::new(io::Cursor::new(head).chain(reader)), gzipped));
    }
    let gzipped = first.starts_with(&GZIP_MAGIC);
    Ok(decoded(reader, gzipped))
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

fn decoded<'a>(reader: impl BufRead + 'a, gzipped: bool) -> Box<dyn BufRead + 'a> {
    if gzipped {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader)))
    } else {
        Box::new(reader)
    }
}

/// Reads Kite's instruments CSV row by row; `add` says whether an instrument of the same token was there before.
///
/// Columns are found by their names, in any order; only `instrument_token`, `tradingsymbol` and `exchange` must be there.
/// A row without its `exchange_token` field, as Kite's documentation shows one, is understood. The `symbol`, `sector`
/// and `asset_class` of the instruments are empty: the rules of a table's builder fill them.
///
/// # Errors
/// When the reader fails, the header is not that of an instruments file, the file is absurdly large or `add` refuses.
/// A bad row is no error: it is skipped and stands in the report.
pub fn read_kite_csv(
    reader: impl Read,
    mut add: impl FnMut(Instrument) -> Result<bool, TableFull>,
) -> Result<ReadReport, ReadError> {
    let reader = maybe_gzipped(reader).map_err(|source| ReadError::Io { line: 0, source })?;
    let mut lines = Lines { reader, buffer: Vec::new(), line: 0, bytes: 0 };
    let columns = match lines.next()? {
        Some(Line::Text(header)) => Columns::of(header.trim_start_matches('\u{feff}'))?,
        Some(Line::Bad(_)) | None => Columns::of("")?,
    };
    let mut report = ReadReport::default();
    while let Some(line) = lines.next()? {
        let parsed = match line {
            Line::Text("") => continue,
            Line::Text(text) => columns.instrument(text),
            Line::Bad(reason) => Err(reason.to_owned()),
        };
        report.rows += 1;
        match parsed {
            Ok(instrument) => report.count(add(instrument)?),
            Err(reason) => report.skip(lines.line, reason),
        }
    }
    Ok(report)
}

enum Line<'a> {
    Text(&'a str),
    Bad(&'static str),
}

struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    line: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<Line<'_>>, ReadError> {
        self.buffer.clear();
        if self.read()? == 0 {
            return Ok(None);
        }
        self.line += 1;
        if self.buffer.len() as u64 > MAX_LINE {
            while !self.buffer.ends_with(b"\n") {
                self.buffer.clear();
                if self.read()? == 0 {
                    break;
                }
            }
            return Ok(Some(Line::Bad("the line is longer than 16 KiB")));
        }
        match str::from_utf8(&self.buffer) {
            Ok(text) => Ok(Some(Line::Text(text.trim_end_matches(['\n', '\r'])))),
            Err(_) => Ok(Some(Line::Bad("the line is not UTF-8"))),
        }
    }

    fn read(&mut self) -> Result<u64, ReadError> {
        let mut bounded = (&mut self.reader).take(MAX_LINE + 1);
        let read = bounded
            .read_until(b'\n', &mut self.buffer)
            .map_err(|source| ReadError::Io { line: self.line, source })? as u64;
        self.bytes += read;
        if self.bytes > MAX_FILE {
            return Err(ReadError::TooLarge { limit: MAX_FILE });
        }
        Ok(read)
    }
}

/// Where each column stands in a row.
struct Columns {
    count: usize,
    instrument_token: usize,
    exchange_token: Option<usize>,
    tradingsymbol: usize,
    exchange: usize,
    name: Option<usize>,
    expiry: Option<usize>,
    strike: Option<usize>,
    tick_size: Option<usize>,
    lot_size: Option<usize>,
    instrument_type: Option<usize>,
    segment: Option<usize>,
}

impl Columns {
    fn of(header: &str) -> Result<Self, ReadError> {
        let names = split(header).unwrap_or_default();
        let at = |name: &str| names.iter().position(|column| column.trim() == name);
        let needed = ["instrument_token", "tradingsymbol", "exchange"];
        let [Some(instrument_token), Some(tradingsymbol), Some(exchange)] = needed.map(at) else {
            let missing: Vec<_> = needed.into_iter().filter(|name| at(name).is_none()).collect();
            return Err(ReadError::Header { missing: missing.join(", ") });
        };
        Ok(Self {
            count: names.len(),
            instrument_token,
            exchange_token: at("exchange_token"),
            tradingsymbol,
            exchange,
            name: at("name"),
            expiry: at("expiry"),
            strike: at("strike"),
            tick_size: at("tick_size"),
            lot_size: at("lot_size"),
            instrument_type: at("instrument_type"),
            segment: at("segment"),
        })
    }

    fn instrument(&self, line: &str) -> Result<Instrument, String> {
        let mut fields = split(line)?;
        self.mend(&mut fields);
        if fields.len() != self.count {
            return Err(format!("{} fields where the header has {}", fields.len(), self.count));
        }
        if let Some(long) = fields.iter().find(|field| field.len() > MAX_TEXT_LEN) {
            return Err(format!("a field of {} bytes, more than {MAX_TEXT_LEN}", long.len()));
        }
        let optional = |column: Option<usize>| column.map_or("", |at| fields[at].trim());
        let token = fields[self.instrument_token].trim();
        let token = Token(token.parse().map_err(|_| format!("instrument_token `{token}` is no number"))?);
        let tradingsymbol = fields[self.tradingsymbol].trim();
        if tradingsymbol.is_empty() {
            return Err("tradingsymbol is empty".to_owned());
        }
        let segment = optional(self.segment);
        let kind = InstrumentKind::of(optional(self.instrument_type), segment);
        Ok(Instrument {
            token,
            symbol: String::new(),
            tradingsymbol: tradingsymbol.to_owned(),
            underlying: optional(self.name).to_owned(),
            exchange: fields[self.exchange].trim().to_owned(),
            segment: segment.to_owned(),
            instrument_type: if token.segment().is_index() { InstrumentKind::Index } else { kind },
            sector: String::new(),
            asset_class: String::new(),
            expiry: days(optional(self.expiry))?,
            strike: number("strike", optional(self.strike))?,
            tick_size: number("tick_size", optional(self.tick_size))?,
            lot_size: number("lot_size", optional(self.lot_size))? as u32,
        })
    }

    /// Puts an empty field where a row leaves out its `exchange_token`.
    fn mend(&self, fields: &mut Vec<Cow<'_, str>>) {
        if let Some(at) = self.exchange_token
            && fields.len() + 1 == self.count
            && fields.get(at).is_some_and(|field| field.parse::<u32>().is_err())
        {
            fields.insert(at, Cow::Borrowed(""));
        }
    }
}

/// A number that is zero or more, 0 for an empty field.
fn number(column: &str, text: &str) -> Result<f64, String> {
    if text.is_empty() {
        return Ok(0.0);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(format!("{column} `{text}` is no number")),
    }
}

/// Days since 1970-01-01 of `yyyy-mm-dd`, `None` for an empty field. Anything after the date is not read.
pub(crate) fn days(text: &str) -> Result<Option<i32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let date = text.get(..10).and_then(|date| date.parse::<jiff::civil::Date>().ok());
    let days = date.map(crate::calendar::days_of);
    match days {
        Some(days) if (1..=i32::from(u16::MAX)).contains(&days) => Ok(Some(days)),
        _ => Err(format!("expiry `{text}` is no date from 1970 to 2149")),
    }
}

/// The fields of one line: separated by commas, optionally in double quotes, which are doubled inside.
pub(crate) fn split(line: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let mut fields = Vec::with_capacity(12);
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => match rest.split_once(',') {
                Some((field, after)) => (Cow::Borrowed(field), Some(after)),
                None => (Cow::Borrowed(rest), None),
            },
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// The field whose opening quote was just read, and what follows its comma.
fn quoted_field(text: &str) -> Result<(Cow<'_, str>, Option<&str>), String> {
    let mut field = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            return Err("a quote is not closed".to_owned());
        };
        field += part;
        match after.as_bytes().first() {
            None => return Ok((field, None)),
            Some(b',') => return Ok((field, Some(&after[1..]))),
            Some(b'"') => {
                field += "\"";
                rest = &after[1..];
            }
            Some(_) => return Err("text follows a closing quote".to_owned()),
        }
    }
}
