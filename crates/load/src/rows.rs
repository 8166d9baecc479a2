//! Records into rows: decode, enrich, judge the session.
//!
//! What enters: a journal record. What leaves: its rows, pushed into a batch: one of `frames`, one of `tick_data` per
//! packet, one of `quarantine` per thing that could not be read, one of `feed_gaps` per gap. What never happens here: I/O,
//! an allocation per packet, dropping anything.

use crate::batch::Batch;
use crate::published::Names;
use crate::source::payload_of_fields;
use crate::ticks::{Known, PacketPlace, day_of, first_time, flat_tick, instrument_of, packet_tick};
use bytes::Bytes;
use std::sync::Arc;
use tickhouse_decode::{Item, decode};
use tickhouse_enrich::{Calendar, InstrumentTable, SessionClock};
use tickhouse_model::{Gap, Packet, Record, RecordKind, SnapshotMarks, Timestamp, Token};
use tickhouse_store::{FrameRow, Origin, QuarantineRow};
use tickhouse_stream::FlatTick;
use tokio::sync::watch;

/// Makes rows with the instruments and the calendar of the moment.
#[derive(Debug)]
pub(crate) struct RowMaker {
    updates: watch::Receiver<Arc<InstrumentTable>>,
    pub(crate) instruments: Arc<InstrumentTable>,
    pub(crate) names: Names,
    sessions: SessionClock,
}

/// What became of a frame's packets.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    ticks: u16,
    quarantined: u16,
}

impl RowMaker {
    pub(crate) fn new(updates: watch::Receiver<Arc<InstrumentTable>>, calendar: Arc<Calendar>) -> Self {
        let instruments = Arc::clone(&updates.borrow());
        Self { updates, instruments, names: Names::default(), sessions: SessionClock::new(calendar) }
    }

    /// Takes over a newer table of instruments, if there is one. Called between batches.
    pub(crate) fn refresh(&mut self) {
        if self.updates.has_changed().unwrap_or(false) {
            self.instruments = Arc::clone(&self.updates.borrow_and_update());
        }
    }

    /// Pushes the rows of a record.
    pub(crate) fn push_record(&mut self, batch: &mut Batch, recorder: &str, record: &Record, checksum: u32) {
        let origin = Origin { recorder, id: record.id, stream: "", epoch: 0 };
        let outcome = match record.kind {
            // a push holds packets as a frame does
            RecordKind::Frame | RecordKind::Pushed => self.push_packets(batch, recorder, record),
            RecordKind::Gap => push_gap(batch, &origin, record),
            RecordKind::Text | RecordKind::Subscription | RecordKind::Connect | RecordKind::Disconnect => {
                Outcome::default()
            }
        };
        batch.push_frame(&FrameRow {
            recorder,
            id: record.id,
            received_at: record.received_at,
            kind: record.kind,
            packets: outcome.ticks.saturating_add(outcome.quarantined),
            ticks: outcome.ticks,
            quarantined: outcome.quarantined,
            bytes: record.payload.len() as u32,
            checksum,
        });
    }

    fn push_packets(&mut self, batch: &mut Batch, recorder: &str, record: &Record) -> Outcome {
        let mut outcome = Outcome::default();
        let day = day_of(record.received_at);
        decode(&record.payload).for_each(|item| {
            let (index, reason, detail, payload) = match item {
                Ok(Item::Packet { index, packet }) => {
                    self.push_packet(batch, recorder, record, day, index, &packet.to_packet());
                    outcome.ticks = outcome.ticks.saturating_add(1);
                    return;
                }
                Ok(Item::Unknown { index, offset, body }) => {
                    let detail = format!("a body of {} bytes at offset {offset}", body.len());
                    (index, "unknown_length", detail, body)
                }
                // the whole message: what is cut can only be understood with what precedes it
                Err(error) => {
                    (outcome.ticks + outcome.quarantined, "malformed", error.to_string(), &record.payload[..])
                }
            };
            outcome.quarantined = outcome.quarantined.saturating_add(1);
            let origin = Origin { recorder, id: record.id, stream: "", epoch: 0 };
            let received_at = record.received_at;
            let detail = detail.as_str();
            batch.push_quarantined(&QuarantineRow {
                origin,
                packet_index: index,
                received_at,
                reason,
                detail,
                payload,
            });
        });
        outcome
    }

    #[inline]
    fn push_packet(
        &mut self,
        batch: &mut Batch,
        recorder: &str,
        record: &Record,
        day: u16,
        index: u16,
        packet: &Packet,
    ) {
        let snapshot =
            !matches!(record.snapshots, SnapshotMarks::None) && record.snapshots.contains(index.into());
        let Self { instruments, sessions, .. } = self;
        let (instrument, market, data_quality) = instrument_of(instruments, packet.token, day);
        let session_type = sessions.phase(market, record.received_at);
        let known = Known { instrument, data_quality };
        let at = PacketPlace { recorder, record, index, snapshot };
        batch.push_tick(&packet_tick(packet, known, session_type, &at));
    }

    /// Pushes the row of a flat entry, or quarantines it. Its own values count; what it lacks is filled from the table of
    /// instruments.
    pub(crate) fn push_flat(
        &mut self,
        batch: &mut Batch,
        origin: &Origin<'_>,
        arrived_at: Timestamp,
        fields: &[(Bytes, Bytes)],
    ) {
        let tick = match FlatTick::from_fields(fields.iter().map(|(field, value)| (field, value))) {
            Ok(entry) => entry.tick,
            Err(error) => {
                let payload = payload_of_fields(fields);
                quarantine(batch, origin, arrived_at, "flat_entry", &error.to_string(), &payload);
                return;
            }
        };
        let timestamp = first_time(tick.timestamp, arrived_at);
        let (known, _, quality) =
            instrument_of(&self.instruments, Token(tick.instrument_token), day_of(timestamp));
        let known = Known { instrument: known, data_quality: quality };
        batch.push_tick(&flat_tick(&tick, &known, timestamp, origin));
    }
}

fn push_gap(batch: &mut Batch, origin: &Origin<'_>, record: &Record) -> Outcome {
    match serde_json::from_slice::<Gap>(&record.payload) {
        Ok(gap) => {
            batch.push_gap(origin, &gap);
            Outcome::default()
        }
        Err(error) => {
            quarantine(batch, origin, record.received_at, "gap_record", &error.to_string(), &record.payload);
            Outcome { ticks: 0, quarantined: 1 }
        }
    }
}

/// Pushes one thing that could not be read.
pub(crate) fn quarantine(
    batch: &mut Batch,
    origin: &Origin<'_>,
    received_at: Timestamp,
    reason: &str,
    detail: &str,
    payload: &[u8],
) {
    batch.push_quarantined(&QuarantineRow {
        origin: *origin,
        packet_index: 0,
        received_at,
        reason,
        detail,
        payload,
    });
}
