//! The older Redis: commands that read, and nothing else.
//!
//! `SELECT` (by the address), `SCAN`, `TYPE`, `STRLEN`, `HLEN`, `LLEN`, `ZCARD`, `XLEN`, `GET`, `HSCAN`, `HGETALL`, `LRANGE`, `ZRANGE`,
//! `XRANGE`; to follow it also `ZREVRANGE`, `ZRANGEBYSCORE`, `ZCOUNT`, `CONFIG GET` and `PSUBSCRIBE`. Each may be repeated, so a lost connection is opened again and the commands are sent again.

use crate::answer::{bytes, elements, integer, kind_of, last_id, list, members, pairs, size_of, start_after};
use crate::error::ImportError;
use crate::pace::{FIRST, Pace};
use crate::seen::End;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, RedisError, Value, cmd, pipe};
use std::time::{Duration, Instant};

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_mins(1);
/// How long a source may be away before the import ends.
const PATIENCE: Duration = Duration::from_mins(1);
const FOLLOWING_SET: &str = "following a sorted set";
const PAUSE: Duration = Duration::from_millis(250);

/// Elements of a key that are read with the keys beside it.
pub(crate) const SMALL: u64 = 256;
/// Bytes of a text that is read, and of one that is read with the keys beside it. As JSON it takes some ten times as many.
const TEXT_MAX: u64 = 8 << 20;
const TEXT_SMALL: u64 = 64 << 10;
/// Fields and bytes of a hash, which is read at once to have its fields in an order.
const HASH_MAX: u64 = 1_000_000;
const HASH_BYTES: u64 = 256 << 20;

/// One database of the source.
#[derive(Debug)]
pub(crate) struct SourceDb {
    client: Client,
    endpoint: String,
    connection: Option<MultiplexedConnection>,
    pace: Pace,
}

/// A key and what kind of value it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Hash,
    List,
    SortedSet,
    Stream,
    /// Gone since it was planned.
    Gone,
    /// A set, or something of a module.
    Other,
}

/// A key's kind and size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
}

/// A piece of a key's value.
#[derive(Debug)]
pub(crate) enum Element {
    /// A text, an item of a list, a member of a sorted set with its score.
    Text { bytes: Vec<u8>, score: Option<f64> },
    /// A hash, or an entry of a stream with its id and the milliseconds of it.
    Fields { fields: Vec<(Vec<u8>, Vec<u8>)>, at: Option<String>, id: Option<String> },
    /// It is not read, and why.
    Refused(&'static str),
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Hash => "hash",
            Self::List => "list",
            Self::SortedSet => "zset",
            Self::Stream => "stream",
            Self::Gone => "gone",
            Self::Other => "other",
        }
    }
}

impl SourceDb {
    pub(crate) fn new(url: &str, endpoint: &str, db: u32) -> Result<Self, ImportError> {
        let base = url.trim_end_matches('/');
        let client = Client::open(format!("{base}/{db}")).map_err(|source| ImportError::Source {
            endpoint: endpoint.to_owned(),
            doing: "its address is read",
            source,
        })?;
        Ok(Self { client, endpoint: endpoint.to_owned(), connection: None, pace: Pace::new() })
    }

