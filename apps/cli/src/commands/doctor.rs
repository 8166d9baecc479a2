//! `tickhouse doctor`: what is wrong with this machine or configuration, and what to do.

mod machine;
mod services;

use crate::arguments::Common;
use crate::{output, setup};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use tickhouse_config::Config;

/// Look at the machine, the configuration and what they connect to; say what to do.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warning,
    /// Something will not work.
    Failure,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    what: &'static str,
    verdict: Verdict,
    found: String,
    /// Empty when there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
}

impl Finding {
    pub(crate) fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Ok, found: found.into(), advice: String::new() }
    }

    pub(crate) fn warning(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Warning, found: found.into(), advice: advice.into() }
    }

    pub(crate) fn failure(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Failure, found: found.into(), advice: advice.into() }
    }
}

pub(crate) fn run(common: &Common, command: &Doctor) -> anyhow::Result<()> {
    let file = setup::config_file(common);
    let read = setup::config(common);
    let mut findings = vec![match (&read, &file) {
        (Ok(_), Some(path)) => Finding::ok("configuration", path.display().to_string()),
        (Ok(_), None) => Finding::ok("configuration", "no file: defaults, environment and flags"),
        (Err(error), _) => Finding::failure(
            "configuration",
            format!("{error:#}"),
            "mend these settings; config/tickhouse.example.toml explains each",
        ),
    }];
    let config = match read {
        Ok(config) => config,
        // the machine is looked at all the same
        Err(_) => Config::read(&tickhouse_config::Sources::new())?,
    };
    findings.extend(machine::findings(&config));
    findings.extend(setup::runtime(0)?.block_on(services::findings(&config)));
    report(&findings, command.json)?;
    let failures = findings.iter().filter(|finding| finding.verdict == Verdict::Failure).count();
    if failures > 0 {
        bail!("{failures} of {} checks failed", findings.len());
    }
    Ok(())
}

fn report(findings: &[Finding], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
        return output::json(&serde_json::json!({ "verdict": worst, "findings": findings }));
    }
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warning => "warn",
            Verdict::Failure => "FAIL",
        };
        output::line(&format!("{mark}  {:<16} {}", finding.what, finding.found))?;
        if !finding.advice.is_empty() {
            output::line(&format!("{:22} → {}", "", finding.advice))?;
        }
    }
    Ok(())
}
