//! JSON, piece by piece, with the place of everything.
//!
//! What enters: bytes of any length. What leaves: keys, elements and values one after the other, each with its path, line and
//! byte. What never happens here: more memory than one value and the names on the path to it; a panic on any bytes.
//!
//! Why not a crate: files that Python wrote hold `NaN`; a fault has to be told with its place; and behind a broken candle the
//! next one has to be found again. No streaming parser does the last.

mod error;
mod path;

pub use error::Fault;
pub(crate) use error::JsonError;
use path::Level;

use std::io::Read;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Longest text or number.
const LONGEST: usize = 1 << 20;
/// Deepest nesting.
const DEEPEST: usize = 64;

/// What a value begins like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    /// A text, a number or a word.
    Scalar,
}

/// A value that holds no others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Text(&'a str),
    Number(f64),
    Bool(bool),
    /// `null`, `None`, `NaN` or an infinity: Python's ways of having no number.
    Nothing,
}

/// Reads one JSON document.
pub(crate) struct JsonReader<R> {
    inner: R,
    buffer: Vec<u8>,
    /// What is not yet read is `buffer[at..end]`.
    at: usize,
    end: usize,
    /// Bytes of the input before the buffer.
    before: u64,
    line: u64,
    levels: Vec<Level>,
    /// After a recovery the next element may come without a comma.
    resumed: bool,
    /// A text with escapes, decoded.
    decoded: String,
}

