//! The `tickhouse` command. `main` only maps results to exit codes: 0 done, 1 failed, 2 wrong usage, others as a command's help says.

mod answer;
mod arguments;
mod commands;
mod endpoints;
mod health;
mod http_query;
mod instruments;
mod output;
mod part;
mod process;
mod progress;
mod screen;
mod setup;
mod shutdown;
mod system;
mod table;
mod universe;
mod view;
mod window;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    match commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // whoever reads has seen enough, as in `tickhouse decode x | head`
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tickhouse: {error:#}");
            error.downcast_ref::<output::Exit>().map_or(ExitCode::FAILURE, |exit| ExitCode::from(exit.code))
        }
    }
}
