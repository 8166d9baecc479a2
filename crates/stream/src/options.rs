//! Where Redis is and how its keys are called.

use crate::{Stream, StreamError};
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

    /// The stream of a name: a frame stream when it is one of the family, otherwise one of flat entries.
    pub fn stream(&self, name: &str) -> Stream {
        name.strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|rest| rest.rsplit_once(':'))
            .and_then(|(recorder, socket)| Some((recorder, socket.parse::<SocketId>().ok()?)))
            .filter(|(recorder, _)| !recorder.is_empty())
            .map_or_else(
                || Stream::flat(name),
                |(recorder, socket)| Stream::frames(name.to_owned(), recorder, socket),
            )
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
