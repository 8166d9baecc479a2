//! Exceptions: classes of `tickhouse/errors.py`, raised from Rust.
//!
//! What enters: why something failed. What leaves: a `PyErr`. What never happens here: a secret in a text.

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// A class of `tickhouse.errors`, found when it is first raised.
pub(crate) struct Class {
    name: &'static str,
    found: PyOnceLock<Py<PyType>>,
}

impl Class {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, found: PyOnceLock::new() }
    }
}

pub(crate) static CLOSED: Class = Class::new("Closed");
pub(crate) static CONFIG_ERROR: Class = Class::new("ConfigError");
pub(crate) static FLUSH_TIMEOUT: Class = Class::new("FlushTimeout");
pub(crate) static FRAME_ERROR: Class = Class::new("FrameError");
pub(crate) static FULL: Class = Class::new("Full");
pub(crate) static JOURNAL_ERROR: Class = Class::new("JournalError");
pub(crate) static READ_ERROR: Class = Class::new("ReadError");
pub(crate) static TICK_ERROR: Class = Class::new("TickError");

/// An exception of this class, made with these arguments.
pub(crate) fn raise<'py>(py: Python<'py>, class: &Class, arguments: impl PyCallArgs<'py>) -> PyErr {
    let made =
        class.found.import(py, "tickhouse.errors", class.name).and_then(|class| class.call1(arguments));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// An error with everything that caused it, on one line.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
