//! One configuration: `tickhouse.toml`, the environment `TICKHOUSE_*`, keywords of a call; as for every command of the program.
//!
//! What enters: keywords. What leaves: a checked [`Config`], or every fault of it at once. What never happens here: another
//! rule than the command line has (a keyword stands where a flag stands: before the environment, that before the file).

use crate::errors::{CONFIG_ERROR, raise};
use pyo3::prelude::*;
use std::path::PathBuf;
use tickhouse_config::{Config, Sources};

/// A keyword that was given: the setting, the keyword as messages name it, its value as text.
pub(crate) struct Keyword<'a> {
    pub(crate) setting: &'a str,
    pub(crate) name: &'a str,
    pub(crate) value: Option<String>,
}

impl<'a> Keyword<'a> {
    pub(crate) const fn new(setting: &'a str, name: &'a str, value: Option<String>) -> Self {
        Self { setting, name, value }
    }
}

/// Reads the configuration. `file`: instead of the first of the usual ones that exists.
pub(crate) fn read(py: Python<'_>, file: Option<PathBuf>, keywords: &[Keyword<'_>]) -> PyResult<Config> {
    let fault = |error: tickhouse_config::ConfigError| raise(py, &CONFIG_ERROR, (error.to_string(),));
    let mut sources = Sources::new();
    if let Some(path) = file.or_else(tickhouse_endpoints::config_file) {
        sources = sources.with_file(&path).map_err(fault)?;
    }
    // attached to the interpreter, so that nobody changes `os.environ` meanwhile
    let environment = std::env::vars_os();
    sources = sources.with_environment(
        environment.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    for Keyword { setting, name, value } in keywords {
        sources = sources.with_flag(setting, name, value.as_ref());
    }
    Config::read(&sources).map_err(fault)
}
