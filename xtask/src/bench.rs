//! `cargo xtask bench`: the benchmarks of `benches/`, one after the other, on a machine that should do nothing else.
//!
//! benches/README.md has the results and says what each one times.

use crate::{install, run};
use anyhow::bail;

/// In the order of the page of results. `decode` is a program of its own: see benches/decoders/Cargo.toml.
const BENCHES: [&str; 9] =
    ["decode", "format", "catch-up", "live", "web", "bytes", "instruments", "candles", "queries"];

/// Runs the benchmarks whose names contain `filter`; all without one.
pub(crate) fn run(filter: Option<&str>) -> anyhow::Result<()> {
    let wanted: Vec<&str> =
        BENCHES.into_iter().filter(|name| filter.is_none_or(|filter| name.contains(filter))).collect();
    if wanted.is_empty() {
        bail!("no benchmark has this in its name; there are {}", BENCHES.join(", "));
    }
    if wanted.contains(&"decode") {
        decode()?;
    }
    let others: Vec<&str> = wanted.into_iter().filter(|name| *name != "decode").collect();
    if others.is_empty() {
        return Ok(());
    }
    let program = install::release_build()?;
    install::services(&program)?;
    run::run(&mut run::cargo(&["build", "--release", "--locked", "--package", "tickhouse-benches"]))?;
    for name in others {
        let mut command = run::command(run::target().join("release").join("tickhouse-benches"), &[name]);
        command.env("TICKHOUSE_BIN", &program);
        if let Some(python) = install::python()? {
            command.env("PYTHON", python);
        }
        run::run(&mut command)?;
    }
    Ok(())
}

fn decode() -> anyhow::Result<()> {
    let target = run::target().join("decoders");
    let messages = target.join("messages.bin");
    let mut build =
        run::cargo(&["build", "--release", "--locked", "--manifest-path", "benches/decoders/Cargo.toml"]);
    run::run(build.env("CARGO_TARGET_DIR", &target))?;
    let messages_text = messages.to_string_lossy();
    run::run(&mut run::command(target.join("release").join("decoders"), &[&messages_text]))?;
    match install::python()? {
        Some(python) => run::run(&mut run::command(python, &["benches/python/decode.py", &messages_text])),
        None => Ok(()),
    }
}
