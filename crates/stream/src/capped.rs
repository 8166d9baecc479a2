//! Adding entries to a stream that nobody has to read: the only `MAXLEN` here.
//!
//! What enters: fields. What leaves: entries with ids that Redis gives. What never happens here: a stream that a loader reads,
//! whose unread entries a cap would drop.

use crate::StreamError;
use crate::control::Control;
use redis::pipe;

impl Control {
    /// Adds entries and keeps about `keep` of the stream's latest. Redis trims whole nodes, so some more may stay.
    ///
    /// # Errors
    /// When Redis fails; some entries may have been added: sending them again repeats those.
    pub async fn add_capped(
        &self,
        stream: &str,
        entries: &[Vec<(&'static str, String)>],
        keep: u64,
    ) -> Result<(), StreamError> {
        const DOING: &str = "adding entries";
        let mut pipeline = pipe();
        for fields in entries {
            let command = pipeline.cmd("XADD").arg(stream).arg("MAXLEN").arg("~").arg(keep).arg("*");
            fields.iter().for_each(|(field, value)| {
                command.arg(field).arg(value);
            });
        }
        for answer in self.link().pipeline(DOING, &pipeline).await? {
            self.checked(DOING, answer)?;
        }
        Ok(())
    }
}
