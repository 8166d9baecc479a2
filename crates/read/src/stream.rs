//! The server's bytes as they come.

use crate::ReadError;
use bytes::Bytes;
use reqwest::Response;

/// The end of an answer that may hold an error which came after rows.
const TAIL: usize = 16 * 1024;
/// Between rows and such an error.
const MARKER: &[u8] = b"__exception__";

/// The server's bytes as they come. An error that the server meets after its first rows is an error here, not a short answer;
/// whoever passes bytes on as they come has passed the rows before it on by then.
#[derive(Debug)]
pub struct ByteStream {
    source: Source,
    tail: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    Server(Response),
    Ready(Option<Bytes>),
}

impl ByteStream {
    pub(crate) const fn of(response: Response) -> Self {
        Self { source: Source::Server(response), tail: Vec::new() }
    }

    pub(crate) const fn ready(bytes: Bytes) -> Self {
        Self { source: Source::Ready(Some(bytes)), tail: Vec::new() }
    }

    /// The next bytes; `None` after the last of a whole answer. Cancel safe.
    ///
    /// # Errors
    /// When the connection breaks off, or the server failed after its first rows.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let response = match &mut self.source {
            Source::Ready(bytes) => return Ok(bytes.take()),
            Source::Server(response) => response,
        };
        match response.chunk().await {
            Ok(Some(chunk)) => {
                self.remember(&chunk);
                Ok(Some(chunk))
            }
            Ok(None) => late_error(&self.tail).map_or(Ok(None), Err),
            Err(error) => Err(late_error(&self.tail).unwrap_or(ReadError::BrokenOff(error.without_url()))),
        }
    }

    /// All bytes of the answer, for answers that are known to be small.
    ///
    /// # Errors
    /// As [`ByteStream::next`].
    pub async fn collect(mut self) -> Result<Vec<u8>, ReadError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    fn remember(&mut self, chunk: &[u8]) {
        let keep = chunk.len().min(TAIL);
        self.tail.extend_from_slice(&chunk[chunk.len() - keep..]);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }
}

/// The error at the end of an answer. A marker alone is not one: rows may hold the word.
fn late_error(tail: &[u8]) -> Option<ReadError> {
    let at = tail.windows(MARKER.len()).position(|window| window == MARKER)?;
    let words = String::from_utf8_lossy(&tail[at + MARKER.len()..]).into_owned();
    let line = words.lines().find(|line| line.contains("DB::Exception"))?;
    Some(ReadError::Late { words: line.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_after_the_first_rows_is_seen() {
        let tail = b"1\n2\n\r\n__exception__\r\nabc\r\nCode: 395. DB::Exception: boom: while executing\n12 abc\r\n__exception__\r\n";
        assert!(late_error(tail).unwrap().to_string().contains("boom"));
        assert!(late_error(b"1\n2\n").is_none());
        assert!(late_error(b"a headline about __exception__\nnext\n").is_none());
    }
}
