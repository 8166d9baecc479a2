//! One segment's bytes: header, records behind their checksums, and finding records again after damage.

use crate::JournalError;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use tickhouse_model::{FrameId, RECORD_HEADER_LEN, Record, RecordKind, SocketId, Timestamp};

/// Bytes of a segment's header.
pub(crate) const HEADER_LEN: usize = 112;
/// Bytes before each record: its length and checksum.
pub(crate) const PREFIX_LEN: usize = 8;
/// No record is longer; a length beyond it is damage. Kite's messages are at most 16 MiB.
pub(crate) const MAX_RECORD_LEN: usize = 64 << 20;

const MAGIC: [u8; 8] = *b"TICKJRNL";
const VERSION: u16 = 1;
const NAME_LEN: usize = 64;
const CRC_AT: usize = 108;

/// Suffix of a segment as it is written.
pub(crate) const PLAIN: &str = ".journal";
/// Suffix of a compressed one.
pub(crate) const PACKED: &str = ".journal.zst";

/// What stands at the beginning of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) recorder: String,
    pub(crate) created_at: Timestamp,
    /// Identity of its first record.
    pub(crate) first: FrameId,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10..12].copy_from_slice(&self.first.socket.to_le_bytes());
        out[12..16].copy_from_slice(&(HEADER_LEN as u32).to_le_bytes());
        out[16..24].copy_from_slice(&self.created_at.as_nanos().to_le_bytes());
        out[24..32].copy_from_slice(&self.first.session.to_le_bytes());
        out[32..40].copy_from_slice(&self.first.sequence.to_le_bytes());
        let name = self.recorder.as_bytes();
        let len = name.len().min(NAME_LEN);
        out[40..40 + len].copy_from_slice(&name[..len]);
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(format!("a header has {HEADER_LEN} bytes, {} are there", bytes.len()));
        };
        if bytes[..8] != MAGIC {
            return Err("it does not begin like a journal".to_owned());
        }
        if u32_at(bytes, CRC_AT) != crc32c::crc32c(&bytes[..CRC_AT]) {
            return Err("its header's checksum does not fit".to_owned());
        }
        let version = u16_at(bytes, 8);
        if version != VERSION {
            return Err(format!("version {version} is not known: was it written by a newer tickhouse?"));
        }
        let name = &bytes[40..40 + NAME_LEN];
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_LEN);
        Ok(Self {
            recorder: String::from_utf8_lossy(&name[..end]).into_owned(),
            created_at: Timestamp::from_nanos(u64_at(bytes, 16).cast_signed()),
            first: FrameId {
                session: u64_at(bytes, 24),
                socket: u16_at(bytes, 10),
                sequence: u64_at(bytes, 32),
            },
        })
    }
}

/// What a record's first bytes tell without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: FrameId,
    pub(crate) received_at: Timestamp,
    pub(crate) kind: RecordKind,
    /// A frame that is more than a heartbeat of one byte.
    pub(crate) is_data: bool,
}

impl Head {
    pub(crate) fn of(record: &[u8]) -> Option<Self> {
        let bytes = record.first_chunk::<RECORD_HEADER_LEN>()?;
        let kind = RecordKind::of(bytes[1])?;
        Some(Self {
            id: FrameId { session: u64_at(bytes, 8), socket: u16_at(bytes, 2), sequence: u64_at(bytes, 16) },
            received_at: Timestamp::from_nanos(u64_at(bytes, 24).cast_signed()),
            kind,
            is_data: kind == RecordKind::Frame && u32_at(bytes, 4) > 1,
        })
    }
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole record that fits its checksum: its length without the prefix, its head and checksum.
    Record(usize, Head, u32),
    /// The beginning of what may become a record: so many bytes are needed.
    More(usize),
    /// No record.
    Bad,
}

/// Looks at the beginning of `bytes`, which should be a record of `socket`.
pub(crate) fn look(bytes: &[u8], socket: SocketId) -> Found {
    if bytes.len() < PREFIX_LEN {
        return Found::More(PREFIX_LEN);
    }
    let len = u32_at(bytes, 0) as usize;
    if !(RECORD_HEADER_LEN..=MAX_RECORD_LEN).contains(&len) {
        return Found::Bad;
    }
    let Some(record) = bytes.get(PREFIX_LEN..PREFIX_LEN + len) else { return Found::More(PREFIX_LEN + len) };
    let crc = u32_at(bytes, 4);
    match Head::of(record) {
        Some(head) if head.id.socket == socket && Record::checksum_of(record) == crc => {
            Found::Record(len, head, crc)
        }
        _ => Found::Bad,
    }
}

