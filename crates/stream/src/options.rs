//! Where Redis is and how its keys are called.

use crate::{Stream, StreamError, StreamKind};
use std::fmt;
use std::time::Duration;
use tickhouse_model::SocketId;

/// Where Redis is and how its keys are called. Its `Debug` hides a password in the URL.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// `redis://[user:password@]host:port[/db]`.
    pub url: String,
    /// Family of the frame streams: `<prefix>:<recorder>:<socket>`.
    pub prefix: String,
    /// First part of the keys that are no streams of ticks: `<namespace>:marks`, `:streams`, `:resend`, `:dead`.
    pub namespace: String,
    /// Consumer group of the loaders.
    pub group: String,
    /// Streams of flat entries to read besides the frame streams.
    pub flat_streams: Vec<String>,
    /// Streams of news items.
    pub news_streams: Vec<String>,
    /// Streams of index values.
    pub indices_streams: Vec<String>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for an answer; a blocking read gets this on top of its own time. The client's default of 500 ms is
    /// too short for a Redis that rewrites its append-only file.
    pub response_timeout: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6380".to_owned(),
            prefix: "ticks:stream".to_owned(),
            namespace: "ticks".to_owned(),
            group: "tickhouse".to_owned(),
            flat_streams: vec!["ticks:stream".to_owned()],
            news_streams: vec!["news:stream".to_owned()],
            indices_streams: vec!["indices:stream".to_owned()],
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(5),
        }
    }
}

impl RedisOptions {
    /// The defaults with another URL.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The frame stream of a recorder's socket.
    pub fn frame_stream(&self, recorder: &str, socket: SocketId) -> Stream {
        Stream::frames(format!("{}:{recorder}:{socket}", self.prefix), recorder, socket)
    }

    /// The stream of an import. The name must begin with a letter: `<prefix>:import:0` is the socket of a recorder.
    pub fn import_stream(&self, name: &str) -> Stream {
        Stream::of_kind(format!("{}:import:{name}", self.prefix), StreamKind::Imported)
    }

    /// The stream of a name: of frames or of an import when it is one of the family, of news or index values when it is
    /// configured as such, otherwise one of flat ticks.
    pub fn stream(&self, name: &str) -> Stream {
        if self.news_streams.iter().any(|one| one == name) {
            return Stream::of_kind(name, StreamKind::News);
        }
        if self.indices_streams.iter().any(|one| one == name) {
            return Stream::of_kind(name, StreamKind::Indices);
        }
        let rest = name.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix(':'));
        match rest.and_then(|rest| rest.rsplit_once(':')) {
            Some((recorder, socket)) if !recorder.is_empty() && socket.parse::<SocketId>().is_ok() => {
                Stream::frames(name, recorder, socket.parse().unwrap_or_default())
            }
            Some(("import", import)) if import.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                Stream::of_kind(name, StreamKind::Imported)
            }
            _ => Stream::flat(name),
        }
    }

    /// Every configured stream that is not one of frames.
    pub(crate) fn configured_streams(&self) -> impl Iterator<Item = &String> {
        self.flat_streams.iter().chain(&self.news_streams).chain(&self.indices_streams)
    }

    /// Host and port without credentials, for logs.
    pub fn endpoint(&self) -> String {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        rest.split(['/', '?']).next().unwrap_or_default().to_owned()
    }

    pub(crate) fn marks_key(&self) -> String {
        format!("{}:marks", self.namespace)
    }

    pub(crate) fn streams_key(&self) -> String {
        format!("{}:streams", self.namespace)
    }

    pub(crate) fn resend_key(&self) -> String {
        format!("{}:resend", self.namespace)
    }

    pub(crate) fn dead_key(&self) -> String {
        format!("{}:dead", self.namespace)
    }

    pub(crate) fn client(&self) -> Result<redis::Client, StreamError> {
        redis::Client::open(self.url.as_str())
            .map_err(|source| StreamError::Url { endpoint: self.endpoint(), source })
    }
}

#[expect(clippy::missing_fields_in_debug, reason = "the URL may hold a password")]
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("endpoint", &self.endpoint())
            .field("prefix", &self.prefix)
            .field("namespace", &self.namespace)
            .field("group", &self.group)
            .field("flat_streams", &self.flat_streams)
            .field("news_streams", &self.news_streams)
            .field("indices_streams", &self.indices_streams)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_frames_from_flat_entries() {
        let options = RedisOptions::default();
        let frames = options.frame_stream("kite-1", 3);
        assert_eq!(frames.name(), "ticks:stream:kite-1:3");
        assert_eq!((options.stream(frames.name()), frames.origin()), (frames.clone(), "kite-1/3".to_owned()));
        for (name, kind) in [
            ("news:stream", StreamKind::News),
            ("indices:stream", StreamKind::Indices),
            ("ticks:stream:import:redis", StreamKind::Imported),
        ] {
            assert_eq!(
                (options.stream(name).kind(), options.stream(name).origin()),
                (&kind, name.to_owned())
            );
        }
        assert!(options.stream("ticks:stream:import:0").is_frames());
        for flat in ["ticks:stream", "zerodha_ticks", "ticks:stream:x", "ticks:stream:x:y", "ticks:stream::1"]
        {
            assert_eq!(options.stream(flat).origin(), flat);
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let options = RedisOptions::at("redis://me:s3cret@10.0.0.1:6380/2?protocol=resp3");
        assert_eq!(options.endpoint(), "10.0.0.1:6380");
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
