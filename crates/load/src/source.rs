//! One stream as the loader sees it: what was accepted last, and what is being waited for.

use crate::batch::Batch;
use crate::rows::{RowMaker, quarantine};
use crate::sequence::{Place, journal_begins_anew, place_of_flat, place_of_record};
use bytes::Bytes;
use std::time::Instant;
use tickhouse_model::{FrameId, Gap, GapCause, Record, Timestamp};
use tickhouse_store::{Mark, Origin, Store, StoreError};
use tickhouse_stream::{Entry, EntryId, EntryValue, Stream, StreamInfo, StreamKind};

/// A stream and where reading stands.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) stream: Stream,
    /// How often the ids of a flat stream began anew.
    pub(crate) epoch: u32,
    /// The last entry that is stored or in a batch.
    pub(crate) last: EntryId,
    /// Whether its group is there and it may be read.
    pub(crate) ready: bool,
    /// Records are missing and their publisher was asked for them.
    pub(crate) hole: Option<Hole>,
    /// The publisher was asked for what follows this once, in vain: take what comes.
    pub(crate) give_up_after: Option<EntryId>,
    /// Entries read since `added` was noted; flat streams only.
    pub(crate) read: u64,
    /// Entries that Redis had ever added when everything was read.
    added: Option<u64>,
    /// Receive time of the last record.
    pub(crate) received_at: Timestamp,
}

/// A wait for missing records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hole {
    pub(crate) since: Instant,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is in the batch.
    Taken,
    /// It was stored, or in a batch, before.
    Repeat,
    /// Records are missing before it: nothing was taken.
    Hole,
    /// The batch must be sealed first: nothing was taken.
    NextBatch,
    /// No record, in a stream that only its publisher may write: nothing was taken.
    Foreign,
}

impl Source {
    pub(crate) fn new(stream: Stream, epoch: u32, last: EntryId) -> Self {
        Self {
            stream,
            epoch,
            last,
            ready: false,
            hole: None,
            give_up_after: None,
            read: 0,
            added: None,
            received_at: Timestamp::NONE,
        }
    }

