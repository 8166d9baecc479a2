//! The system's own tools that enable, start and stop services, and what they say of ours.

use super::unit::{LABEL, NAME, Unit};
use super::{Init, Place};
use crate::arguments::Common;
use crate::output;
use anyhow::{Context as _, bail};
use serde_json::json;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the failure of a command means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Counts,
    /// It may have nothing to do.
    Ignored,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn systemctl(user: bool, rest: &[&str]) -> Vec<String> {
    let mut command = words(&["systemctl"]);
    if user {
        command.push("--user".to_owned());
    }
    command.extend(words(rest));
    command
}

/// The domain of this user's agents.
fn domain() -> String {
    format!("gui/{}", nix::unistd::Uid::current())
}

pub(super) fn reload_commands(init: Init, user: bool) -> Vec<Vec<String>> {
    match init {
        Init::Systemd => vec![systemctl(user, &["daemon-reload"])],
        Init::Launchd => Vec::new(),
    }
}

/// Enabled, and started as the file says now.
pub(super) fn start_commands(init: Init, user: bool, file: &Path) -> Vec<Vec<String>> {
    match init {
        Init::Systemd => vec![
            systemctl(user, &["daemon-reload"]),
            systemctl(user, &["enable", NAME]),
            systemctl(user, &["restart", NAME]),
        ],
        Init::Launchd => vec![
            words(&["launchctl", "bootstrap", &domain(), &file.to_string_lossy()]),
            words(&["launchctl", "kickstart", "-k", &format!("{}/{LABEL}", domain())]),
        ],
    }
}

pub(super) fn stop_commands(init: Init, user: bool) -> Vec<Vec<String>> {
    match init {
        Init::Systemd => vec![systemctl(user, &["disable", "--now", NAME])],
        Init::Launchd => vec![words(&["launchctl", "bootout", &format!("{}/{LABEL}", domain())])],
    }
}

/// Runs commands one after the other.
pub(super) fn all(commands: &[Vec<String>], failure: Failure) -> anyhow::Result<()> {
    for command in commands {
        let [program, rest @ ..] = command.as_slice() else { continue };
        let shown = command.join(" ");
        let status = Command::new(program).args(rest).stdin(Stdio::null()).status();
        let status = status.with_context(|| format!("`{shown}` can't be run"))?;
        if !status.success() && failure == Failure::Counts {
            bail!("`{shown}` failed ({status}): the file is written, nothing else is changed");
        }
    }
    Ok(())
}

/// Writes the file whole or not at all.
pub(super) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().context("a file has a folder")?;
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(text.as_bytes())?;
        new.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        new.as_file().sync_all()?;
        new.persist(file)?;
        Ok(())
    };
    write().with_context(|| refused(file))
}

/// Why a file could not be changed, most likely.
pub(super) fn refused(file: &Path) -> String {
    format!("{} can't be changed: run it with sudo, or with --user for a service of your own", file.display())
}

/// What a command says, or why it says nothing.
fn answer(command: &[String]) -> String {
    let [program, rest @ ..] = command else { return String::new() };
    match Command::new(program).args(rest).stdin(Stdio::null()).stderr(Stdio::null()).output() {
        Ok(said) => String::from_utf8_lossy(&said.stdout).trim().to_owned(),
        Err(_) => String::new(),
    }
}

pub(super) fn status(common: &Common, place: &Place) -> anyhow::Result<()> {
    let (init, file) = (place.init()?, place.file()?);
    let text = std::fs::read_to_string(&file).ok();
    let run_as = text.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("User=")));
    let unit = Unit::of(common, place.user, run_as.unwrap_or("tickhouse"));
    let current = match (&text, unit.and_then(|unit| unit.text(init))) {
        (Some(text), Ok(now)) => Some(*text == now),
        _ => None,
    };
    let known = |state: String| if state.is_empty() { "unknown".to_owned() } else { state };
    let (enabled, active) = match init {
        _ if place.root.is_some() => ("unknown".to_owned(), "unknown".to_owned()),
        Init::Systemd => (
            known(answer(&systemctl(place.user, &["is-enabled", NAME]))),
            known(answer(&systemctl(place.user, &["is-active", NAME]))),
        ),
        Init::Launchd => {
            let said = answer(&words(&["launchctl", "print", &format!("{}/{LABEL}", domain())]));
            let state =
                said.lines().find_map(|line| line.trim().strip_prefix("state = ")).unwrap_or_default();
            (if said.is_empty() { "no" } else { "yes" }.to_owned(), known(state.to_owned()))
        }
    };
    if place.json {
        return output::json(&json!({
            "file": file, "installed": text.is_some(), "current": current, "enabled": enabled, "active": active,
        }));
    }
    if text.is_none() {
        return Ok(output::line(&format!("not installed: {} is not there", file.display()))?);
    }
    output::line(&format!("{} · enabled: {enabled} · state: {active}", file.display()))?;
    if current == Some(false) {
        output::line(
            "it differs from what this version and configuration give: `tickhouse service install` replaces it",
        )?;
    }
    Ok(())
}
