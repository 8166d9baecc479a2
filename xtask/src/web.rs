//! The live page: built by Vite from `web/` into `web/dist`, which the program embeds.
//!
//! What enters: the sources of the page. What leaves: its files, within their budget of bytes. What never happens here: a build
//! where nothing changed.

use crate::{install, run};
use anyhow::{Context as _, bail};
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

/// What is made, not written.
const MADE: [&str; 3] = ["dist", "node_modules", "target"];

/// Builds the page where its sources changed since the last time.
pub(crate) fn build() -> anyhow::Result<()> {
    let folder = folder();
    let stamp = folder.join("target/built-of");
    let sources = digest(&folder)?;
    let built = folder.join("dist/index.html").exists();
    if built && fs::read_to_string(&stamp).is_ok_and(|built_of| built_of == sources) {
        return Ok(());
    }
    install::npm_packages(&folder)?;
    eprintln!("xtask: building the page");
    run::run(&mut npm(&folder, "build"))?;
    // makes cargo look at what was built; where the page is new, nothing else tells it
    let embeds = run::root().join("crates/web/build.rs");
    if embeds.exists() {
        let file = fs::File::options().append(true).open(&embeds)?;
        file.set_modified(fs::metadata(folder.join("dist/index.html"))?.modified()?)?;
    }
    fs::create_dir_all(folder.join("target"))?;
    fs::write(&stamp, sources).with_context(|| format!("{} can't be written", stamp.display()))
}

/// Types, formatting and the tests of its pure code.
pub(crate) fn check() -> anyhow::Result<()> {
    let folder = folder();
    install::npm_packages(&folder)?;
    run::run(&mut npm(&folder, "check"))?;
    run::run(&mut npm(&folder, "test"))
}

/// Pictures of the page on a running demo, into `docs/screenshots`.
pub(crate) fn screenshots() -> anyhow::Result<()> {
    let program = install::release_build()?;
    install::services(&program)?;
    let (folder, chromium) = install::browser()?;
    let mut command = run::command("node", &["screenshots.js"]);
    command.current_dir(folder).env("TICKHOUSE_BIN", program).env("TICKHOUSE_CHROMIUM", chromium);
    run::run(&mut command)
}

fn folder() -> PathBuf {
    run::root().join("web")
}

fn npm(folder: &Path, script: &str) -> std::process::Command {
    let mut command = run::command("npm", &["run", "--silent", script]);
    command.current_dir(folder);
    command
}

/// Node.js as Vite needs it, or what to do.
pub(crate) fn need_node() -> anyhow::Result<()> {
    const INSTALL: &str = "install Node.js 20.19 or newer with npm: `apt-get install nodejs npm`, `brew install node`, or from \
        https://nodejs.org where the system's is older";
    if !run::exists("npm", "--version") {
        bail!("npm is missing: {INSTALL}");
    }
    let version = run::output(&mut run::command("node", &["--version"])).context(INSTALL)?;
    let numbers: Vec<u32> =
        version.trim().trim_start_matches('v').split('.').filter_map(|part| part.parse().ok()).collect();
    if numbers.as_slice() < [20, 19].as_slice() {
        bail!("Node.js {} is too old: {INSTALL}", version.trim());
    }
    Ok(())
}

/// Changes with any source.
fn digest(folder: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(file.as_os_str().as_encoded_bytes());
        hasher.write(&fs::read(&file).with_context(|| format!("{} can't be read", file.display()))?);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if MADE.iter().any(|made| entry.file_name() == *made) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