/// The first offset at or after `from` where a whole record of `socket` begins.
pub(crate) fn resync(bytes: &[u8], from: usize, socket: SocketId) -> Option<usize> {
    // `look` refuses nearly every offset by the length or the socket, long before it sums anything
    (from..bytes.len().saturating_sub(PREFIX_LEN + RECORD_HEADER_LEN - 1))
        .find(|at| matches!(look(&bytes[*at..], socket), Found::Record(..)))
}

/// What a whole segment holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) records: u64,
    pub(crate) last: Option<Head>,
    /// Receive time of the last frame that is more than a heartbeat.
    pub(crate) last_data_at: Option<Timestamp>,
    /// End of the last good record.
    pub(crate) good_end: usize,
    /// Bytes between good records that belong to none.
    pub(crate) damaged_bytes: u64,
}

/// Reads through a segment's bytes, header included (which must be good).
pub(crate) fn scan(bytes: &[u8], socket: SocketId) -> Scan {
    let mut result = Scan { good_end: HEADER_LEN, ..Scan::default() };
    let mut at = HEADER_LEN;
    while at < bytes.len() {
        if let Found::Record(len, head, _) = look(&bytes[at..], socket) {
            result.damaged_bytes += (at - result.good_end) as u64;
            at += PREFIX_LEN + len;
            result.good_end = at;
            result.records += 1;
            result.last = Some(head);
            if head.is_data {
                result.last_data_at = Some(head.received_at);
            }
        } else if let Some(next) = resync(bytes, at + 1, socket) {
            at = next;
        } else {
            break;
        }
    }
    result
}

/// A segment in its directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) packed: bool,
}

impl Segment {
    pub(crate) fn plain_path(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("{number:08}{PLAIN}"))
    }

    pub(crate) fn packed_path(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("{number:08}{PACKED}"))
    }

    /// Opens it for reading from its first byte.
    pub(crate) fn open(&self) -> std::io::Result<SegmentFile> {
        let file = File::open(&self.path)?;
        if self.packed {
            zstd::Decoder::new(file).map(|decoder| SegmentFile::Packed(Box::new(decoder)))
        } else {
            Ok(SegmentFile::Plain(file))
        }
    }

    pub(crate) fn header(&self) -> Result<Header, JournalError> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        self.open()
            .and_then(|file| file.take(HEADER_LEN as u64).read_to_end(&mut bytes))
            .map_err(JournalError::io("reading", &self.path))?;
        Header::decode(&bytes).map_err(|reason| JournalError::Damaged {
            path: self.path.clone(),
            offset: 0,
            reason,
        })
    }

    /// All its bytes, unpacked.
    pub(crate) fn read(&self) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::new();
        self.open()
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(JournalError::io("reading", &self.path))?;
        Ok(bytes)
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }
}

/// An open segment.
pub(crate) enum SegmentFile {
    Plain(File),
    Packed(Box<zstd::Decoder<'static, BufReader<File>>>),
}

impl Read for SegmentFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Packed(decoder) => decoder.read(buffer),
        }
    }
}

impl std::fmt::Debug for SegmentFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Packed(_) => "Packed",
        })
    }
}

/// The segments of a socket's directory, rising; one that is there both ways is given as it was written. None when
/// there is no directory.
pub(crate) fn list(dir: &Path) -> Result<Vec<Segment>, JournalError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(JournalError::io("listing", dir)(error)),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(JournalError::io("listing", dir))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let (digits, packed) = match (name.strip_suffix(PLAIN), name.strip_suffix(PACKED)) {
            (Some(digits), _) => (digits, false),
            (_, Some(digits)) => (digits, true),
            _ => continue,
        };
        if let Ok(number) = digits.parse() {
            segments.push(Segment { number, path, packed });
        }
    }
    segments.sort_unstable_by_key(|segment| (segment.number, segment.packed));
    segments.dedup_by_key(|segment| segment.number);
    Ok(segments)
}

/// Makes names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(JournalError::io("syncing", dir))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
