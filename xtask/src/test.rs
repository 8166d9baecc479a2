//! `cargo xtask test` and `lint`: what CI runs.

use crate::metadata::Metadata;
use crate::{arrows, install, licences, run, web, wheel};
use anyhow::{Context as _, bail};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Steps that failed; the others are run all the same, so that one run shows everything.
#[derive(Debug, Default)]
struct Steps {
    failed: Vec<&'static str>,
    /// Lines with which test runners ended.
    closing: Vec<String>,
}

impl Steps {
    fn step(&mut self, name: &'static str, work: impl FnOnce(&mut Self) -> anyhow::Result<()>) {
        eprintln!("\n== {name}");
        let started = Instant::now();
        match work(self) {
            Ok(()) => eprintln!("== {name}: ok, {:.1} s", started.elapsed().as_secs_f64()),
            Err(error) => {
                eprintln!("== {name}: FAILED\n{error:#}");
                self.failed.push(name);
            }
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        for line in &self.closing {
            println!("{line}");
        }
        if !self.failed.is_empty() {
            bail!("failed: {}", self.failed.join(", "));
        }
        Ok(())
    }
}

/// Everything but the tests.
pub(crate) fn lint() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    lint_steps(&mut steps);
    steps.finish()
}

fn lint_steps(steps: &mut Steps) {
    steps.step("formatting", |_| run::run(&mut run::cargo(&["fmt", "--all", "--check"])));
    steps.step("licences and architecture", |_| {
        let metadata = Metadata::read()?;
        licences::check(&metadata)?;
        arrows::check(&metadata)
    });
    steps.step("lints", |_| {
        run::run(&mut run::cargo(&[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ]))
    });
    steps.step("documentation", |_| {
        let mut command = run::cargo(&["doc", "--locked", "--workspace", "--no-deps", "--quiet"]);
        run::run(command.env("RUSTDOCFLAGS", "--deny warnings"))
    });
}

/// Installs what tests need and runs everything. `full`: the long tests too.
pub(crate) fn run(full: bool) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    lint_steps(&mut steps);
    steps.step("what tests need", |_| install::everything());
    steps.step("tests", |steps| rust(steps, full));
    steps.step("tests in Python", |steps| python(steps, full));
    steps.step("tests of the Python package", |steps| package(steps, full));
    steps.step("tests in Node.js", node);
    steps.step("Grafana's dashboards", grafana);
    steps.step("the page", |_| web::check());
    steps.step("tests in a browser", browser);
    if full {
        steps.step("fuzz targets", |_| fuzz());
    }
    steps.finish()
}

/// What tells a test that it may take long. A test that is long by nature looks for it and says when it does less.
const FULL: &str = "TICKHOUSE_TEST_FULL";

fn rust(steps: &mut Steps, full: bool) -> anyhow::Result<()> {
    let mut command = run::cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
    if full {
        command.env(FULL, "1");
    }
    let lines = shown(&mut command, |line| line.starts_with("test result: "))?;
    let mut sum = [0_u64; 3];
    for line in &lines.matching {
        let numbers = line
            .split("; ")
            .map(|part| part.split_whitespace().rev().nth(1).and_then(|word| word.parse::<u64>().ok()));
        for (total, number) in sum.iter_mut().zip(numbers) {
            *total += number.unwrap_or(0);
        }
    }
    let [passed, failed, ignored] = sum;
    let word = if lines.success { "ok" } else { "FAILED" };
    let programs = lines.matching.len();
    steps.closing.push(format!(
        "test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; in {programs} Rust test programs"
    ));
    if !lines.success {
        bail!("tests failed");
    }
    Ok(())
}

fn python(steps: &mut Steps, full: bool) -> anyhow::Result<()> {
    let Some(interpreter) = install::python()? else {
        eprintln!("there are none");
        return Ok(());
    };
    pytest(
        steps,
        full,
        "pytest",
        &mut run::command(&interpreter, &["-m", "pytest", "-ra", "-q", "tests/python"]),
    )
}

/// The tests of the package, run from where nothing but the installed wheel can be imported as `tickhouse`.
fn package(steps: &mut Steps, full: bool) -> anyhow::Result<()> {
    let Some(interpreter) = wheel::ready()? else {
        eprintln!("there are none");
        return Ok(());
    };
    let mut command = run::command(&interpreter, &["-m", "pytest", "-ra", "-q"]);
    pytest(steps, full, "pytest of the package", command.current_dir(run::root().join("python/tests")))
}

fn pytest(steps: &mut Steps, full: bool, name: &str, command: &mut Command) -> anyhow::Result<()> {
    command.env("TICKHOUSE_BIN", install::debug_build()?);
    if full {
        command.env(FULL, "1");
    }
    let lines =
        shown(command, |line| line.contains(" in ") && (line.contains("passed") || line.contains("failed")))?;
    steps
        .closing
        .extend(lines.matching.last().map(|line| format!("{name}: {}", line.trim_matches(['=', ' ']))));
    if !lines.success {
        bail!("tests failed");
    }
    Ok(())
}

fn node(steps: &mut Steps) -> anyhow::Result<()> {
    let Some(folder) = install::node()? else {
        eprintln!("there are none");
        return Ok(());
    };
    let mut command = Command::new("node");
    node_tests(steps, "node", command.args(["--test"]).current_dir(&folder))
}

fn browser(steps: &mut Steps) -> anyhow::Result<()> {
    let (folder, chromium) = install::browser()?;
    let mut command = Command::new("node");
    command.args(["--test"]).current_dir(&folder).env("TICKHOUSE_CHROMIUM", chromium);
    node_tests(steps, "browser", &mut command)
}

/// Every statement of every panel, against a demo.
fn grafana(steps: &mut Steps) -> anyhow::Result<()> {
    let folder = run::root().join("deploy/grafana");
    install::npm_packages(&folder)?;
    let mut command = Command::new("npm");
    node_tests(steps, "node, Grafana's dashboards", command.args(["test", "--silent"]).current_dir(&folder))
}

fn node_tests(steps: &mut Steps, name: &str, command: &mut Command) -> anyhow::Result<()> {
    command.env("TICKHOUSE_BIN", install::debug_build()?);
    let lines = shown(command, |line| {
        let line = line.trim_start_matches(['#', 'ℹ', ' ']);
        line.starts_with("pass ") || line.starts_with("fail ")
    })?;
    let counts: Vec<&str> =
        lines.matching.iter().map(|line| line.trim_start_matches(['#', 'ℹ', ' '])).collect();
    steps.closing.push(format!("{name}: {}", counts.join(", ")));
    if !lines.success {
        bail!("tests failed");
    }
    Ok(())
}

/// The fuzz targets build, and their saved inputs pass, on the stable toolchain.
fn fuzz() -> anyhow::Result<()> {
    let folder = run::root().join("fuzz");
    if !folder.exists() {
        return Ok(());
    }
    run::run(run::cargo(&["test", "--locked"]).current_dir(folder))
}

struct Lines {
    matching: Vec<String>,
    success: bool,
}

/// Runs a program, shows what it writes, and keeps the lines that are wanted.
fn shown(command: &mut Command, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Lines> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("the tests can't be run")?;
    let output = child.stdout.take().context("the tests write nowhere")?;
    let mut matching = Vec::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let mut out = std::io::stdout().lock();
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        let text = String::from_utf8_lossy(&line);
        if wanted(&text) {
            matching.push(text.into_owned());
        }
    }
    Ok(Lines { matching, success: child.wait()?.success() })
}
