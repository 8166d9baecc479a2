//! Looking on: entries of streams without a group.
//!
//! What enters: names of streams, and after which entry of each. What leaves: their next entries. What never happens here: a
//! group, an acknowledgement, a change to any stream. So a loader notices nothing of it, and nothing is kept for a reader that is
//! slow: what is trimmed meanwhile has to be looked for in the store.

use crate::connection::Link;
use crate::consumer::{ReadLimits, StreamEntries};
use crate::{EntryId, RedisOptions, StreamError, reply};
use redis::cmd;

/// A connection that looks on. One for each that waits: a blocking read holds up whatever shares its connection.
#[derive(Debug)]
pub struct Tail {
    link: Link,
}

impl Tail {
    /// A tail; no connection is made before the first read.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(options: &RedisOptions) -> Result<Self, StreamError> {
        Ok(Self { link: Link::new(options)? })
    }

    /// The entries after the given ones. Empty when there was nothing within `limits.block`; a stream that does not exist has
    /// none. `limits.max_bytes` is not looked at.
    ///
    /// # Errors
    /// When Redis fails, or a key is no stream.
    ///
    /// # Cancel safety
    /// Safe: Redis remembers nothing of it.
    pub async fn read(
        &self,
        after: &[(&str, EntryId)],
        limits: ReadLimits,
    ) -> Result<Vec<StreamEntries>, StreamError> {
        const DOING: &str = "looking for new entries";
        if after.is_empty() {
            tokio::time::sleep(limits.block).await;
            return Ok(Vec::new());
        }
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(limits.max_entries.max(1));
        if !limits.block.is_zero() {
            // zero would be for ever
            command.arg("BLOCK").arg(u64::try_from(limits.block.as_millis()).unwrap_or(u64::MAX).max(1));
        }
        command.arg("STREAMS");
        for (stream, _) in after {
            command.arg(*stream);
        }
        for (_, id) in after {
            command.arg(id.to_string());
        }
        let value = self.link.send_blocking(DOING, &command, limits.block).await?;
        reply::streams(DOING, value, false)
    }
}
