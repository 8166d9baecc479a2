//! `tickhouse completions`: for bash, zsh, fish and others.

use crate::arguments::Arguments;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::io::Write as _;

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(command: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Arguments::command(), "tickhouse", &mut script);
    Ok(std::io::stdout().lock().write_all(&script)?)
}
