//! The packages that cargo resolves, from `cargo metadata`.

use crate::run;
use anyhow::Context as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A package and what it depends on.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// Ids of normal and build dependencies that are in use on this machine.
    pub(crate) dependencies: BTreeSet<String>,
    /// Ids of dependencies for tests too.
    pub(crate) all_dependencies: BTreeSet<String>,
}

/// All packages by their id, and which of them are ours.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) packages: BTreeMap<String, Package>,
    pub(crate) members: BTreeSet<String>,
}

impl Metadata {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let text = run::output(&mut run::cargo(&["metadata", "--format-version", "1", "--locked"]))?;
        let value = serde_json::from_str(&text).context("cargo metadata wrote no JSON")?;
        Self::of(&value).context("cargo metadata has another form than expected")
    }

    pub(crate) fn of(value: &Value) -> Option<Self> {
        let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
        let mut packages = BTreeMap::new();
        for package in value["packages"].as_array()? {
            let entry = Package {
                name: text(package, "name")?,
                version: text(package, "version")?,
                license: text(package, "license"),
                dependencies: BTreeSet::new(),
                all_dependencies: BTreeSet::new(),
            };
            packages.insert(text(package, "id")?, entry);
        }
        for node in value["resolve"]["nodes"].as_array()? {
            let package = packages.get_mut(node["id"].as_str()?)?;
            for dependency in node["deps"].as_array()? {
                let id = text(dependency, "pkg")?;
                let kinds = dependency["dep_kinds"].as_array()?;
                if kinds.iter().any(|kind| kind["kind"] != "dev") {
                    package.dependencies.insert(id.clone());
                }
                package.all_dependencies.insert(id);
            }
        }
        let members = value["workspace_members"].as_array()?;
        let members = members.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Self { packages, members })
    }

    /// The package of ours with this name.
    pub(crate) fn member(&self, name: &str) -> Option<&str> {
        self.members.iter().map(String::as_str).find(|id| self.packages[*id].name == name)
    }

    /// Everything that is reached from these packages; `tests`: over dependencies for tests of the first ones too.
    pub(crate) fn reach<'a>(
        &'a self,
        from: impl IntoIterator<Item = &'a str>,
        tests: bool,
    ) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&str> = from.into_iter().collect();
        let first: BTreeSet<&str> = next.iter().copied().collect();
        while let Some(id) = next.pop() {
            if seen.insert(id) {
                let package = &self.packages[id];
                let with_tests = tests && first.contains(id);
                let found = if with_tests { &package.all_dependencies } else { &package.dependencies };
                next.extend(found.iter().map(String::as_str));
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_in_order() {
        let metadata = Metadata::read().unwrap();
        assert!(metadata.member("tickhouse").is_some());
        crate::licences::check(&metadata).unwrap();
        crate::arrows::check(&metadata).unwrap();
    }
}
