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

pub(crate) static FRAME_ERROR: Class = Class::new("FrameError");

/// An exception of this class, made with these arguments.
pub(crate) fn raise<'py>(py: Python<'py>, class: &Class, arguments: impl PyCallArgs<'py>) -> PyErr {
    let made = class.found.import(py, "tickhouse.errors", class.name).and_then(|class| class.call1(arguments));
    made.map_or_else(|error| error, PyErr::from_value)
}
