//! Where ClickHouse and Redis are for this configuration.

use crate::process::RunFile;
use anyhow::bail;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tickhouse_config::{Backend, Config, Secret};

/// Where a running system's services are; `up` and `demo` write it into their run file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// ClickHouse over HTTP.
    pub(crate) clickhouse_http: u16,
    /// ClickHouse's native protocol.
    pub(crate) clickhouse_tcp: u16,
    /// Redis.
    pub(crate) redis: u16,
}

/// Folders below the data directory.
pub(crate) fn run_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("run")
}

/// Logs of child processes.
pub(crate) fn log_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}

/// The journals of all recorders of this data directory.
pub(crate) fn journal_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}

/// A ClickHouse to speak to over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct ClickHouseEndpoint {
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) database: String,
}

/// The ClickHouse of this configuration: the external one, else the embedded one where it runs now, else where it
/// would run.
pub(crate) fn clickhouse(config: &Config) -> anyhow::Result<ClickHouseEndpoint> {
    let settings = &config.clickhouse;
    let database = settings.database.clone();
    if settings.mode == Backend::External {
        let password = Secret::from_file(settings.password_file.as_deref())
            .map_err(|error| anyhow::anyhow!("clickhouse.password_file can't be read: {error}"))?;
        let url = settings.url.trim_end_matches('/').to_owned();
        return Ok(ClickHouseEndpoint { url, user: settings.user.clone(), password, database });
    }
    let running = ports(config).map(|ports| ports.clickhouse_http).filter(|port| *port != 0);
    let Some(port) = running.or((settings.http_port != 0).then_some(settings.http_port)) else {
        bail!("ClickHouse does not run: start it with `tickhouse clickhouse start` or `tickhouse up`");
    };
    Ok(ClickHouseEndpoint {
        url: format!("http://127.0.0.1:{port}"),
        user: "default".to_owned(),
        password: Secret::default(),
        database,
    })
}

/// URL of the Redis of this configuration. It may hold a password: for the client only.
pub(crate) fn redis_url(config: &Config) -> anyhow::Result<String> {
    let settings = &config.redis;
    if settings.mode == Backend::External {
        let password = Secret::from_file(settings.password_file.as_deref())
            .map_err(|error| anyhow::anyhow!("redis.password_file can't be read: {error}"))?;
        return Ok(with_password(&settings.url, &password));
    }
    let running = ports(config).map(|ports| ports.redis).filter(|port| *port != 0);
    let Some(port) = running.or((settings.port != 0).then_some(settings.port)) else {
        bail!("Redis does not run: start it with `tickhouse redis start` or `tickhouse up`");
    };
    Ok(format!("redis://127.0.0.1:{port}"))
}

/// A URL with this password, if there is one.
pub(crate) fn with_password(url: &str, password: &Secret) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if !password.is_empty() => {
            let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
            format!("{scheme}://{user}:{}@{host}", percent_encoded(password.expose()))
        }
        _ => url.to_owned(),
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The data directory whose system is meant by somebody who only looks: this one, or the demo's below it when only that
/// runs.
pub(crate) fn of_what_runs(config: &Config) -> PathBuf {
    let demo = config.data_dir.join("demo");
    let runs = |data_dir: &Path| {
        let roles = ["up", "demo", "record", "load", "serve", "sim"];
        roles.iter().any(|role| RunFile::read(&run_dir(data_dir), role).is_some_and(|file| file.is_alive()))
    };
    if ports(config).is_none() && !runs(&config.data_dir) && runs(&demo) {
        demo
    } else {
        config.data_dir.clone()
    }
}

/// Ports of what runs on this data directory: under `up` or `demo`, else in the background.
pub(crate) fn ports(config: &Config) -> Option<Ports> {
    let run_dir = run_dir(&config.data_dir);
    for role in ["up", "demo"] {
        if let Some(file) = RunFile::read(&run_dir, role).filter(RunFile::is_alive) {
            return file.ports;
        }
    }
    let state =
        |name| tickhouse_embed::daemon::status(&run_dir, name).ok().flatten().filter(|state| state.ready);
    let (clickhouse, redis) = (state("clickhouse"), state("redis"));
    if clickhouse.is_none() && redis.is_none() {
        return None;
    }
    Some(Ports {
        clickhouse_http: clickhouse.as_ref().map_or(0, |state| state.port),
        clickhouse_tcp: clickhouse.as_ref().map_or(0, |state| state.tcp_port),
        redis: redis.as_ref().map_or(0, |state| state.port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_put_into_the_url_of_the_client() {
        let with = |url, password: &str| with_password(url, &Secret::new(password));
        assert_eq!(with("redis://h:1/2", ""), "redis://h:1/2");
        assert_eq!(with("redis://h:1/2", "a@b/c"), "redis://:a%40b%2Fc@h:1/2");
        assert_eq!(with("redis://me@h:1", "x"), "redis://me:x@h:1");
    }
}
