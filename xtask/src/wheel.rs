//! The Python package: built by maturin, installed where nothing else is, tested from there.

use crate::{install, run};
use anyhow::{Context as _, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// What builds wheels; pinned beside `python/pyproject.toml`, which names the same for pip.
const MATURIN: &str = "maturin==1.16.0";

/// What must run where nothing but the package is.
const SMOKE: &str = "import tickhouse; assert tickhouse.parse_binary(b'\\0') == []; print('tickhouse', tickhouse.__version__)";

/// The wheel as users get it, into `target/wheels`.
pub(crate) fn release() -> anyhow::Result<()> {
    let wheel = build("wheels", &["--release"])?;
    println!("{}", wheel.display());
    Ok(())
}

/// The wheel for tests, of what is built for other tests already: the same profile, and by `as-workspace` the same features of
/// all dependencies.
fn for_tests() -> anyhow::Result<PathBuf> {
    build("wheels-dev", &["--profile", "dev", "--features", "as-workspace"])
}

fn build(folder: &str, how: &[&str]) -> anyhow::Result<PathBuf> {
    let maturin = install::environment("maturin", MATURIN)?.with_file_name("maturin");
    let folder = run::target().join(folder);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} can't be emptied", folder.display()))?;
    }
    let out = folder.to_string_lossy();
    let manifest = ["build", "--locked", "--manifest-path", "python/Cargo.toml", "--out", &out];
    let mut command = run::command(&maturin, &manifest);
    run::run(command.args(["--interpreter", "python3", "--quiet"]).args(how))?;
    let mut wheels = fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path());
    wheels.find(|path| path.extension().is_some_and(|end| end == "whl")).context("maturin made no wheel")
}

/// Builds the wheel, tries it in an environment that has nothing else, and gives the interpreter of another one that has what
/// the tests of the package need. None when there are no such tests.
pub(crate) fn ready() -> anyhow::Result<Option<PathBuf>> {
    let Ok(own) = fs::read_to_string(run::root().join("python/tests/requirements.txt")) else {
        return Ok(None);
    };
    let shared = fs::read_to_string(run::root().join("tests/python/requirements.txt"))?;
    let wheel = for_tests()?;
    let nothing = run::target().join("python-empty");
    install::new_environment(&nothing)?;
    let interpreter = nothing.join("bin/python");
    install_wheel(&interpreter, &wheel)?;
    run::run(run::command(&interpreter, &["-c", SMOKE]).current_dir(&nothing))?;
    let lines = own.lines().chain(shared.lines()).filter(|line| !line.starts_with("-r "));
    let requirements = lines.collect::<Vec<_>>().join("\n");
    let interpreter = install::environment("python-package", &requirements)?;
    install_wheel(&interpreter, &wheel)?;
    Ok(Some(interpreter))
}

/// From the file alone: the package needs nothing else.
fn install_wheel(interpreter: &Path, wheel: &Path) -> anyhow::Result<()> {
    let file = wheel.to_string_lossy();
    if !wheel.exists() {
        bail!("{file} is missing");
    }
    let how =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--force-reinstall"];
    run::run(run::command(interpreter, &how).arg(file.as_ref()))
}
