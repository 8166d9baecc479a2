//! `cargo xtask bench`: the benchmarks of `benches/`, one after the other, on an otherwise quiet machine.

use crate::{install, run};
use anyhow::bail;

/// In the order of benches/README.md.
const BENCHMARKS: &[&str] = &["decode", "format", "catch-up", "live", "bytes"];

/// Installs what they need, builds with the bench profile, and runs those whose name contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> anyhow::Result<()> {
    let wanted: Vec<&str> =
        BENCHMARKS.iter().copied().filter(|name| filter.is_none_or(|filter| name.contains(filter))).collect();
    if wanted.is_empty() {
        bail!("no benchmark is called so: there are {}", BENCHMARKS.join(", "));
    }
    eprintln!("xtask: building the benchmarks; with whole-program optimisation that takes some minutes");
    let packages = ["--package", "tickhouse", "--package", "tickhouse-benches"];
    run::run(run::cargo(&["build", "--locked", "--profile", "bench"]).args(packages))?;
    // the bench profile builds into the folder of release
    let built = run::target().join("release");
    let program = built.join("tickhouse");
    install::services(&program)?;
    let python = install::python()?;
    for name in wanted {
        eprintln!("\n== {name}");
        let mut command = run::command(built.join("tickhouse-benches"), &[name]);
        command.env("TICKHOUSE_BIN", &program);
        if let Some(python) = &python {
            command.env("PYTHON", python);
        }
        run::run(&mut command)?;
    }
    Ok(())
}
