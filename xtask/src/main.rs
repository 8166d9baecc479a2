//! Set-up, checks, tests, benchmarks and demo of the workspace: `cargo xtask <command>`.
//!
//! What enters: a clean clone. What leaves: a system that runs, or tests that were run. What never happens here: installing
//! what is there already, a download by a build script of a crate.

mod arrows;
mod bench;
mod install;
mod licences;
mod metadata;
mod run;
mod test;
mod web;
mod wheel;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Build, test, bench and demo of Tickhouse.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what is missing, build, run the whole system against the simulator until Ctrl-C
    Demo {
        /// Passed on to `tickhouse demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Install what tests need, then run what CI runs: formatting, lints, licences, architecture, documentation, tests
    Test {
        /// The long tests too
        #[arg(long)]
        full: bool,
    },
    /// Run the benchmarks
    Bench {
        /// Only those whose name contains this
        filter: Option<String>,
    },
    /// Kill, stop, cut and fill what a seed says, and look whether every tick is stored once: see docs/crash-test.md
    CrashTest {
        /// `--minutes M --seed S --seeds N --json`; `--help` tells of the others
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Formatting, lints, licences, architecture and documentation only
    Lint,
    /// Build the live page into web/dist, where its sources changed
    Web,
    /// Run a demo and take pictures of the page, for the README
    Screenshots,
    /// Build the Python package as users get it, into target/wheels
    Wheel,
    /// Install what is missing: redis-server, the ClickHouse engine, Chromium, packages for tests in other languages
    Install,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo { arguments } => demo(&arguments),
        Command::Test { full } => test::run(full),
        Command::Bench { filter } => bench::run(filter.as_deref()),
        Command::CrashTest { arguments } => crash_test(&arguments),
        Command::Lint => test::lint(),
        Command::Web => web::build(),
        Command::Screenshots => web::screenshots(),
        Command::Wheel => wheel::release(),
        Command::Install => install::everything(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo(arguments: &[OsString]) -> anyhow::Result<()> {
    let program = install::release_build()?;
    install::services(&program)?;
    run::become_program(&program, "demo", arguments)
}

fn crash_test(arguments: &[OsString]) -> anyhow::Result<()> {
    let program = install::debug_build()?;
    install::services(&program)?;
    run::run(&mut run::cargo(&["build", "--locked", "--workspace", "--bin", "tickhouse-crash"]))?;
    let test = program.with_file_name("tickhouse-crash");
    run::become_program(&test, "--program", &[&[program.into_os_string()], arguments].concat())
}
