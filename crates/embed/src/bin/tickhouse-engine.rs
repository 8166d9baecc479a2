//! The engine's process for tests: `tickhouse-engine [--remove DIRECTORY] LAUNCH` serves until standard input ends and then
//! removes the directory; `tickhouse-engine --supervise RUN_DIRECTORY NAME` is a daemon's supervisor. The real program has
//! hidden subcommands for both.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use tickhouse_embed::{EmbedError, daemon, run_engine};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let result = match words.as_slice() {
        ["--supervise", run_dir, name] => supervise(Path::new(run_dir), name),
        ["--remove", directory, launch] => {
            let result = run_engine(Path::new(launch));
            // only the first start, which makes the database, leaves the directory for the second
            if Path::new(directory).join("users.xml").exists() {
                drop(std::fs::remove_dir_all(directory));
            }
            result
        }
        [launch] => run_engine(Path::new(launch)),
        _ => {
            eprintln!("usage: tickhouse-engine [--remove DIRECTORY] LAUNCH");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn supervise(run_dir: &Path, name: &str) -> Result<(), EmbedError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| EmbedError::Io { path: run_dir.to_owned(), source })?;
    runtime.block_on(daemon::run(run_dir, name))
}
