//! `tickhouse service`: the whole system as a service of this machine or of one user.
//!
//! What enters: where the program, its configuration and its data are. What leaves: a systemd unit or a launchd plist, made of the
//! files in `deploy/`, and the calls that let the system's own tools run it. What never happens here: a change to data, a
//! configuration or a user of the machine.

mod run;
mod unit;

use crate::arguments::Common;
use crate::{output, setup};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};
use unit::{Home, Unit};

/// The whole system as a service: started with the machine, started again when it dies.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickhouse service install --user --dry-run     what would be written, and which commands run
  tickhouse service install --user               for you alone
  sudo tickhouse service install --config /etc/tickhouse/tickhouse.toml
  tickhouse service status --user")]
pub(crate) struct ServiceCommand {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write the unit or plist, enable and start it; an earlier one of ours is replaced
    Install(Install),
    /// Stop it and remove what `install` wrote; data and configuration stay
    Uninstall(Place),
    /// Whether it is installed, as this version would install it, enabled and running
    Status(Place),
}

#[derive(Debug, Args)]
struct Install {
    #[command(flatten)]
    place: Place,
    /// The user of the machine as whom a service of the machine runs
    #[arg(long, value_name = "NAME", default_value = "tickhouse", conflicts_with = "user")]
    run_as: String,
}

#[derive(Clone, Debug, Args)]
struct Place {
    /// A service of the user who calls this, not of the machine
    #[arg(long)]
    user: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Write below this folder and start nothing: for packages and images
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Who starts services [default: systemd on Linux, launchd on macOS]
    #[arg(long, value_enum, value_name = "WHO")]
    init: Option<Init>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Who starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Init {
    Systemd,
    Launchd,
}

/// What is done, or would be.
#[derive(Debug, Serialize)]
struct Done {
    file: PathBuf,
    /// The text of the file; none where it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    commands: Vec<Vec<String>>,
    /// What is left to do by hand.
    notes: Vec<String>,
    dry_run: bool,
}

pub(crate) fn run(common: &Common, command: &ServiceCommand) -> anyhow::Result<()> {
    match &command.command {
        What::Install(install) => install.run(common),
        What::Uninstall(place) => place.uninstall(),
        What::Status(place) => run::status(common, place),
    }
}

impl Place {
    fn init(&self) -> anyhow::Result<Init> {
        let init = match self.init {
            Some(init) => init,
            None if cfg!(target_os = "macos") => Init::Launchd,
            // a package or a plan needs no systemd that runs
            None if self.root.is_some() || self.dry_run || Path::new("/run/systemd/system").is_dir() => {
                Init::Systemd
            }
            None => bail!(
                "systemd does not run here: let whatever starts services here run `tickhouse up`, or use --root to only write the unit"
            ),
        };
        if init == Init::Launchd && !self.user {
            bail!("under launchd it is an agent of a user: add --user");
        }
        Ok(init)
    }

    /// Where the file lies.
    fn file(&self) -> anyhow::Result<PathBuf> {
        let file = unit::file(self.init()?, self.user, &Home::of_this_user()?);
        Ok(match &self.root {
            Some(root) => std::path::absolute(root)?.join(file.strip_prefix("/").unwrap_or(&file)),
            None => file,
        })
    }

    /// Whether only files are written.
    const fn is_offline(&self) -> bool {
        self.root.is_some()
    }

    fn uninstall(&self) -> anyhow::Result<()> {
        let (init, file) = (self.init()?, self.file()?);
        if !file.exists() {
            bail!("{} is not there: nothing is installed", file.display());
        }
        let stop = if self.is_offline() { Vec::new() } else { run::stop_commands(init, self.user) };
        let after = if self.is_offline() { Vec::new() } else { run::reload_commands(init, self.user) };
        if !self.dry_run {
            run::all(&stop, run::Failure::Ignored)?;
            std::fs::remove_file(&file).with_context(|| run::refused(&file))?;
            run::all(&after, run::Failure::Counts)?;
        }
        let notes = vec!["data, configuration and logs are as they were".to_owned()];
        let done = Done { file, text: None, commands: [stop, after].concat(), notes, dry_run: self.dry_run };
        done.show(self.json, "removed", "would remove")
    }
}

impl Install {
    fn run(&self, common: &Common) -> anyhow::Result<()> {
        let place = &self.place;
        let (init, file) = (place.init()?, place.file()?);
        let unit = Unit::of(common, place.user, &self.run_as)?;
        let text = unit.text(init)?;
        let commands =
            if place.is_offline() { Vec::new() } else { run::start_commands(init, place.user, &file) };
        let notes = unit.notes(init, place.is_offline());
        if !place.dry_run {
            if !place.is_offline() {
                unit.ready()?;
            }
            run::write(&file, &text)?;
            if init == Init::Launchd && !place.is_offline() {
                // an agent that is loaded already is not read again
                run::all(&run::stop_commands(init, place.user), run::Failure::Ignored)?;
            }
            run::all(&commands, run::Failure::Counts)?;
        }
        let done = Done { file, text: Some(text), commands, notes, dry_run: place.dry_run };
        done.show(place.json, "wrote", "would write")
    }
}

impl Done {
    fn show(&self, json: bool, done: &str, planned: &str) -> anyhow::Result<()> {
        if json {
            return output::json(self);
        }
        let (word, ran) = if self.dry_run { (planned, "would run") } else { (done, "ran") };
        output::line(&format!("{word} {}", self.file.display()))?;
        if let (Some(text), true) = (&self.text, self.dry_run) {
            output::line("")?;
            output::line(text.trim_end())?;
            output::line("")?;
        }
        for command in &self.commands {
            output::line(&format!("{ran} {}", command.join(" ")))?;
        }
        for note in &self.notes {
            output::line(note)?;
        }
        Ok(())
    }
}

/// The configuration file that the service reads: the one that is named, else what commands find here.
fn configuration(common: &Common) -> anyhow::Result<PathBuf> {
    match setup::config_file(common) {
        Some(path) => Ok(std::path::absolute(path)?),
        None => bail!(
            "a service needs a configuration file: copy what you change of config/tickhouse.example.toml and name it with --config"
        ),
    }
}
