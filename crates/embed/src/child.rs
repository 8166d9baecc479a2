//! The body of the engine's process: load the shared library and hand it a command line.
//!
//! What enters: the launch file that [`Engine`](crate::Engine) wrote. What leaves: a ClickHouse server on the ports that
//! the file names, which lives as long as standard input stays open. What never happens: a return before that, or a call
//! into the library from a process that has other work.
//!
//! Unsafe, because a C function has to be called. (The only other unsafe code is one call in `tickhouse_decode`.)
#![allow(unsafe_code)]

use crate::EmbedError;
use serde::{Deserialize, Serialize};
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

/// Merges use every core that there is. What has to be answered within a millisecond, a socket's frames, goes before them.
fn recording_first() {
    if let Err(error) = rustix::process::setpriority_process(None, 5) {
        eprintln!("the engine runs at the priority of everything else: {error}");
    }
}

/// What the engine's process is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// The shared library.
    pub(crate) library: PathBuf,
    /// Arguments after the program's name.
    pub(crate) arguments: Vec<String>,
}

/// `struct local_result_v2 *chdb_query_cmdline(int argc, char **argv)`. The result is not read: the process ends after it.
type QueryCommandLine = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;

/// Runs the engine in this process until standard input ends. The hidden subcommand `tickhouse clickhouse engine FILE`
/// and the test program `tickhouse-engine FILE` consist of this call.
///
/// # Errors
/// When the launch file or the library can't be read. The engine's own errors go to standard error and its log.
pub fn run_engine(launch: &Path) -> Result<(), EmbedError> {
    let text = std::fs::read(launch).map_err(EmbedError::io(launch))?;
    let Launch { library, arguments } = serde_json::from_slice(&text)
        .map_err(|error| EmbedError::Io { path: launch.to_owned(), source: error.into() })?;
    let unusable = |detail: String| EmbedError::Library { library: library.clone(), detail };

    recording_first();
    let mut owned = vec![c"clickhouse".to_owned()];
    for argument in arguments {
        owned.push(CString::new(argument).map_err(|error| unusable(error.to_string()))?);
    }
    // argv[argc] is null, as a C main would get it
    let mut argv: Vec<*mut c_char> =
        owned.iter().map(|argument| argument.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect();

    // SAFETY: loading runs the library's initialisers. It is the pinned package whose digest was checked at installation
    // (or what the user named in TICKHOUSE_CHDB_LIB), and this process does nothing else before or beside it.
    let loaded =
        unsafe { libloading::Library::new(&library) }.map_err(|error| unusable(error.to_string()))?;
    // SAFETY: the signature is that of `chdb.h` of the pinned version.
    let query: libloading::Symbol<'_, QueryCommandLine> =
        unsafe { loaded.get(b"chdb_query_cmdline\0") }.map_err(|error| unusable(error.to_string()))?;
    // SAFETY: `argv` holds `owned.len()` pointers to strings that end in NUL and a null behind them; both vectors outlive
    // the call; the function copies the strings and does not write to them.
    unsafe { query(owned.len() as c_int, argv.as_mut_ptr()) };
    // Unloading would run the engine's static destructors under its background threads; the process ends next anyway.
    std::mem::forget(loaded);
    Ok(())
}
