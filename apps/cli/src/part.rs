//! A child process that is a part of the system: our own program with another command.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tickhouse_embed::{EmbedError, Service};
use tokio::process::{Child, ChildStdin, Command};

/// How long a part may take to finish what it has accepted.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A part: what to run and, while it runs, its process. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    running: Option<(Child, ChildStdin)>,
}

impl Part {
    /// Describes a part; [`Part::start`] runs it. Its output is appended to `log`.
    pub(crate) fn new(name: &'static str, program: PathBuf, log: PathBuf) -> Self {
        Self { name, program, arguments: Vec::new(), environment: Vec::new(), log, running: None }
    }

    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A setting for the part, as `section.key`, by its environment: a command line can be read by everybody.
    pub(crate) fn setting(mut self, key: &str, value: impl Into<String>) -> Self {
        let variable = format!("TICKHOUSE_{}", key.replace('.', "_").to_uppercase());
        self.environment.push((variable, value.into()));
        self
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(|(child, _)| child.id())
    }

    /// Runs it. It ends when we do: the pipe to its standard input is its life line.
    pub(crate) fn start(&mut self) -> Result<(), EmbedError> {
        let io = |path: &PathBuf| {
            let path = path.clone();
            move |source| EmbedError::Io { path, source }
        };
        if let Some(folder) = self.log.parent() {
            std::fs::create_dir_all(folder).map_err(io(&self.log))?;
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(io(&self.log))?;
        let errors = log.try_clone().map_err(io(&self.log))?;
        let mut child = Command::new(&self.program)
            .arg("--until-stdin-closes")
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C at the terminal is for the supervisor, which then stops its parts in order
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io(&self.program))?;
        let line = child.stdin.take().expect("standard input is piped");
        self.running = Some((child, line));
        Ok(())
    }
}

impl Service for Part {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_alive(&mut self) -> bool {
        self.running.as_mut().is_some_and(|(child, _)| matches!(child.try_wait(), Ok(None)))
    }

    async fn restart(&mut self) -> Result<(), EmbedError> {
        if let Some((mut child, _)) = self.running.take() {
            child.kill().await.ok();
        }
        self.start()
    }

    async fn stop(&mut self) {
        let Some((mut child, line)) = self.running.take() else { return };
        drop(line);
        if tokio::time::timeout(STOP_LIMIT, child.wait()).await.is_err() {
            tracing::warn!(part = self.name, "did not end in time, killing it");
            child.kill().await.ok();
        }
    }
}
