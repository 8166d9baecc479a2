//! The words of Tickhouse: times, tokens, packets, records, instruments.
//!
//! What enters: nothing. What leaves: values that every other crate speaks. What never happens here: I/O, async,
//! reading a clock, knowledge of Redis or ClickHouse.
//!
//! Facts about Kite's wire format are documented at <https://kite.trade/docs/connect/v3/websocket/>.

mod event;
mod instrument;
mod packet;
mod quality;
mod record;
mod time;
mod token;

pub use event::{Connected, Disconnected, Gap, GapCause};
pub use instrument::{Instrument, InstrumentKind};
pub use packet::{DEPTH_LEVELS, Level, Mode, Packet, PacketKind};
pub use quality::{DataQuality, SessionType};
pub use record::{
    FrameId, Observed, RECORD_HEADER_LEN, Record, RecordError, RecordKind, SnapshotMarks, SocketId,
};
pub use time::{IST_OFFSET_SECONDS, IstDateTime, Timestamp};
pub use token::{Scale, Segment, Token};
