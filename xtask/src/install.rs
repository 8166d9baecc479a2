//! What is missing on this machine, by ordinary package clients. What is there is left alone, without asking anybody.

use crate::{run, web};
use anyhow::{Context as _, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Services, and packages for the tests in other languages.
pub(crate) fn everything() -> anyhow::Result<()> {
    services(&debug_build()?)?;
    monitoring()?;
    python()?;
    node()?;
    browser()?;
    Ok(())
}

/// Builds the program as users run it.
pub(crate) fn release_build() -> anyhow::Result<PathBuf> {
    build("release", &["build", "--release", "--locked", "--package", "tickhouse"])
}

/// Builds the program as tests run it: of the whole workspace, so that shared dependencies have the features that its tests
/// were built with, and are not built again.
pub(crate) fn debug_build() -> anyhow::Result<PathBuf> {
    build("debug", &["build", "--locked", "--workspace", "--bin", "tickhouse"])
}

fn build(profile: &str, arguments: &[&str]) -> anyhow::Result<PathBuf> {
    // the program embeds it
    web::build()?;
    let program = run::target().join(profile).join("tickhouse");
    if !program.exists() {
        eprintln!("xtask: building tickhouse ({profile}); the first time takes some minutes");
    }
    run::run(&mut run::cargo(arguments))?;
    Ok(program)
}

/// redis-server and the ClickHouse engine. The program itself knows where to get them.
pub(crate) fn services(program: &Path) -> anyhow::Result<()> {
    if !run::exists("redis-server", "--version") {
        eprintln!("xtask: installing redis-server");
        run::run(&mut run::command(program, &["redis", "install"]))?;
    }
    let installed =
        run::command(program, &["clickhouse", "install"]).stdout(std::process::Stdio::null()).status();
    if !installed.context("tickhouse can't be run")?.success() {
        bail!("the ClickHouse engine is missing");
    }
    Ok(())
}

/// Prometheus and Alertmanager with their tools, for the tests of alerts: what is on the path, else Debian's packages, unpacked below
/// `target/monitoring`, so that no service starts and no port is taken.
pub(crate) fn monitoring() -> anyhow::Result<()> {
    const PACKAGES: [&str; 2] = ["prometheus", "prometheus-alertmanager"];
    let place = run::target().join("monitoring");
    if place.join("usr/bin/amtool").exists() && place.join("usr/bin/promtool").exists() {
        return alertmanager_template(&place);
    }
    if run::exists("promtool", "--version") && run::exists("amtool", "--version") {
        return Ok(());
    }
    eprintln!("xtask: unpacking Prometheus and Alertmanager into {}", place.display());
    if !run::exists("apt-get", "--version") {
        bail!("Prometheus and Alertmanager are missing: `brew install prometheus alertmanager`");
    }
    fs::create_dir_all(&place)?;
    let download = || {
        let words: Vec<&str> = ["download"].into_iter().chain(PACKAGES).collect();
        run::run(run::command("apt-get", &words).current_dir(&place))
    };
    if download().is_err() {
        run::run(&mut run::command("apt-get", &["update"]))?;
        download()?;
    }
    for entry in fs::read_dir(&place)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let words = ["-x", &path.to_string_lossy(), &place.to_string_lossy()];
            run::run(&mut run::command("dpkg-deb", &words))?;
            fs::remove_file(&path)?;
        }
    }
    alertmanager_template(&place)
}

/// Debian's Alertmanager reads its template from one place, wherever the program itself is.
fn alertmanager_template(unpacked: &Path) -> anyhow::Result<()> {
    const PLACE: &str = "/usr/share/prometheus/alertmanager";
    if Path::new(PLACE).join("default.tmpl").exists() {
        return Ok(());
    }
    let copy = || {
        fs::create_dir_all(PLACE)?;
        for name in ["email.tmpl", "default.tmpl"] {
            fs::copy(unpacked.join(&PLACE[1..]).join(name), Path::new(PLACE).join(name))?;
        }
        anyhow::Ok(())
    };
    copy()
        .with_context(|| format!("{PLACE} can't be written: `sudo apt-get install prometheus-alertmanager`"))
}

