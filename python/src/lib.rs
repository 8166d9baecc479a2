//! The Rust half of the Python package `tickhouse`, as the module `tickhouse._core`.
//!
//! What enters: Python's objects. What leaves: Python's objects. What never happens here: logic that another program would
//! want (it belongs into a crate of its own), waiting with the interpreter's lock held.
//!
//! | file | holds |
//! |---|---|
//! | `parse.rs` | `parse_binary` |
//! | `tick.rs`, `pipeline.rs` | `Pipeline`: dictionaries into the journal; its counters, its waiting, its end |
//! | `settings.rs` | `tickhouse.toml`, `TICKHOUSE_*` and keywords into one configuration, for all of the above and below |
//! | `errors.rs` | exceptions of `tickhouse/errors.py`, raised from here |
//! | `read.rs` | what is read back: registers itself in `read::register` |
//!
//! Each file has a `register(module)`; the names are public through `tickhouse/__init__.py`, their types stand in
//! `tickhouse/_core.pyi`, which `stubtest` holds against the module that was built.

mod errors;
mod parse;
mod pipeline;
mod read;
mod settings;
mod tick;

use pyo3::prelude::*;

/// What `import tickhouse._core` runs.
#[pymodule(name = "_core")]
fn core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    parse::register(module)?;
    pipeline::register(module)?;
    read::register(module)
}
