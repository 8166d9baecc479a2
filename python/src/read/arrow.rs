//! The server's bytes as a file that can be read once, from its begin to its end.
//!
//! What enters: pieces of an answer. What leaves: `bytes` of the length that was asked for, which Arrow keeps and points into. What
//! never happens here: more of the answer in memory than was asked for and a piece.

use super::{SLICE, check_process, failed, runtime};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tickhouse_read::{ByteStream, ReadError};
use tokio::time::timeout;

/// An answer in Arrow's stream format.
#[pyclass(module = "tickhouse._core", frozen)]
pub(crate) struct ArrowStream {
    pieces: Mutex<Pieces>,
    process: u32,
}

struct Pieces {
    answer: Option<ByteStream>,
    held: VecDeque<Bytes>,
    length: usize,
}

impl ArrowStream {
    pub(super) fn new(answer: ByteStream) -> Self {
        let pieces = Pieces { answer: Some(answer), held: VecDeque::new(), length: 0 };
        Self { pieces: Mutex::new(pieces), process: std::process::id() }
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

    /// Takes so many bytes out, or all that are there.
    fn take(&mut self, wanted: usize) -> (Vec<Bytes>, usize) {
        let mut parts = Vec::new();
        let mut length = 0;
        while length < wanted
            && let Some(piece) = self.held.front_mut()
        {
            let part = piece.split_to(piece.len().min(wanted - length));
            length += part.len();
            parts.push(part);
            if piece.is_empty() {
                self.held.pop_front();
            }
        }
        self.length -= length;
        (parts, length)
    }
}

impl ArrowStream {
    /// To be called without the interpreter's lock: another thread may hold this one while it waits.
    fn locked(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ArrowStream {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // the parent's: giving it up would wake threads that are not here
            let pieces = self.pieces.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(pieces.answer.take());
        }
    }
}

#[pymethods]
impl ArrowStream {
    #[pyo3(signature = (size=-1, /))]
    fn read<'py>(&self, py: Python<'py>, size: i64) -> PyResult<Bound<'py, PyBytes>> {
        check_process(py, self.process)?;
        let runtime = runtime(py);
        let wanted = usize::try_from(size).unwrap_or(usize::MAX);
        let fill = || {
            let mut pieces = self.locked();
            let filled = runtime.block_on(async { timeout(SLICE, pieces.fill(wanted)).await });
            filled.map_or(Ok(None), |filled| filled.map(|()| Some(pieces.take(wanted))))
        };
        let (parts, length) = loop {
            if let Some(taken) = py.detach(fill).map_err(|error| failed(py, &error))? {
                break taken;
            }
            py.check_signals()?;
        };
        PyBytes::new_with(py, length, |mut into| {
            for part in parts {
                let (here, rest) = into.split_at_mut(part.len());
                here.copy_from_slice(&part);
                into = rest;
            }
            Ok(())
        })
    }

    #[staticmethod]
    fn readable() -> bool {
        true
    }

    /// Gives the connection up; a query that still runs ends.
    fn close(&self, py: Python<'_>) {
        if self.process == std::process::id() {
            py.detach(|| *self.locked() = Pieces { answer: None, held: VecDeque::new(), length: 0 });
        }
    }

    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        let ended = || {
            let pieces = self.locked();
            pieces.answer.is_none() && pieces.length == 0
        };
        self.process != std::process::id() || py.detach(ended)
    }
}
