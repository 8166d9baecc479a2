//! The Redis of a configuration.

use crate::{EndpointError, password, ports};
use tickhouse_config::{Backend, Config, Secret};
use tickhouse_stream::RedisOptions;

/// URL of the Redis of this configuration: the external one, else the embedded one where it runs now, else where it would
/// run. It may hold a password: for the client only.
///
/// # Errors
/// When its password can't be read, or nothing says at which port it is.
pub fn redis_url(config: &Config) -> Result<String, EndpointError> {
    let settings = &config.redis;
    if settings.mode == Backend::External {
        let password = password("redis.password_file", settings.password_file.as_deref())?;
        return Ok(with_password(&settings.url, &password));
    }
    let running = ports(config).map(|ports| ports.redis).filter(|port| *port != 0);
    let port = running.or((settings.port != 0).then_some(settings.port)).ok_or(EndpointError::NoRedis)?;
    Ok(format!("redis://127.0.0.1:{port}"))
}

/// Where Redis is and what the streams are called.
///
/// # Errors
/// As [`redis_url`].
pub fn redis_options(config: &Config) -> Result<RedisOptions, EndpointError> {
    Ok(RedisOptions {
        prefix: config.redis.stream_prefix.clone(),
        namespace: config.redis.namespace.clone(),
        group: config.redis.group.clone(),
        flat_streams: config.redis.flat_streams.clone(),
        news_streams: config.redis.news_streams.clone(),
        indices_streams: config.redis.indices_streams.clone(),
        ..RedisOptions::at(redis_url(config)?)
    })
}

/// A URL with this password, if there is one.
pub fn with_password(url: &str, password: &Secret) -> String {
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