impl<R: Read> JsonReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: vec![0; CHUNK],
            at: 0,
            end: 0,
            before: 0,
            line: 1,
            levels: Vec::new(),
            resumed: false,
            decoded: String::new(),
        }
    }

    /// Bytes read so far.
    pub(crate) const fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// Objects and arrays that are open.
    pub(crate) const fn depth(&self) -> usize {
        self.levels.len()
    }

    /// A fault at this place.
    pub(crate) fn fault(&self, problem: impl Into<String>) -> Fault {
        Fault {
            path: path::text(&self.levels),
            line: self.line,
            byte: self.offset(),
            problem: problem.into(),
        }
    }

    fn broken(&self, problem: impl Into<String>) -> JsonError {
        JsonError::Broken(self.fault(problem))
    }

    /// What the next value begins like.
    pub(crate) fn kind(&mut self) -> Result<Kind, JsonError> {
        match self.peek()? {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"' | b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => Ok(Kind::Scalar),
            Some(byte) => Err(self.broken(format!("`{}` where a value should be", shown(byte)))),
            None => Err(self.broken("the file ends where a value should be: it is cut off")),
        }
    }

    /// Enters the object or array that begins here.
    pub(crate) fn begin(&mut self) -> Result<(), JsonError> {
        let array = match self.peek()? {
            Some(b'[') => true,
            Some(b'{') => false,
            _ => return Err(self.broken("neither an object nor an array")),
        };
        if self.levels.len() == DEEPEST {
            return Err(self.broken(format!("nested deeper than {DEEPEST} levels")));
        }
        self.at += 1;
        self.levels.push(Level::new(array));
        Ok(())
    }

    /// Says whether the innermost array or object is a candle: see [`JsonReader::recover`].
    pub(crate) fn set_candle(&mut self, candle: bool) {
        if let Some(level) = self.levels.last_mut() {
            level.candle = candle;
        }
    }

    /// Whether the innermost array or object is a candle.
    pub(crate) fn in_candle(&self) -> bool {
        self.levels.last().is_some_and(|level| level.candle)
    }

    /// Whether the present member is the first of its array or object.
    pub(crate) fn is_first(&self) -> bool {
        self.levels.last().is_some_and(|level| level.index == 1)
    }

    /// This place, for a fault that is noticed behind it in the same member.
    pub(crate) const fn mark(&self) -> (u64, u64) {
        (self.line, self.offset())
    }

    /// A fault of the present member at a mark.
    pub(crate) fn fault_at(&self, (line, byte): (u64, u64), problem: impl Into<String>) -> Fault {
        Fault { line, byte, ..self.fault(problem) }
    }

    /// Goes to the next element of the innermost array; at its end leaves it and gives false.
    pub(crate) fn next_element(&mut self) -> Result<bool, JsonError> {
        if !self.separate(b']')? {
            return Ok(false);
        }
        let level = self.levels.last_mut().expect("an array is open");
        level.index += 1;
        Ok(true)
    }

    /// Goes to the next key of the innermost object, see [`JsonReader::key`]; at its end leaves it and gives false.
    pub(crate) fn next_key(&mut self) -> Result<bool, JsonError> {
        if !self.separate(b'}')? {
            return Ok(false);
        }
        if self.peek()? != Some(b'"') {
            return Err(self.broken("a key in quotes should be here"));
        }
        let mut key = std::mem::take(&mut self.levels.last_mut().expect("an object is open").key);
        key.clear();
        key.push_str(self.text()?);
        let level = self.levels.last_mut().expect("an object is open");
        level.key = key;
        level.index += 1;
        if self.peek()? != Some(b':') {
            return Err(self.broken("a `:` should follow the key"));
        }
        self.at += 1;
        Ok(true)
    }

    /// The key that [`JsonReader::next_key`] went to.
    pub(crate) fn key(&self) -> &str {
        self.levels.last().map_or("", |level| &level.key)
    }

    /// Passes the comma before the next member, or the bracket behind the last.
    fn separate(&mut self, close: u8) -> Result<bool, JsonError> {
        let first = self.levels.last().is_none_or(|level| level.index == 0);
        let resumed = std::mem::take(&mut self.resumed);
        match self.peek()? {
            Some(byte) if byte == close => {
                self.at += 1;
                self.levels.pop();
                Ok(false)
            }
            Some(b',') if !first || resumed => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first || resumed => Ok(true),
            Some(byte) => {
                Err(self.broken(format!("`{}` where a comma or `{}` should be", shown(byte), shown(close))))
            }
            None => Err(self.broken("the file ends here: it is cut off")),
        }
    }

    /// The value that is neither an object nor an array.
    pub(crate) fn scalar(&mut self) -> Result<Scalar<'_>, JsonError> {
        match self.peek()? {
            Some(b'"') => self.text().map(Scalar::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.word(),
            _ => Err(self.broken("neither a text nor a number")),
        }
    }

    fn text(&mut self) -> Result<&str, JsonError> {
        let (mut length, mut escaped) = (1, false);
        loop {
            if self.at + length == self.end && !self.more()? {
                return Err(self.broken("the file ends inside a text: it is cut off"));
            }
            match self.buffer[self.at + length] {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    length += 1;
                    if self.at + length == self.end && !self.more()? {
                        return Err(self.broken("the file ends inside a text: it is cut off"));
                    }
                }
                byte if byte < b' ' => {
                    let broken =
                        self.broken("a line end or control character inside a text: a quote is missing");
                    self.at += length;
                    return Err(broken);
                }
                _ => {}
            }
            length += 1;
        }
        let whole = self.at..self.at + length + 1;
        if escaped {
            match serde_json::from_slice(&self.buffer[whole.clone()]) {
                Ok(decoded) => self.decoded = decoded,
                Err(_) => return Err(self.broken("a text with a wrong escape")),
            }
            self.at = whole.end;
            return Ok(&self.decoded);
        }
        if std::str::from_utf8(&self.buffer[whole.clone()]).is_err() {
            return Err(self.broken("a text that is not UTF-8"));
        }
        self.at = whole.end;
        let inside = &self.buffer[whole.start + 1..whole.end - 1];
        Ok(std::str::from_utf8(inside).unwrap_or_default())
    }

    fn number(&mut self) -> Result<Scalar<'static>, JsonError> {
        let length = self.run(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))?;
        let bytes = &self.buffer[self.at..self.at + length];
        if bytes == b"-" && self.buffer[self.at..self.end].starts_with(b"-I") {
            self.at += 1;
            return self.word();
        }
        let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<f64>().ok());
        let Some(number) = number else {
            let text = String::from_utf8_lossy(bytes);
            return Err(self.broken(format!("`{}` is no number", shortened(&text))));
        };
        self.at += length;
        Ok(if number.is_finite() { Scalar::Number(number) } else { Scalar::Nothing })
    }

    fn word(&mut self) -> Result<Scalar<'static>, JsonError> {
        let length = self.run(|byte| byte.is_ascii_alphanumeric())?;
        let scalar = match &self.buffer[self.at..self.at + length] {
            b"true" | b"True" => Scalar::Bool(true),
            b"false" | b"False" => Scalar::Bool(false),
            b"null" | b"None" | b"NaN" | b"nan" | b"Infinity" => Scalar::Nothing,
            other => {
                let word = String::from_utf8_lossy(&other[..other.len().min(20)]).into_owned();
                return Err(self.broken(format!("`{word}` is no value")));
            }
        };
        self.at += length;
        Ok(scalar)
    }

    /// Length of what belongs together from here, all of it in the buffer.
    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> Result<usize, JsonError> {
        let mut length = 0;
        loop {
            if self.at + length == self.end && !self.more()? {
                return Ok(length);
            }
            if !belongs(self.buffer[self.at + length]) {
                return Ok(length);
            }
            length += 1;
        }
    }

    /// Passes a value, whatever it holds.
    pub(crate) fn skip(&mut self) -> Result<(), JsonError> {
        if self.kind()? == Kind::Scalar {
            return self.scalar().map(drop);
        }
        let depth = self.depth();
        self.begin()?;
        self.leave(depth)
    }

    /// Passes the rest of open objects and arrays until `depth` of them are open.
    pub(crate) fn leave(&mut self, depth: usize) -> Result<(), JsonError> {
        while self.depth() > depth {
            let array = self.levels.last().is_some_and(|level| level.array);
            let more = if array { self.next_element()? } else { self.next_key()? };
            if more {
                match self.kind()? {
                    Kind::Scalar => self.scalar().map(drop)?,
                    Kind::Object | Kind::Array => self.begin()?,
                }
            }
        }
        Ok(())
    }

    /// That nothing follows.
    pub(crate) fn finish(&mut self) -> Result<(), JsonError> {
        match self.peek()? {
            None => Ok(()),
            Some(byte) => Err(self.broken(format!("`{}` behind the end of the document", shown(byte)))),
        }
    }

    /// Finds the way back after [`JsonError::Broken`] inside a candle, or between the candles of an array: goes behind the
    /// candle, or before the next. Gives false, at the place where that became clear, when it can't be told any more
    /// which instrument the next candle belongs to.
    pub(crate) fn recover(&mut self) -> Result<bool, JsonError> {
        let Some(level) = self.levels.last() else { return Ok(false) };
        let (array, candle) = (level.array, level.candle);
        if !array && !candle {
            return Ok(false);
        }
        let close = if array { b']' } else { b'}' };
        while let Some(byte) = self.peek()? {
            match byte {
                byte if byte == close => {
                    self.at += 1;
                    self.levels.pop();
                    return Ok(true);
                }
                b'[' if candle && !array => return Ok(false),
                b'[' | b'{' => {
                    if candle {
                        self.levels.pop();
                    }
                    self.resumed = true;
                    return Ok(true);
                }
                b']' | b'}' => return Ok(false),
                b'"' | b':' if !candle => return Ok(false),
                _ => self.at += 1,
            }
        }
        Ok(false)
    }

    /// The next byte that is no white space, not yet passed; `None` at the end.
    fn peek(&mut self) -> Result<Option<u8>, JsonError> {
        loop {
            while self.at < self.end {
                match self.buffer[self.at] {
                    b'\n' => self.line += 1,
                    b' ' | b'\t' | b'\r' => {}
                    byte => return Ok(Some(byte)),
                }
                self.at += 1;
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Reads more behind what is there; false at the end of the input.
    fn more(&mut self) -> Result<bool, JsonError> {
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.end, 0);
            self.before += self.at as u64;
            self.end -= self.at;
            self.at = 0;
        }
        if self.end == self.buffer.len() {
            if self.end >= LONGEST {
                return Err(self.broken(format!("a text or number longer than {LONGEST} bytes")));
            }
            self.buffer.resize(self.end * 2, 0);
        }
        let read = loop {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read.map_err(JsonError::Io)?,
            }
        };
        self.end += read;
        Ok(read > 0)
    }
}

/// What a fault quotes of a text: faults are kept, and texts may be long.
pub(crate) fn shortened(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

fn shown(byte: u8) -> String {
    byte.escape_ascii().to_string()
}

#[cfg(test)]
mod tests;
