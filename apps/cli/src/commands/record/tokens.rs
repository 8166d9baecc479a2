//! Access tokens while recording: who says that one is over, and what `/status` tells of them.

use crate::process::Report;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tickhouse_config::Config;
use tickhouse_source::{Key, TokenState, watch_tokens};
use tickhouse_telemetry::Clock;
use tokio::task::JoinHandle;

/// Watches the tokens' files, says in the log when somebody has to log in, and adds the state of each key to a report. A
/// simulator's key has no file and is left out.
pub(super) fn watch(config: &Config, keys: &[Key], report: Report) -> (JoinHandle<()>, Report) {
    let files = config.kite.access_token_files.iter().cloned();
    let keys: Vec<(Key, PathBuf)> = keys.iter().cloned().zip(files).collect();
    let watching = tokio::spawn(watch_tokens(keys.clone(), config.clock.clone()));
    (watching, with_states(report, keys, config.clock.clone()))
}

fn with_states(report: Report, keys: Vec<(Key, PathBuf)>, clock: Clock) -> Report {
    Arc::new(move || {
        let mut report = report();
        let state = |(key, file): &(Key, PathBuf)| {
            let state = TokenState::of(key, file, clock.now());
            let at = match state {
                TokenState::Expired { since } => Some(since.to_string()),
                TokenState::Valid { until } => Some(until.to_string()),
                TokenState::Missing | TokenState::Refused => None,
            };
            let mut value = json!({ "token": state.name(), "wants_login": state.wants_login() });
            if let Some(at) = at {
                value["ends"] = at.into();
            }
            value
        };
        let states = || keys.iter().map(|(key, file)| TokenState::of(key, file, clock.now()));
        let end = |state| match state {
            TokenState::Expired { since: end } | TokenState::Valid { until: end } => Some(end.as_seconds()),
            TokenState::Missing | TokenState::Refused => None,
        };
        report["token_ends_seconds"] = states().filter_map(end).min().unwrap_or(0).into();
        report["keys_wanting_login"] = states().filter(TokenState::wants_login).count().into();
        report["keys"] = keys.iter().map(state).collect::<Vec<Value>>().into();
        report
    })
}
