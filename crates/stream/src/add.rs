//! Adding entries that other programs, files or feeds bring: each once, however often it is brought.
//!
//! What enters: fields, and what tells an entry from others. What leaves: entries with ids that Redis gives. What never
//! happens here: an entry without the note that it was added, or the note without the entry: Redis does both or neither.

use crate::control::Control;
use crate::{StreamError, reply};
use redis::{Value, pipe};

/// Identities that are remembered per stream, the latest: some 30 MB at most.
const REMEMBERED: i64 = 200_000;

/// KEYS: stream, sorted set of identities. ARGV: identities kept, time, identity, then fields and values.
const ADD_NEW: &str = "if redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[3]) == 0 then return 0 end \
    redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4)) \
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[1]) \
    return 1";

/// An entry to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Tells it from others; short, e.g. a digest.
    pub identity: String,
    /// Fields and values.
    pub fields: Vec<(&'static str, String)>,
}

impl Control {
    /// Adds those entries of a stream whose identity is not among the latest 200,000 that were added this way; says of each
    /// whether it was added. `at` orders identities by age: Unix milliseconds. Safe to repeat after an error.
    ///
    /// # Errors
    /// When Redis fails; some entries may have been added.
    pub async fn add_new(
        &self,
        stream: &str,
        at: i64,
        entries: &[NewEntry],
    ) -> Result<Vec<bool>, StreamError> {
        const DOING: &str = "adding entries";
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let seen = format!("{stream}:seen");
        let mut pipeline = pipe();
        for entry in entries {
            let command = pipeline.cmd("EVAL").arg(ADD_NEW).arg(2).arg(stream).arg(&seen);
            command.arg(REMEMBERED).arg(at).arg(&entry.identity);
            entry.fields.iter().for_each(|(field, value)| {
                command.arg(field).arg(value);
            });
        }
        let answers = self.link().pipeline(DOING, &pipeline).await?;
        answers
            .into_iter()
            .map(|answer| match self.checked(DOING, answer)? {
                Value::Int(added) => Ok(added == 1),
                other => Err(reply::unexpected(DOING, &other)),
            })
            .collect()
    }

    /// Adds entries and, in one transaction, notes that everything of `of` up to `position` was added.
    ///
    /// # Errors
    /// When Redis fails: after a lost answer [`Control::position`] tells whether it was done.
    pub async fn add_up_to(
        &self,
        stream: &str,
        entries: &[Vec<(&'static str, String)>],
        of: &str,
        position: u64,
    ) -> Result<(), StreamError> {
        const DOING: &str = "adding entries";
        let mut pipeline = pipe();
        pipeline.cmd("MULTI");
        for fields in entries {
            let command = pipeline.cmd("XADD").arg(stream).arg("*");
            fields.iter().for_each(|(field, value)| {
                command.arg(field).arg(value);
            });
        }
        pipeline.cmd("HSET").arg(positions_key(stream)).arg(of).arg(position);
        pipeline.cmd("EXEC");
        for answer in self.link().pipeline(DOING, &pipeline).await? {
            self.checked(DOING, answer)?;
        }
        Ok(())
    }

    /// Up to where `of` was added by [`Control::add_up_to`], 0 for nothing.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn position(&self, stream: &str, of: &str) -> Result<u64, StreamError> {
        let mut command = redis::cmd("HGET");
        command.arg(positions_key(stream)).arg(of);
        Ok(self.link().query::<Option<u64>>("asking how far a file was added", &command).await?.unwrap_or(0))
    }

    /// Entries in a stream, 0 when there is none.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn length(&self, stream: &str) -> Result<u64, StreamError> {
        let mut command = redis::cmd("XLEN");
        command.arg(stream);
        self.link().query("asking for the length of a stream", &command).await
    }

    /// Adds entries with these ids, all or none, and registers the stream so that loaders read it. Ids at or below the
    /// stream's last are refused by Redis: such entries count as there. `make` says whether the first one may make the stream;
    /// gives `None` when it would have to be made and may not.
    ///
    /// One transaction: an entry refused for lack of memory, and a later one taken, would leave a hole that no id could fill.
    ///
    /// # Errors
    /// When Redis fails; the entries may have been added. Send them again.
    pub async fn add_at(
        &self,
        stream: &crate::Stream,
        entries: &[(crate::EntryId, Vec<String>)],
        make: bool,
    ) -> Result<Option<u64>, StreamError> {
        const DOING: &str = "adding entries";
        let mut pipeline = pipe();
        pipeline.cmd("MULTI");
        for (index, (id, fields)) in entries.iter().enumerate() {
            let command = pipeline.cmd("XADD").arg(stream.name());
            if !(make && index == 0) {
                command.arg("NOMKSTREAM");
            }
            command.arg(id.to_string()).arg(fields);
        }
        pipeline.cmd("EXEC");
        if make {
            pipeline.cmd("SADD").arg(self.options().streams_key()).arg(stream.name());
        }
        let mut answers = self.link().pipeline(DOING, &pipeline).await?;
        let registered = if make { answers.pop() } else { None };
        let done = answers.pop().unwrap_or(Value::Nil);
        if let Value::ServerError(_) = done {
            // EXEC was refused because a command was: the first refusal says why
            let refused = answers.into_iter().find(|answer| matches!(answer, Value::ServerError(_)));
            self.checked(DOING, refused.unwrap_or(done))?;
            return Err(reply::unexpected(DOING, &Value::Nil));
        }
        let Value::Array(results) = done else { return Err(reply::unexpected(DOING, &done)) };
        registered.map(|answer| self.checked(DOING, answer)).transpose()?;
        let mut added = 0;
        for answer in results {
            match answer {
                Value::Nil => return Ok(None),
                Value::ServerError(error)
                    if error.details().is_some_and(|text| text.contains("equal or smaller")) => {}
                other => {
                    self.checked(DOING, other)?;
                    added += 1;
                }
            }
        }
        Ok(Some(added))
    }

    /// The mark of one origin, see [`Control::set_mark`].
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn mark(&self, origin: &str) -> Result<Option<crate::EntryId>, StreamError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.options().marks_key()).arg(origin);
        let text: Option<String> = self.link().query("reading a mark", &command).await?;
        Ok(text.and_then(|text| text.parse().ok()))
    }
}

fn positions_key(stream: &str) -> String {
    format!("{stream}:files")
}