    /// A source that goes on behind a mark; [`Mark::default`] for none. It knows when the record of the mark was received, where
    /// `frames` still has it: there a gap begins that the next record shows, whoever makes the batch, and however often.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub(crate) async fn behind(
        store: &Store,
        stream: Stream,
        epoch: u32,
        mark: Mark,
    ) -> Result<Self, StoreError> {
        let mut source = Self::new(stream, epoch, mark.last.into());
        if let StreamKind::Frames { recorder, socket } = source.stream.kind()
            && mark.last > (0, 0)
        {
            let last = store.received_at(recorder, *socket, mark.last).await?;
            source.received_at = last.unwrap_or(Timestamp::NONE);
        }
        Ok(source)
    }

    /// The stream was lost: its ids begin anew.
    pub(crate) fn begin_anew(&mut self) {
        self.epoch += 1;
        self.last = EntryId::ZERO;
        self.added = None;
    }

    /// Notes as a gap what somebody trimmed before it was read. Redis counts the entries it ever added; when all that are
    /// left are read, what was added and not read is gone.
    pub(crate) fn note_trimmed(&mut self, info: &StreamInfo, batch: &mut Batch, now: Timestamp) {
        if self.last != info.last_generated_id {
            return;
        }
        let lost =
            self.added.map_or(0, |added| info.entries_added.saturating_sub(added).saturating_sub(self.read));
        if lost > 0 {
            tracing::warn!(stream = self.stream.name(), lost, "entries were trimmed before they were read");
            let id = FrameId { session: self.last.ms, socket: 0, sequence: self.last.seq };
            let origin = Origin { recorder: "", id, stream: self.stream.name(), epoch: self.epoch };
            let detail =
                format!("{lost} entries before {} were trimmed or deleted before they were read", self.last);
            let from = if self.received_at.is_some() { self.received_at } else { now };
            batch.push_gap(
                &origin,
                &Gap { from, to: now, cause: GapCause::Trimmed, detail, tokens: Vec::new() },
            );
        }
        self.received_at = now;
        self.added = Some(info.entries_added);
        self.read = 0;
    }

    /// Takes an entry into the batch, or says why not.
    pub(crate) fn accept(&mut self, entry: &Entry, batch: &mut Batch, rows: &mut RowMaker) -> Accepted {
        match self.stream.kind().clone() {
            StreamKind::Frames { recorder, socket } => {
                self.accept_frame(entry, &recorder, socket, batch, rows)
            }
            _ => self.accept_flat(entry, batch, rows),
        }
    }

    fn accept_frame(
        &mut self,
        entry: &Entry,
        recorder: &str,
        socket: u16,
        batch: &mut Batch,
        rows: &mut RowMaker,
    ) -> Accepted {
        let given_up = self.give_up_after == Some(self.last);
        if matches!(entry.value, EntryValue::Flat(_)) {
            return Accepted::Foreign;
        }
        let id = FrameId { session: entry.id.ms, socket, sequence: entry.id.seq };
        let found = record_of(entry, id);
        let previous = found.as_ref().ok().and_then(|(record, _)| record.previous).map(EntryId::from);
        let place = place_of_record(self.last, entry.id, previous);
        match place {
            Place::Repeat => return Accepted::Repeat,
            Place::AfterHole if !given_up => return Accepted::Hole,
            Place::AfterHole | Place::Next => {}
        }
        if entry.value == EntryValue::Gone && !given_up {
            return Accepted::Hole;
        }
        let origin = Origin { recorder, id, stream: "", epoch: 0 };
        let record = match found {
            Ok((record, _)) if !batch.admits(record.received_at) => return Accepted::NextBatch,
            Ok(found) => Some(found),
            Err((reason, detail)) => {
                quarantine(batch, &origin, self.received_at, reason, &detail, &payload_of(&entry.value));
                None
            }
        };
        if place == Place::AfterHole {
            let to = record.as_ref().map_or(Timestamp::NONE, |(record, _)| record.received_at);
            batch.push_gap(&origin, &self.lost(entry.id, to));
        }
        if place == Place::Next && journal_begins_anew(self.last, previous) {
            let to = record.as_ref().map_or(Timestamp::NONE, |(record, _)| record.received_at);
            tracing::warn!(stream = self.stream.name(), after = %self.last, "the journal begins anew, what lies between is a gap");
            batch.push_gap(&origin, &self.lost(entry.id, to));
        }
        batch.take(&self.stream, self.epoch, entry.id);
        self.last = entry.id;
        if let Some((record, checksum)) = record {
            self.received_at = record.received_at;
            rows.push_record(batch, recorder, &record, checksum);
        }
        Accepted::Taken
    }

    fn lost(&self, next: EntryId, to: Timestamp) -> Gap {
        Gap {
            from: if self.received_at.is_some() { self.received_at } else { to },
            to,
            cause: GapCause::Lost,
            detail: format!(
                "records after {} and before {next} are in neither stream nor journal",
                self.last
            ),
            tokens: Vec::new(),
        }
    }

    fn accept_flat(&mut self, entry: &Entry, batch: &mut Batch, rows: &mut RowMaker) -> Accepted {
        if place_of_flat(self.last, entry.id) == Place::Repeat {
            return Accepted::Repeat;
        }
        if !batch.admits_epoch(&self.stream, self.epoch) {
            return Accepted::NextBatch;
        }
        let id = FrameId { session: entry.id.ms, socket: 0, sequence: entry.id.seq };
        let stream = self.stream.name().to_owned();
        let origin = Origin { recorder: "", id, stream: &stream, epoch: self.epoch };
        // an id that Redis made begins with its Unix milliseconds, that of an import says nothing of the time
        let arrived_at = match self.stream.kind() {
            StreamKind::Imported => Timestamp::NONE,
            _ => Timestamp::from_millis(i64::try_from(entry.id.ms).unwrap_or(i64::MAX)),
        };
        batch.take(&self.stream, self.epoch, entry.id);
        self.last = entry.id;
        match &entry.value {
            EntryValue::Flat(fields) => match self.stream.kind() {
                StreamKind::News => rows.push_news(batch, &origin, arrived_at, fields),
                StreamKind::Indices => rows.push_index(batch, &origin, arrived_at, fields),
                _ => rows.push_flat(batch, &origin, arrived_at, fields),
            },
            EntryValue::Record(bytes) => {
                quarantine(batch, &origin, arrived_at, "record_in_flat_stream", "", bytes);
            }
            EntryValue::Gone => {
                let detail = format!("entry {} was trimmed or deleted before it was read", entry.id);
                let gap = Gap {
                    from: arrived_at,
                    to: arrived_at,
                    cause: GapCause::Trimmed,
                    detail,
                    tokens: Vec::new(),
                };
                batch.push_gap(&origin, &gap);
            }
        }
        Accepted::Taken
    }
}

/// The record of an entry whose id says the same as the record itself, and its checksum.
///
/// # Errors
/// The reason for its quarantine, and the detail.
pub fn record_of(entry: &Entry, id: FrameId) -> Result<(Record, u32), (&'static str, String)> {
    let EntryValue::Record(bytes) = &entry.value else {
        let reason = if entry.value == EntryValue::Gone { "entry_gone" } else { "no_record" };
        return Err((reason, format!("entry {} of a frame stream has no field r", entry.id)));
    };
    let record = Record::decode(bytes).map_err(|error| ("bad_record", error.to_string()))?;
    if record.id != id {
        return Err(("foreign_record", format!("entry {} holds record {}", entry.id, record.id)));
    }
    Ok((record, Record::checksum_of(bytes)))
}

/// The bytes of an entry, fields and values parted by line feeds.
pub(crate) fn payload_of(value: &EntryValue) -> Bytes {
    match value {
        EntryValue::Record(bytes) => bytes.clone(),
        EntryValue::Flat(fields) => payload_of_fields(fields),
        EntryValue::Gone => Bytes::new(),
    }
}

/// Fields and values of a flat entry, one to a line.
pub(crate) fn payload_of_fields(fields: &[(Bytes, Bytes)]) -> Bytes {
    let mut bytes = Vec::new();
    for (field, value) in fields {
        bytes.extend_from_slice(field);
        bytes.push(b'=');
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    bytes.into()
}
