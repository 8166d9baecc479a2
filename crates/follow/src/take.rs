//! Entries into ticks.

use crate::FollowedTick;
use crate::filter::Filter;
use bytes::Bytes;
use tickhouse_decode::{Item, decode};
use tickhouse_load::ticks::{PacketPlace, day_of, first_time, flat_tick, packet_tick};
use tickhouse_model::{FrameId, Record, RecordKind, SessionType, SnapshotMarks, Timestamp, Token};
use tickhouse_read::ticks::is_tick_of_flat;
use tickhouse_store::Origin;
use tickhouse_stream::{EntryId, EntryValue, FlatTick, StreamKind};

/// The wanted ticks of a record. What is in it besides goes to quarantine when it is loaded, and is passed over here.
pub(crate) fn record(recorder: &str, record: &Record, filter: &mut Filter, ticks: &mut Vec<FollowedTick>) {
    if !matches!(record.kind, RecordKind::Frame | RecordKind::Pushed) {
        return;
    }
    let at = record.received_at;
    let day = day_of(at);
    let mut unknown = false;
    decode(&record.payload).for_each(|item| {
        let Ok(Item::Packet { index, packet }) = item else { return };
        if !filter.wants(packet.token(), day, at) {
            return;
        }
        let (known, is_unknown) = filter.known(packet.token(), day);
        unknown |= is_unknown;
        let snapshot =
            !matches!(record.snapshots, SnapshotMarks::None) && record.snapshots.contains(index.into());
        let place = PacketPlace { recorder, record, index, snapshot };
        // the phase of the session is none of the columns that are given out
        let tick = packet_tick(&packet.to_packet(), known, SessionType::default(), &place);
        ticks.push(FollowedTick::from(&tick));
    });
    filter.met_unknown |= unknown;
}

/// The wanted tick of a flat entry.
pub(crate) fn flat(
    (stream, kind, epoch): (&str, &StreamKind, u32),
    (id, value): (EntryId, &EntryValue),
    filter: &mut Filter,
    ticks: &mut Vec<FollowedTick>,
) {
    let EntryValue::Flat(fields) = value else { return };
    let fields = fields.iter().map(|(field, value): &(Bytes, Bytes)| (field, value));
    let Ok(entry) = FlatTick::from_fields(fields) else { return };
    let tick = entry.tick;
    // an id that Redis made begins with its Unix milliseconds, that of an import says nothing of the time
    let arrived_at = match kind {
        StreamKind::Imported => Timestamp::NONE,
        _ => Timestamp::from_millis(i64::try_from(id.ms).unwrap_or(i64::MAX)),
    };
    let timestamp = first_time(tick.timestamp, arrived_at);
    let (token, day) = (Token(tick.instrument_token), day_of(timestamp));
    if !is_tick_of_flat(&tick.packet_type) || !filter.wants(token, day, timestamp) {
        return;
    }
    let id = FrameId { session: id.ms, socket: 0, sequence: id.seq };
    let origin = Origin { recorder: "", id, stream, epoch };
    let (known, unknown) = filter.known(token, day);
    ticks.push(FollowedTick::from(&flat_tick(&tick, &known, timestamp, &origin)));
    filter.met_unknown |= unknown;
}