/// The interpreter of a virtual environment with the packages of `tests/python/requirements.txt`; none when there are no
/// such tests.
pub(crate) fn python() -> anyhow::Result<Option<PathBuf>> {
    let Ok(wanted) = fs::read_to_string(run::root().join("tests/python/requirements.txt")) else {
        return Ok(None);
    };
    environment("python", &wanted).map(Some)
}

/// The interpreter of the virtual environment `target/<name>`, in which these requirements are installed.
pub(crate) fn environment(name: &str, wanted: &str) -> anyhow::Result<PathBuf> {
    let environment = run::target().join(name);
    let interpreter = environment.join("bin/python");
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(interpreter);
    }
    eprintln!("xtask: installing Python packages into {}", environment.display());
    new_environment(&environment)?;
    let requirements = environment.join("requirements.txt");
    fs::write(&requirements, wanted)?;
    let file = requirements.to_string_lossy();
    run::run(&mut run::command(
        &interpreter,
        &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", &file],
    ))?;
    fs::write(&installed, wanted)?;
    Ok(interpreter)
}

/// A virtual environment with nothing in it, whatever was there.
pub(crate) fn new_environment(place: &Path) -> anyhow::Result<()> {
    if !run::exists("python3", "--version") {
        bail!("python3 is missing: `apt-get install python3 python3-venv` or `brew install python`");
    }
    run::run(&mut run::command("python3", &["-m", "venv", "--clear", &place.to_string_lossy()]))
        .context("if the module venv is missing: `apt-get install python3-venv`")
}

/// The folder of the tests for Node.js, with its packages installed; none when there are no such tests.
pub(crate) fn node() -> anyhow::Result<Option<PathBuf>> {
    let folder = run::root().join("tests/node");
    if !folder.join("package-lock.json").exists() {
        return Ok(None);
    }
    npm_packages(&folder)?;
    Ok(Some(folder))
}

/// The folder of the tests in a browser, with its packages and a browser installed.
pub(crate) fn browser() -> anyhow::Result<(PathBuf, PathBuf)> {
    let folder = run::root().join("tests/browser");
    npm_packages(&folder)?;
    Ok((folder, chromium()?))
}

/// A Chromium by its whole path: the one that `TICKHOUSE_CHROMIUM` names, the system's, or the system's from now on.
fn chromium() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("TICKHOUSE_CHROMIUM").map(PathBuf::from) {
        if !run::exists(&named, "--version") {
            bail!("TICKHOUSE_CHROMIUM names {}, which does not run", named.display());
        }
        return Ok(named);
    }
    if let Some(found) = chromium_of_the_system() {
        return Ok(found);
    }
    let remedy = "the tests of the page need Chromium: `sudo apt-get install chromium` or `brew install --cask chromium`, or name \
        one as TICKHOUSE_CHROMIUM";
    eprintln!("xtask: installing Chromium");
    let mut install = run::command("apt-get", &["install", "--yes", "--no-install-recommends", "chromium"]);
    run::run(install.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::process::Stdio::null()))
        .context(remedy)?;
    chromium_of_the_system().context(remedy)
}

/// What the search path has, or the place of macOS' own. What drives a browser wants its whole path.
fn chromium_of_the_system() -> Option<PathBuf> {
    const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let of_path = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let of_macos = PathBuf::from("/Applications/Chromium.app/Contents/MacOS/Chromium");
    of_path.chain([of_macos]).find(|program| program.is_file() && run::exists(program, "--version"))
}

/// The packages of a folder's `package-lock.json`, as they stand there.
pub(crate) fn npm_packages(folder: &Path) -> anyhow::Result<()> {
    let wanted = fs::read_to_string(folder.join("package-lock.json"))
        .with_context(|| format!("{} has no package-lock.json", folder.display()))?;
    let installed = folder.join("node_modules/.installed");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    web::need_node()?;
    eprintln!("xtask: installing npm packages into {}", folder.display());
    run::run(run::command("npm", &["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(folder))?;
    Ok(fs::write(&installed, wanted)?)
}