    async fn connection(&mut self) -> Result<MultiplexedConnection, RedisError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// The answers to a pipeline; an error of a single command ends all. Gives whether the connection was lost on the way.
    async fn ask(
        &mut self,
        doing: &'static str,
        pipeline: &Pipeline,
    ) -> Result<(Vec<Value>, bool), ImportError> {
        let since = Instant::now();
        let mut lost = false;
        loop {
            let answers = async {
                let mut connection = self.connection().await?;
                let values = connection.send_packed_commands(pipeline, 0, pipeline.len()).await?;
                values.into_iter().map(Value::extract_error).collect::<Result<Vec<_>, _>>()
            };
            let error = match answers.await {
                Ok(values) => return Ok((values, lost)),
                Err(error) => error,
            };
            self.connection = None;
            lost = true;
            let away = error.is_io_error()
                || error.is_timeout()
                || error.is_connection_dropped()
                || error.is_connection_refusal()
                || matches!(error.kind(), redis::ErrorKind::Server(redis::ServerErrorKind::BusyLoading));
            if !away || since.elapsed() > PATIENCE {
                return Err(ImportError::Source { endpoint: self.endpoint.clone(), doing, source: error });
            }
            tracing::debug!(%error, doing, "the source does not answer, trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask_one(&mut self, doing: &'static str, command: redis::Cmd) -> Result<Value, ImportError> {
        let mut pipeline = pipe();
        pipeline.add_command(command);
        Ok(self.ask(doing, &pipeline).await?.0.into_iter().next().unwrap_or(Value::Nil))
    }

    /// Keys from a cursor on, and the next cursor, `None` at the end. An error of `true` would mean that cursors begin anew.
    pub(crate) async fn scan(&mut self, cursor: &str, count: u64) -> Result<Scanned, ImportError> {
        let mut pipeline = pipe();
        pipeline.cmd("SCAN").arg(cursor).arg("COUNT").arg(count);
        let (answers, lost) = self.ask("scanning its keys", &pipeline).await?;
        let mut parts = list(answers.into_iter().next().unwrap_or(Value::Nil)).into_iter();
        let next = parts.next().map(bytes).unwrap_or_default();
        let keys = list(parts.next().unwrap_or(Value::Nil)).into_iter().map(bytes).collect();
        let next = String::from_utf8_lossy(&next).into_owned();
        // a cursor of a server that was restarted meanwhile means nothing
        Ok(Scanned { keys, next: (next != "0").then_some(next), lost: lost && cursor != "0" })
    }

    /// Kinds and sizes of keys.
    pub(crate) async fn shapes(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Shape>, ImportError> {
        let mut types = pipe();
        keys.iter().for_each(|key| {
            types.cmd("TYPE").arg(key);
        });
        let answers = self.ask("asking for types", &types).await?.0;
        let kinds: Vec<Kind> = answers.into_iter().map(|value| kind_of(&bytes(value))).collect();
        let mut sizes = pipe();
        for (key, kind) in keys.iter().zip(&kinds) {
            let command = match kind {
                Kind::Text => "STRLEN",
                Kind::Hash => "HLEN",
                Kind::List => "LLEN",
                Kind::SortedSet => "ZCARD",
                Kind::Stream => "XLEN",
                Kind::Gone | Kind::Other => continue,
            };
            sizes.cmd(command).arg(key);
        }
        let answers =
            if sizes.is_empty() { Vec::new() } else { self.ask("asking for sizes", &sizes).await?.0 };
        let mut answers = answers.into_iter();
        let shape = |kind| match kind {
            Kind::Gone | Kind::Other => Shape { kind, size: 0 },
            _ => Shape { kind, size: integer(answers.next().as_ref()) },
        };
        Ok(kinds.into_iter().map(shape).collect())
    }

    /// For listening to notifications.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// `notify-keyspace-events`; `None` when the user may not ask.
    pub(crate) async fn notifications(&mut self) -> Result<Option<String>, ImportError> {
        let mut command = cmd("CONFIG");
        command.arg("GET").arg("notify-keyspace-events");
        match self.ask_one("asking for its settings", command).await {
            Ok(value) => Ok(list(value)
                .into_iter()
                .nth(1)
                .map(|flags| String::from_utf8_lossy(&bytes(flags)).into_owned())),
            Err(ImportError::Source { source, .. }) if source.code() == Some("NOPERM") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bytes of a key's value: of a text exactly, of others by what was read lately.
    pub(crate) const fn bytes_of(&self, shape: Shape) -> u64 {
        match shape.kind {
            Kind::Text => shape.size,
            _ => self.pace.bytes(shape.size),
        }
    }

    /// Values of small keys, in one round trip.
    pub(crate) async fn small(&mut self, keys: &[(&[u8], Shape)]) -> Result<Vec<Vec<Element>>, ImportError> {
        let mut pipeline = pipe();
        for (key, shape) in keys {
            add_whole(&mut pipeline, key, shape.kind);
        }
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.ask("reading keys", &pipeline).await?.0;
        let values: Vec<_> =
            answers.into_iter().zip(keys).map(|(value, (_, shape))| elements(value, shape.kind)).collect();
        let (mut count, mut bytes) = (0, 0);
        for (found, (_, shape)) in values.iter().zip(keys).filter(|(_, (_, shape))| shape.kind != Kind::Text)
        {
            count += shape.size;
            bytes += size_of(found);
        }
        self.pace.note(count, bytes);
        Ok(values)
    }

    /// The value of a large key, piece by piece. `from` is where the last piece ended, empty at the beginning.
    pub(crate) async fn piece(
        &mut self,
        key: &[u8],
        shape: Shape,
        from: &str,
    ) -> Result<(Vec<Element>, Option<String>), ImportError> {
        const DOING: &str = "reading a large key";
        match shape.kind {
            Kind::Text if shape.size > TEXT_MAX => Ok((vec![Element::Refused("larger than 8 MiB")], None)),
            Kind::Hash if shape.size > HASH_MAX => {
                Ok((vec![Element::Refused("a hash of more than 1,000,000 fields")], None))
            }
            Kind::Hash if shape.size > SMALL && self.hash_bytes(key, shape.size).await? > HASH_BYTES => {
                Ok((vec![Element::Refused("a hash of more than 256 MiB, as its first fields tell")], None))
            }
            Kind::List | Kind::SortedSet => {
                let start: u64 = from.parse().unwrap_or(0);
                let count = self.pace.count(from.is_empty());
                let name = if shape.kind == Kind::List { "LRANGE" } else { "ZRANGE" };
                let mut command = cmd(name);
                command.arg(key).arg(start).arg(start + count - 1);
                if shape.kind == Kind::SortedSet {
                    command.arg("WITHSCORES");
                }
                let found = elements(self.ask_one(DOING, command).await?, shape.kind);
                self.pace.note(found.len() as u64, size_of(&found));
                let next = (found.len() as u64 == count).then(|| (start + count).to_string());
                Ok((found, next))
            }
            Kind::Stream => {
                let Some(start) = start_after(from) else { return Ok((Vec::new(), None)) };
                let count = self.pace.count(from.is_empty());
                let mut command = cmd("XRANGE");
                command.arg(key).arg(start).arg("+").arg("COUNT").arg(count);
                let value = self.ask_one(DOING, command).await?;
                let last = last_id(&value);
                let found = elements(value, shape.kind);
                self.pace.note(found.len() as u64, size_of(&found));
                let next = last.filter(|_| found.len() as u64 == count);
                Ok((found, next))
            }
            kind => {
                let mut pipeline = pipe();
                add_whole(&mut pipeline, key, kind);
                let value = self.ask(DOING, &pipeline).await?.0.into_iter().next().unwrap_or(Value::Nil);
                Ok((elements(value, kind), None))
            }
        }
    }

    /// Elements that may be read of a key of which nothing is known, and of one that was looked at.
    pub(crate) fn few(&self) -> usize {
        self.pace.count(true) as usize
    }

    pub(crate) fn many(&self) -> u64 {
        self.pace.count(false)
    }

    async fn list_range(&mut self, key: &[u8], from: i64, to: i64) -> Result<Vec<Vec<u8>>, ImportError> {
        let mut command = cmd("LRANGE");
        command.arg(key).arg(from).arg(to);
        let answer = self.ask_one("following a list", command).await?;
        let texts: Vec<Vec<u8>> = list(answer).into_iter().map(bytes).collect();
        self.pace.note(texts.len() as u64, texts.iter().map(|text| text.len() as u64).sum());
        Ok(texts)
    }

    /// Elements of a list in the direction of an end, `from` counted from the other one.
    pub(crate) async fn list_part(
        &mut self,
        key: &[u8],
        end: End,
        from: u64,
        count: u64,
    ) -> Result<Vec<Vec<u8>>, ImportError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let (from, to) = (from.cast_signed(), (from + count - 1).cast_signed());
        match end {
            End::Right => self.list_range(key, from, to).await,
            End::Left => self.list_range(key, -1 - to, -1 - from).await.map(reversed),
        }
    }

    /// The outermost elements of a list, the outermost last.
    pub(crate) async fn list_end(
        &mut self,
        key: &[u8],
        end: End,
        count: u64,
    ) -> Result<Vec<Vec<u8>>, ImportError> {
        self.list_before_end(key, end, 0, count).await
    }

    /// The same without so many outermost ones.
    pub(crate) async fn list_before_end(
        &mut self,
        key: &[u8],
        end: End,
        outer: u64,
        count: u64,
    ) -> Result<Vec<Vec<u8>>, ImportError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let (near, far) = (outer.cast_signed(), (outer + count - 1).cast_signed());
        match end {
            End::Left => self.list_range(key, near, far).await.map(reversed),
            End::Right => self.list_range(key, -1 - far, -1 - near).await,
        }
    }

    pub(crate) async fn list_length(&mut self, key: &[u8]) -> Result<u64, ImportError> {
        let mut command = cmd("LLEN");
        command.arg(key);
        Ok(integer(Some(&self.ask_one("following a list", command).await?)))
    }

    /// Members of a sorted set from a score on, without the first ones.
    pub(crate) async fn members_from(
        &mut self,
        key: &[u8],
        score: f64,
        skip: u64,
        count: u64,
    ) -> Result<Vec<(Vec<u8>, f64)>, ImportError> {
        let mut command = cmd("ZRANGEBYSCORE");
        command.arg(key).arg(score.to_string()).arg("+inf").arg("WITHSCORES");
        command.arg("LIMIT").arg(skip).arg(count);
        let found = members(self.ask_one(FOLLOWING_SET, command).await?);
        self.pace.note(found.len() as u64, found.iter().map(|(text, _)| text.len() as u64).sum());
        Ok(found)
    }

    /// How many members are below a score.
    pub(crate) async fn members_below(&mut self, key: &[u8], score: f64) -> Result<u64, ImportError> {
        let mut command = cmd("ZCOUNT");
        command.arg(key).arg("-inf").arg(format!("({score}"));
        Ok(integer(Some(&self.ask_one(FOLLOWING_SET, command).await?)))
    }

    pub(crate) async fn highest_member(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, f64)>, ImportError> {
        let mut command = cmd("ZREVRANGE");
        command.arg(key).arg(0).arg(0).arg("WITHSCORES");
        Ok(members(self.ask_one(FOLLOWING_SET, command).await?).pop())
    }

    /// Bytes of a hash of so many fields, by some of them.
    async fn hash_bytes(&mut self, key: &[u8], fields: u64) -> Result<u64, ImportError> {
        let mut command = cmd("HSCAN");
        command.arg(key).arg(0).arg("COUNT").arg(FIRST);
        let answer = list(self.ask_one("looking at a hash", command).await?);
        let found = answer.into_iter().nth(1).map(pairs).unwrap_or_default();
        let bytes: u64 = found.iter().map(|(field, value)| (field.len() + value.len()) as u64).sum();
        Ok((bytes / (found.len() as u64).max(1)).saturating_mul(fields))
    }
}

/// What a step of a scan gave.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) next: Option<String>,
    /// The connection was lost: the cursor may be another server's, so the scan has to begin anew.
    pub(crate) lost: bool,
}

impl Shape {
    /// Whether it is read with the keys beside it.
    pub(crate) const fn is_small(self) -> bool {
        match self.kind {
            Kind::Text => self.size <= TEXT_SMALL,
            _ => self.size <= SMALL,
        }
    }
}

fn reversed(mut texts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    texts.reverse();
    texts
}

fn add_whole(pipeline: &mut Pipeline, key: &[u8], kind: Kind) {
    match kind {
        Kind::Text => pipeline.cmd("GET").arg(key),
        Kind::Hash => pipeline.cmd("HGETALL").arg(key),
        Kind::List => pipeline.cmd("LRANGE").arg(key).arg(0).arg(-1),
        Kind::SortedSet => pipeline.cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES"),
        Kind::Stream => pipeline.cmd("XRANGE").arg(key).arg("-").arg("+"),
        Kind::Gone | Kind::Other => pipeline.cmd("TYPE").arg(key),
    };
}
