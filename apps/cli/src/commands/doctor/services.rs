//! What this configuration connects to: ports, ClickHouse, Redis, Kite.

use super::Finding;
use crate::endpoints;
use crate::http_query::HttpQuery;
use std::path::Path;
use std::time::Duration;
use tickhouse_config::{Backend, Config, Secret};
use tickhouse_embed::port;
use tickhouse_source::open_to_others;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);
/// Kite's access tokens end at six the next morning.
const TOKEN_LIFE: Duration = Duration::from_hours(24);

pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let running = endpoints::ports(config).is_some();
    if !running {
        findings.extend(ports(config));
    }
    if running || config.clickhouse.mode == Backend::External {
        findings.push(clickhouse(config).await);
    }
    if running || config.redis.mode == Backend::External {
        findings.push(redis(config).await);
    }
    findings.extend(kite(config).await);
    findings
}

/// Whether the ports are free that `up` would take.
fn ports(config: &Config) -> Vec<Finding> {
    let mut wanted = vec![("http.listen", config.http.listen.port())];
    if config.clickhouse.mode == Backend::Embedded {
        wanted.push(("clickhouse.http_port", config.clickhouse.http_port));
        wanted.push(("clickhouse.tcp_port", config.clickhouse.tcp_port));
    }
    if config.redis.mode == Backend::Embedded {
        wanted.push(("redis.port", config.redis.port));
    }
    wanted
        .into_iter()
        .filter(|(_, port)| *port != 0)
        .map(|(key, number)| {
            if port::claim(number, "", "").is_ok() {
                return Finding::ok("port", format!("{number} is free ({key})"));
            }
            let holder =
                port::holder(number).map_or_else(|| "something".to_owned(), |holder| holder.to_string());
            let advice = format!("end it, or choose another port with {key}");
            Finding::failure("port", format!("{number} is taken by {holder}"), advice)
        })
        .collect()
}

async fn clickhouse(config: &Config) -> Finding {
    let version = async {
        let endpoint = endpoints::clickhouse(config)?;
        let url = endpoint.url.clone();
        let server = HttpQuery::new(endpoint)?;
        let answer = tokio::time::timeout(PATIENCE, server.text("SELECT version(), timezone()")).await??;
        anyhow::Ok((url, answer))
    };
    match version.await {
        Ok((url, answer)) => {
            let (version, zone) = answer.split_once('\t').unwrap_or((&answer, ""));
            let found = format!("{version} at {url}, time zone {zone}");
            if zone == "Asia/Kolkata" {
                return Finding::ok("ClickHouse", found);
            }
            Finding::warning(
                "ClickHouse",
                found,
                "set its time zone to Asia/Kolkata, so that today() is India's day",
            )
        }
        Err(error) => {
            Finding::failure("ClickHouse", format!("{error:#}"), "see clickhouse.url, user and password_file")
        }
    }
}

async fn redis(config: &Config) -> Finding {
    let asked = async {
        let url = endpoints::redis_url(config)?;
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let host = host.split('/').next().unwrap_or(host).to_owned();
        let answer = tokio::time::timeout(PATIENCE, ping(&host)).await??;
        anyhow::Ok((host, answer))
    };
    match asked.await {
        Ok((host, answer)) if answer.starts_with("+PONG") || answer.starts_with("-NOAUTH") => {
            Finding::ok("Redis", format!("answers at {host}"))
        }
        Ok((host, answer)) => {
            Finding::failure("Redis", format!("{host} answers {answer:?}"), "is that a Redis? see redis.url")
        }
        Err(error) => Finding::failure("Redis", format!("{error:#}"), "see redis.url, or start it"),
    }
}

async fn ping(host: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..read]).trim().to_owned())
}

async fn kite(config: &Config) -> Vec<Finding> {
    if config.kite.api_keys.is_empty() {
        let advice =
            "only for live use: set kite.api_keys and kite.access_token_files; `tickhouse demo` needs none";
        return vec![Finding::ok("Kite", format!("no API key is set ({advice})"))];
    }
    let (tokens, secrets) = (&config.kite.access_token_files, &config.kite.api_secret_files);
    let mut findings: Vec<Finding> = tokens.iter().map(|path| token(path)).collect();
    findings.extend(tokens.iter().chain(secrets).filter_map(|path| readable(path)));
    for url in [&config.kite.endpoint, &config.kite.api_url] {
        let reached = tokio::time::timeout(PATIENCE, reach(url)).await;
        findings.push(match reached {
            Ok(Ok(())) => Finding::ok("Kite", format!("{url} can be reached")),
            Ok(Err(error)) => Finding::failure("Kite", format!("{url}: {error}"), "is this machine online?"),
            Err(_) => Finding::failure("Kite", format!("{url} does not answer"), "is there a firewall?"),
        });
    }
    findings
}

async fn reach(url: &str) -> std::io::Result<()> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    let port = if matches!(scheme, "wss" | "https") { 443 } else { 80 };
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    TcpStream::connect(address).await.map(drop)
}

/// A warning where others can read a file with a secret.
fn readable(path: &Path) -> Option<Finding> {
    let (mode, path) = (open_to_others(path)?, path.display());
    let found = format!("{path} can be read by others than its owner (mode {mode:o})");
    Some(Finding::warning("permissions", found, format!("chmod 600 {path}")))
}

fn token(path: &Path) -> Finding {
    let advice = "write today's access token into it";
    match Secret::from_file(Some(path)) {
        Err(error) => Finding::failure("access token", format!("{}: {error}", path.display()), advice),
        Ok(token) if token.is_empty() => {
            Finding::failure("access token", format!("{} is empty", path.display()), advice)
        }
        Ok(_) => {
            let age = std::fs::metadata(path)
                .and_then(|file| file.modified())
                .ok()
                .and_then(|changed| changed.elapsed().ok());
            if age.is_some_and(|age| age > TOKEN_LIFE) {
                return Finding::warning(
                    "access token",
                    format!("{} is over a day old", path.display()),
                    advice,
                );
            }
            Finding::ok("access token", path.display().to_string())
        }
    }
}
