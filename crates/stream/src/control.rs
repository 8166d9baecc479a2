//! Everything a loader does with Redis besides reading: acknowledge, trim, marks, resends, dead letters, state.

use crate::connection::Link;
use crate::entry::{Entry, EntryId, Stream};
use crate::{RedisOptions, StreamError, reply};
use redis::{Value, cmd, pipe};
use std::collections::HashMap;
use std::sync::Arc;

/// Ids in one `XACK`, so that no single command holds Redis up.
const ACK_CHUNK: usize = 1_000;

/// A handle for everything but reading new entries. Clones share one connection, apart from that of a blocking read.
/// Each method is one command or one pipeline and is not repeated after an error; all of them may be.
#[derive(Clone, Debug)]
pub struct Control {
    link: Link,
    options: Arc<RedisOptions>,
}

/// What Redis says about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Entries in it.
    pub length: u64,
    /// Id of the oldest entry, none when it is empty.
    pub first_id: Option<EntryId>,
    /// The highest id it ever had. Survives trimming, not the loss of an append-only file's tail.
    pub last_generated_id: EntryId,
    /// Entries ever added.
    pub entries_added: u64,
    /// The highest id ever deleted by `XDEL` or trimming of a flat stream.
    pub max_deleted_id: EntryId,
    /// The loader's group, none when it is missing.
    pub group: Option<GroupInfo>,
}

impl StreamInfo {
    /// Whether the stream was lost or restored older than `mark`: ids after its end were handed out before and, in a
    /// stream of flat entries, may be given to other content (a new epoch).
    pub fn regressed_below(&self, mark: EntryId) -> bool {
        self.last_generated_id < mark
    }
}

/// What Redis says about the loader's group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// The last entry that was delivered to a consumer.
    pub last_delivered_id: EntryId,
    /// Entries delivered and not acknowledged.
    pub pending: u64,
    /// Entries not delivered yet; none when Redis can't tell. A lag that stays while the last id is delivered is a loss.
    pub lag: Option<u64>,
}

/// What a Redis server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// `redis_version`.
    pub version: String,
    /// Changes with each start of the server.
    pub run_id: String,
    /// Changes when the data set's history does: restart, promotion of a replica.
    pub replication_id: String,
    /// Bytes in use.
    pub used_memory: u64,
    /// Limit, 0 for none.
    pub max_memory: u64,
    /// What happens at the limit; anything but `noeviction` may drop whole streams.
    pub max_memory_policy: String,
}

/// What could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    /// Origin of its stream, see [`Stream::origin`].
    pub origin: &'a str,
    /// Its entry id there.
    pub id: EntryId,
    /// Why, for a reader of logs.
    pub reason: &'a str,
    /// The record, or the fields as they came.
    pub payload: &'a [u8],
}

