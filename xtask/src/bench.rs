//! `cargo xtask bench`: every benchmark of the workspace, one after the other, on an otherwise quiet machine.

use crate::metadata::Metadata;
use crate::{install, run};
use std::process::Command;

/// Runs the criterion benchmarks of each package that has any, then the comparisons in `benches/`.
pub(crate) fn run(filter: Option<&str>) -> anyhow::Result<()> {
    let metadata = Metadata::read()?;
    let names = metadata.members.iter().map(|id| metadata.packages[id].name.as_str());
    for name in names.filter(|name| has_benches(name)) {
        eprintln!("xtask: benchmarks of {name}");
        let mut command = run::cargo(&["bench", "--locked", "--package", name, "--benches", "--"]);
        command.args(filter);
        run::run(&mut command)?;
    }
    let script = run::root().join("benches/run");
    if script.exists() {
        let program = install::release_build()?;
        install::services(&program)?;
        let mut command = Command::new(script);
        command.args(filter).current_dir(run::root()).env("TICKHOUSE_BIN", program);
        if let Some(python) = install::python()? {
            command.env("PYTHON", python);
        }
        run::run(&mut command)?;
    }
    Ok(())
}

fn has_benches(package: &str) -> bool {
    let folder = package.strip_prefix("tickhouse-").unwrap_or(package);
    ["crates", "apps"].iter().any(|base| run::root().join(base).join(folder).join("benches").is_dir())
}
