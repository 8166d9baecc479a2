//! The table as a page for people.

use crate::{Metric, TABLE};
use std::fmt::Write as _;

const HEADINGS: [&str; 8] =
    ["source", "journal", "stream", "load", "store", "serve", "every process", "simulator"];

const INTRODUCTION: &str = "# Metrics

Every process serves `/metrics` in Prometheus' text format beside `/status`, with the same numbers: they are counted once. This page and
the text come from one table (`crates/metrics`); a test fails when they differ (`TICKHOUSE_WRITE_DOCS=1 cargo test -p tickhouse-metrics`
writes it anew). Every series is there from the start, zeros too, but for those of a socket, stream or table that is not there yet.
Units are base units: seconds, bytes. Labels are few, and none is a token, a symbol or a secret.

How to scrape them, and the alerts that are made of them: [monitoring.md](monitoring.md).
";

/// `docs/metrics.md`.
pub fn document() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (heading, part) in HEADINGS.iter().zip(TABLE) {
        write!(page, "\n## {heading}\n\n| name | type | labels | of | what |\n|---|---|---|---|---|\n").ok();
        part.iter().for_each(|metric| row(&mut page, metric));
    }
    page
}

fn row(page: &mut String, metric: &Metric) {
    let labels = metric.labels().join(", ");
    let roles = if metric.roles.is_empty() { "all".to_owned() } else { metric.roles.join(", ") };
    writeln!(page, "| `{}` | {} | {labels} | {roles} | {} |", metric.name, metric.kind.name(), metric.help)
        .ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn the_page_is_that_of_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        if std::env::var_os("TICKHOUSE_WRITE_DOCS").is_some() {
            std::fs::write(&path, document()).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            page == document(),
            "docs/metrics.md is stale: TICKHOUSE_WRITE_DOCS=1 cargo test -p tickhouse-metrics"
        );
    }

    #[test]
    fn names_follow_the_rules() {
        const STAGES: [&str; 9] =
            ["source", "journal", "stream", "load", "store", "serve", "supervisor", "simulator", "disk"];
        const LABELS: [&str; 6] = ["stage", "socket", "stream", "table", "reason", "version"];
        let mut names = BTreeSet::new();
        for metric in TABLE.iter().flat_map(|part| part.iter()) {
            let name = metric.name;
            assert!(names.insert(name), "{name} stands twice");
            let ours = name.strip_prefix("tickhouse_").is_some_and(|rest| {
                rest == "build_info" || STAGES.iter().any(|stage| rest.starts_with(&format!("{stage}_")))
            });
            assert!(ours || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_latency_seconds"), metric.kind == Kind::Histogram, "{name}");
            let units = ["_ms", "_millis", "_minutes", "_hours", "_kb", "_mib", "_percent"];
            assert!(!units.iter().any(|unit| name.contains(unit)), "{name}");
            assert!(metric.labels().iter().all(|label| LABELS.contains(label)), "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{name}");
        }
        assert_eq!(HEADINGS.len(), TABLE.len());
    }
}