impl Control {
    /// A handle; no connection is made before the first command.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(options: RedisOptions) -> Result<Self, StreamError> {
        Ok(Self { link: Link::new(&options)?, options: Arc::new(options) })
    }

    /// The options it was made with.
    pub fn options(&self) -> &RedisOptions {
        &self.options
    }

    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    /// Answers when Redis does.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StreamError> {
        self.link.send("a ping", &cmd("PING")).await.map(|_| ())
    }

    /// The streams there are: those of frames and imports that are registered, then the configured ones.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn discover(&self) -> Result<Vec<Stream>, StreamError> {
        let mut command = cmd("SMEMBERS");
        command.arg(self.options.streams_key());
        let mut names: Vec<String> = self.link.query("reading the set of streams", &command).await?;
        names.sort_unstable();
        let mut streams: Vec<Stream> = names.iter().map(|name| self.options.stream(name)).collect();
        for name in self.options.configured_streams() {
            if !names.contains(name) {
                streams.push(self.options.stream(name));
            }
        }
        Ok(streams)
    }

    /// Entries `first` to `last`, both included, at most `count`, whether acknowledged or not.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn range(
        &self,
        stream: &str,
        first: EntryId,
        last: EntryId,
        count: usize,
    ) -> Result<Vec<Entry>, StreamError> {
        let mut command = cmd("XRANGE");
        command.arg(stream).arg(first.to_string()).arg(last.to_string()).arg("COUNT").arg(count);
        let value = self.link.send("reading a range", &command).await?;
        reply::entries("reading a range", value)
    }

    /// Acknowledges entries; gives how many were pending. Safe to repeat.
    ///
    /// # Errors
    /// When Redis fails; some may be acknowledged then.
    pub async fn ack(&self, stream: &str, ids: &[EntryId]) -> Result<u64, StreamError> {
        const DOING: &str = "acknowledging";
        if ids.is_empty() {
            return Ok(0);
        }
        let mut pipeline = pipe();
        for chunk in ids.chunks(ACK_CHUNK) {
            let command = pipeline.cmd("XACK").arg(stream).arg(&self.options.group);
            chunk.iter().for_each(|id| {
                command.arg(id.to_string());
            });
        }
        let mut acknowledged = 0;
        for value in self.link.pipeline(DOING, &pipeline).await? {
            let value = self.checked(DOING, value)?;
            acknowledged += reply::integer(&value).ok_or_else(|| reply::unexpected(DOING, &value))?;
        }
        Ok(acknowledged)
    }

    /// Removes entries below `min_id`, which stays; gives how many went.
    ///
    /// Uses `MINID ~`: Redis frees whole nodes (4 KiB or 100 entries) only, in steps of 10,000 entries so that nobody
    /// waits. The few entries that stay are below the mark and harm nothing; the exact form would rewrite a node each
    /// time.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn trim(&self, stream: &str, min_id: EntryId) -> Result<u64, StreamError> {
        let mut command = cmd("XTRIM");
        command.arg(stream).arg("MINID").arg("~").arg(min_id.to_string());
        let mut removed = 0;
        loop {
            let step: u64 = self.link.query("trimming", &command).await?;
            removed += step;
            if step == 0 {
                return Ok(removed);
            }
        }
    }

    /// Says that everything of `origin` up to `id` is confirmed in ClickHouse.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn set_mark(&self, origin: &str, id: EntryId) -> Result<(), StreamError> {
        let mut command = cmd("HSET");
        command.arg(self.options.marks_key()).arg(origin).arg(id.to_string());
        self.link.send("writing a mark", &command).await.map(|_| ())
    }

    /// All marks, by origin. A value that is no id is left out with a warning.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn marks(&self) -> Result<HashMap<String, EntryId>, StreamError> {
        let mut command = cmd("HGETALL");
        command.arg(self.options.marks_key());
        let texts: HashMap<String, String> = self.link.query("reading the marks", &command).await?;
        let mut marks = HashMap::with_capacity(texts.len());
        for (origin, text) in texts {
            match text.parse() {
                Ok(id) => {
                    marks.insert(origin, id);
                }
                Err(error) => tracing::warn!(origin, %error, "a mark in redis is not readable"),
            }
        }
        Ok(marks)
    }

    /// Asks the publisher of a frame stream to publish again what follows `after`. It deletes the stream first, so the
    /// next read gives [`StreamError::NoGroup`].
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn request_resend(&self, stream: &str, after: EntryId) -> Result<(), StreamError> {
        let mut command = cmd("HSET");
        command.arg(self.options.resend_key()).arg(stream).arg(after.to_string());
        self.link.send("asking for a resend", &command).await.map(|_| ())
    }

    /// Whether a publisher has not done a resend yet.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn resend_pending(&self, stream: &str) -> Result<bool, StreamError> {
        let mut command = cmd("HEXISTS");
        command.arg(self.options.resend_key()).arg(stream);
        self.link.query("looking for a resend", &command).await
    }

    /// Keeps what could not be decoded; gives its id in the stream of dead letters.
    ///
    /// That stream is never trimmed by Tickhouse: a capped one would drop evidence unseen. Whoever has dealt with a
    /// letter deletes it (`XDEL`); its length is in the status.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn dead(&self, letter: DeadLetter<'_>) -> Result<EntryId, StreamError> {
        const DOING: &str = "writing a dead letter";
        let mut command = cmd("XADD");
        command.arg(self.options.dead_key()).arg("*");
        command.arg("origin").arg(letter.origin).arg("id").arg(letter.id.to_string());
        command.arg("reason").arg(letter.reason).arg("payload").arg(letter.payload);
        let value = self.link.send(DOING, &command).await?;
        reply::id(&value).ok_or_else(|| reply::unexpected(DOING, &value))
    }

    /// Entries in the stream of dead letters.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn dead_letters(&self) -> Result<u64, StreamError> {
        let mut command = cmd("XLEN");
        command.arg(self.options.dead_key());
        self.link.query("counting the dead letters", &command).await
    }

    /// What Redis says about a stream; none when there is no such key.
    ///
    /// # Errors
    /// When Redis fails or the key is no stream.
    pub async fn info(&self, stream: &str) -> Result<Option<StreamInfo>, StreamError> {
        const DOING: &str = "asking about a stream";
        let mut pipeline = pipe();
        pipeline.cmd("XINFO").arg("STREAM").arg(stream);
        pipeline.cmd("XINFO").arg("GROUPS").arg(stream);
        let mut answers = self.link.pipeline(DOING, &pipeline).await?.into_iter();
        let (Some(about), Some(groups)) = (answers.next(), answers.next()) else {
            return Err(reply::unexpected(DOING, &Value::Nil));
        };
        if is_no_such_key(&about) || is_no_such_key(&groups) {
            return Ok(None);
        }
        let about = self.checked(DOING, about)?;
        let groups = self.checked(DOING, groups)?;
        parse_info(&about, &groups, &self.options.group)
            .map(Some)
            .ok_or_else(|| reply::unexpected(DOING, &about))
    }

    /// What the server says about itself.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn server(&self) -> Result<ServerInfo, StreamError> {
        let text: String = self.link.query("asking about the server", &cmd("INFO")).await?;
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(|value| value.trim().to_owned())
                .unwrap_or_default()
        };
        Ok(ServerInfo {
            version: value("redis_version"),
            run_id: value("run_id"),
            replication_id: value("master_replid"),
            used_memory: value("used_memory").parse().unwrap_or(0),
            max_memory: value("maxmemory").parse().unwrap_or(0),
            max_memory_policy: value("maxmemory_policy"),
        })
    }

    pub(crate) fn checked(&self, doing: &'static str, value: Value) -> Result<Value, StreamError> {
        value.extract_error().map_err(|source| StreamError::of(self.link.endpoint(), doing, source))
    }
}

pub(crate) fn is_no_such_key(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.details().is_some_and(|text| text.contains("no such key")))
}

fn parse_info(about: &Value, groups: &Value, group: &str) -> Option<StreamInfo> {
    let first_id = match reply::field(about, "first-entry")? {
        Value::Array(entry) => entry.first().and_then(reply::id),
        _ => None,
    };
    let ours = groups
        .as_sequence()?
        .iter()
        .find(|one| reply::field(one, "name").and_then(reply::text) == Some(group));
    let group = match ours {
        None => None,
        Some(ours) => Some(GroupInfo {
            last_delivered_id: reply::id(reply::field(ours, "last-delivered-id")?)?,
            pending: reply::integer(reply::field(ours, "pending")?)?,
            lag: reply::field(ours, "lag").and_then(reply::integer),
        }),
    };
    Some(StreamInfo {
        length: reply::integer(reply::field(about, "length")?)?,
        first_id,
        last_generated_id: reply::id(reply::field(about, "last-generated-id")?)?,
        entries_added: reply::integer(reply::field(about, "entries-added")?)?,
        max_deleted_id: reply::id(reply::field(about, "max-deleted-entry-id")?)?,
        group,
    })
}
