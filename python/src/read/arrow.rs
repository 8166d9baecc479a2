//! The server's bytes as a file that can be read once, from its begin to its end.
//!
//! What enters: pieces of an answer. What leaves: `bytes` of the length that was asked for, which Arrow keeps and points into. What
//! never happens here: more of the answer in memory than was asked for and a piece.

use super::{SLICE, failed, runtime};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tickhouse_read::{ByteStream, ReadError};
use tokio::time::timeout;

/// An answer in Arrow's stream format.
#[pyclass(module = "tickhouse._core", frozen)]
pub(crate) struct ArrowStream(Mutex<Pieces>);

struct Pieces {
    answer: Option<ByteStream>,
    held: VecDeque<Bytes>,
    length: usize,
}

impl ArrowStream {
    pub(super) fn new(answer: ByteStream) -> Self {
        Self(Mutex::new(Pieces { answer: Some(answer), held: VecDeque::new(), length: 0 }))
    }
}

impl Pieces {
    /// Reads until so many bytes are there, or all.
    async fn fill(&mut self, wanted: usize) -> Result<(), ReadError> {
        while self.length < wanted
            && let Some(answer) = &mut self.answer
        {
            match answer.next().await? {
                Some(piece) => {
                    self.length += piece.len();
                    self.held.push_back(piece);
                }
                None => self.answer = None,
            }
        }
        Ok(())
    }

    /// Moves so many bytes, which are there.
    fn take(&mut self, into: &mut [u8]) {
        let mut done = 0;
        while done < into.len()
            && let Some(piece) = self.held.front_mut()
        {
            let part = piece.split_to(piece.len().min(into.len() - done));
            into[done..done + part.len()].copy_from_slice(&part);
            done += part.len();
            if piece.is_empty() {
                self.held.pop_front();
            }
        }
        self.length -= done;
    }
}

impl ArrowStream {
    fn locked(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl ArrowStream {
    #[pyo3(signature = (size=-1, /))]
    fn read<'py>(&self, py: Python<'py>, size: i64) -> PyResult<Bound<'py, PyBytes>> {
        let wanted = usize::try_from(size).unwrap_or(usize::MAX);
        // the lock is held only while the interpreter's is not
        let fill = || {
            let mut pieces = self.locked();
            let slice = async { timeout(SLICE, pieces.fill(wanted)).await };
            runtime().block_on(slice).map_or(Ok(false), |filled| filled.map(|()| true))
        };
        while !py.detach(fill).map_err(|error| failed(py, &error))? {
            py.check_signals()?;
        }
        let mut pieces = self.locked();
        let length = wanted.min(pieces.length);
        PyBytes::new_with(py, length, |into| {
            pieces.take(into);
            Ok(())
        })
    }

    #[staticmethod]
    fn readable() -> bool {
        true
    }

    /// Gives the connection up; a query that still runs ends.
    fn close(&self) {
        *self.locked() = Pieces { answer: None, held: VecDeque::new(), length: 0 };
    }

    #[getter]
    fn closed(&self) -> bool {
        let pieces = self.locked();
        pieces.answer.is_none() && pieces.length == 0
    }
}
