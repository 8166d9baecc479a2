//! The arrows of ARCHITECTURE.md: who may depend on whom. Dependencies for tests are free.

use crate::metadata::Metadata;
use anyhow::bail;

/// Of what a pure crate's manifest must be free: async, clock, network, Redis, ClickHouse.
const IMPURE: &[&str] = &[
    "axum",
    "clickhouse",
    "futures-util",
    "redis",
    "reqwest",
    "tickhouse-telemetry",
    "tokio",
    "tokio-tungstenite",
    "tokio-util",
    "tracing",
];

const PURE: &[&str] = &[
    "tickhouse-model",
    "tickhouse-decode",
    "tickhouse-enrich",
    "tickhouse-universe",
    "tickhouse-options",
    "tickhouse-bars",
    "tickhouse-health",
    "tickhouse-metrics",
];

/// (package, what it must not reach, over however many others).
const NEVER: &[(&str, &[&str])] = &[
    ("tickhouse-stream", &["tickhouse-store", "clickhouse"]),
    ("tickhouse-push", &["tickhouse-store", "tickhouse-source", "clickhouse"]),
    ("tickhouse-store", &["tickhouse-stream", "tickhouse-journal", "redis"]),
    (
        "tickhouse-source",
        &["tickhouse-stream", "tickhouse-store", "tickhouse-journal", "redis", "clickhouse"],
    ),
    (
        "tickhouse-journal",
        &["tickhouse-source", "tickhouse-stream", "tickhouse-store", "redis", "clickhouse"],
    ),
    ("tickhouse-archive", &["tickhouse-stream", "tickhouse-journal", "redis"]),
    ("tickhouse-config", &["redis", "clickhouse", "reqwest"]),
    ("tickhouse-live", &["tickhouse-load", "tickhouse-source"]),
    ("tickhouse-web", &["tickhouse-load", "tickhouse-source"]),
    ("tickhouse-embed", &["tickhouse-stream", "tickhouse-store", "redis", "clickhouse"]),
    // its oracle shares nothing with what it judges
    (
        "tickhouse-crash",
        &[
            "tickhouse-decode",
            "tickhouse-stream",
            "tickhouse-store",
            "tickhouse-journal",
            "redis",
            "clickhouse",
        ],
    ),
];

/// What only these may see together: both ends of the way.
// tickhouse-follow gives what is stored and then what is not yet, and must know where one ends and the other begins; it writes to neither.
// tickhouse-verify makes rows of records by the loader's own rules, and only reads.
const BOTH_ENDS: &[&str] = &[
    "tickhouse-load",
    "tickhouse-follow",
    "tickhouse-verify",
    "tickhouse",
    "tickhouse-python",
    "tickhouse-benches",
];

/// Programs: nobody depends on them, but the one program and the benchmarks on the simulator.
const LEAVES: &[(&str, &[&str])] = &[
    ("tickhouse", &[]),
    ("tickhouse-python", &[]),
    ("tickhouse-simulator", &["tickhouse", "tickhouse-benches"]),
    ("tickhouse-crash", &[]),
    ("tickhouse-benches", &[]),
    ("xtask", &[]),
];

/// What the demo must not have to build.
const HEAVY: &[&str] = &["arrow", "parquet", "object_store", "aws-sdk-s3", "datafusion", "polars"];

/// Fails with every arrow that is wrong.
pub(crate) fn check(metadata: &Metadata) -> anyhow::Result<()> {
    let faults = faults(metadata);
    if !faults.is_empty() {
        bail!("arrows against ARCHITECTURE.md:\n  {}", faults.join("\n  "));
    }
    println!("architecture: {} packages, all arrows as drawn", metadata.members.len());
    Ok(())
}

fn faults(metadata: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    let direct = |id: &str| -> Vec<&str> {
        metadata.packages[id].dependencies.iter().map(|id| metadata.packages[id].name.as_str()).collect()
    };
    let reached = |id: &str| -> Vec<&str> {
        let others = metadata.reach([id], false).into_iter().filter(|other| *other != id);
        others.map(|id| metadata.packages[id].name.as_str()).collect()
    };
    for name in PURE {
        let Some(id) = metadata.member(name) else {
            faults.push(format!("{name} is gone: mend xtask/src/arrows.rs"));
            continue;
        };
        let impure = direct(id).into_iter().filter(|dependency| IMPURE.contains(dependency));
        faults.extend(impure.map(|dependency| format!("{name} is pure and must not depend on {dependency}")));
    }
    for (name, forbidden) in NEVER {
        let Some(id) = metadata.member(name) else {
            faults.push(format!("{name} is gone: mend xtask/src/arrows.rs"));
            continue;
        };
        let found = reached(id).into_iter().filter(|dependency| forbidden.contains(dependency));
        faults.extend(found.map(|dependency| format!("{name} must not reach {dependency}")));
    }
    for id in &metadata.members {
        let name = &metadata.packages[id].name;
        let found = direct(id);
        if found.contains(&"tickhouse-stream")
            && found.contains(&"tickhouse-store")
            && !BOTH_ENDS.contains(&name.as_str())
        {
            faults.push(format!("only load knows both ends, not {name}"));
        }
        for (leaf, users) in LEAVES {
            if found.contains(leaf) && !users.contains(&name.as_str()) {
                faults.push(format!("{leaf} is a leaf: {name} must not depend on it"));
            }
        }
    }
    if let Some(program) = metadata.member("tickhouse") {
        let heavy = reached(program).into_iter().filter(|name| HEAVY.contains(name));
        faults.extend(heavy.map(|name| format!("the demo must not have to build {name}")));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn metadata(edges: &[(&str, &str)]) -> Metadata {
        let names = PURE.iter().chain(NEVER.iter().map(|(name, _)| name)).copied();
        let mut names: Vec<&str> = names.chain(edges.iter().flat_map(|(a, b)| [*a, *b])).collect();
        names.sort_unstable();
        names.dedup();
        let package = |name: &&str| json!({ "name": name, "version": "1", "id": name, "license": "MIT" });
        let node = |name: &&str| {
            let found = edges.iter().filter(|(from, _)| from == name);
            let deps: Vec<Value> =
                found.map(|(_, to)| json!({ "pkg": to, "dep_kinds": [{ "kind": null }] })).collect();
            json!({ "id": name, "deps": deps })
        };
        let value = json!({
            "packages": names.iter().map(package).collect::<Vec<_>>(),
            "resolve": { "nodes": names.iter().map(node).collect::<Vec<_>>() },
            "workspace_members": names,
        });
        Metadata::of(&value).unwrap()
    }

    #[test]
    fn wrong_arrows_are_seen() {
        assert_eq!(faults(&metadata(&[])), Vec::<String>::new());
        let wrong = [
            ("tickhouse-decode", "tokio"),
            ("tickhouse-stream", "tickhouse-load"),
            ("tickhouse-load", "tickhouse-store"),
            ("tickhouse-embed", "tickhouse-simulator"),
            ("tickhouse", "parquet"),
        ];
        assert_eq!(
            faults(&metadata(&wrong)),
            [
                "tickhouse-decode is pure and must not depend on tokio",
                "tickhouse-stream must not reach tickhouse-store",
                "tickhouse-simulator is a leaf: tickhouse-embed must not depend on it",
                "the demo must not have to build parquet",
            ]
        );
        assert_eq!(
            faults(&metadata(&[
                ("tickhouse-embed2", "tickhouse-store"),
                ("tickhouse-embed2", "tickhouse-stream")
            ])),
            ["only load knows both ends, not tickhouse-embed2"]
        );
    }
}
