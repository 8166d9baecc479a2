//! A bounded fuzzing without coverage, on any toolchain: the real payloads of `tests/data` and what a tired network, a torn
//! disk or a spiteful sender could make of them.

use base64::Engine as _;
use std::path::PathBuf;
use tickhouse_decode::FrameBuilder;
use tickhouse_model::{FrameId, Packet, PacketKind, Record, RecordKind, SnapshotMarks, Timestamp, Token};

/// Random mutations of each seed.
const ROUNDS: usize = 3_000;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A small generator: the same mutations in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }

    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(7) {
                0 => bytes.truncate(at),
                1 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                2 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                3 => bytes.insert(at, self.below(256) as u8),
                4 if !bytes.is_empty() => drop(bytes.remove(at)),
                5 => bytes.extend_from_within(at..),
                _ => bytes.rotate_left(at),
            }
        }
        bytes
    }
}

fn try_all(seeds: &[Vec<u8>], check: fn(&[u8])) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for seed in seeds {
        check(seed);
        for cut in 0..seed.len().min(2_000) {
            check(&seed[..cut]);
        }
        for _ in 0..ROUNDS {
            check(&dice.mutate(seed));
        }
    }
}

/// The two published packets in one message.
fn real_message() -> Vec<u8> {
    let mut frame = FrameBuilder::default();
    for name in ["mocks_ticker_quote.packet", "mocks_ticker_full.packet"] {
        let body = base64::engine::general_purpose::STANDARD.decode(fixture(name).trim_ascii());
        frame.push_raw(&body.expect("the fixture is base64"));
    }
    frame.take()
}

fn messages() -> Vec<Vec<u8>> {
    let mut seeds = vec![real_message()];
    let mut frame = FrameBuilder::default();
    for (number, kind) in PacketKind::ALL.into_iter().enumerate() {
        frame.push(&Packet { last_price: -3_763, ..Packet::empty(Token::new(number as u32, 9), kind) });
        frame.push_raw(&vec![number as u8; 164 - number]);
    }
    seeds.push(frame.take());
    seeds.push(vec![0]);
    seeds
}

#[test]
fn messages_of_the_socket() {
    try_all(&messages(), tickhouse_fuzz::decode_message);
}

#[test]
fn every_count_but_the_right_one() {
    for mut message in messages().into_iter().filter(|message| message.len() > 2) {
        for count in (0..300_u16).chain([u16::MAX - 1, u16::MAX]) {
            message[..2].copy_from_slice(&count.to_be_bytes());
            tickhouse_fuzz::decode_message(&message);
        }
    }
}

#[test]
fn texts_of_the_socket() {
    let texts = [
        r#"{"type":"instruments_meta","data":{"count":86481,"etag":"W/\"68907d60-55bf\""}}"#,
        r#"{"type":"app_code","timestamp":"2025-08-04T13:50:28+05:30"}"#,
        r#"{"type":"error","data":"Can't subscribe to more than 3000 instruments."}"#,
        r#"{"a":"mode","v":["full",[408065,884737]]}"#,
        r#"{"a":"subscribe","v":[408065,"884737",-1,4294967296,1.5]}"#,
    ];
    let mut seeds: Vec<_> = texts.map(|text| text.as_bytes().to_vec()).into();
    seeds.push([br#"{"type":"order","data":"#, &fixture("mocks_postback.json")[..], b"}"].concat());
    try_all(&seeds, tickhouse_fuzz::decode_text);
}

#[test]
fn records() {
    let marks = [SnapshotMarks::None, SnapshotMarks::All, SnapshotMarks::Some(vec![0, 3, 9])];
    let seeds: Vec<_> = marks
        .into_iter()
        .zip([RecordKind::Frame, RecordKind::Gap, RecordKind::Pushed])
        .map(|(snapshots, kind)| {
            let mut bytes = Vec::new();
            Record {
                id: FrameId { session: 1_795_147_200_000, socket: 2, sequence: 77 },
                received_at: Timestamp::from_millis(1_795_147_200_123),
                kind,
                snapshots,
                payload: real_message().into(),
                previous: (kind == RecordKind::Gap).then_some((1_795_060_800_000, 12)),
            }
            .encode(&mut bytes);
            bytes
        })
        .collect();
    try_all(&seeds, tickhouse_fuzz::record);
}

#[test]
fn flat_entries() {
    let brief = b"instrument_token=256265\nsymbol=NIFTY\nexchange=NSE\ntimestamp=2026-11-20T10:15:00.123+05:30\n\
                  exchange_timestamp=2026-11-20 10:15:00\nlast_price=24812.05\nvolume=1192471\nopen_interest=75.0\n\
                  bid_1_price=24812.0\nbid_1_quantity=75\nbid_1_orders=3\nask_5_price=nan\nsession_type=regular\n\
                  data_quality=enriched\nexpiry=2026-11-26\nstrike=1e3\nunknown=1\nlast_trade_time=1795149900123";
    try_all(&[brief.to_vec()], tickhouse_fuzz::flat_entry);
}

#[test]
fn files_of_instruments() {
    let csv = fixture("mocks_instruments_all.csv");
    let head = csv.split(|byte| *byte == b'\n').take(6).collect::<Vec<_>>().join(&b'\n');
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut zipped, &head).unwrap();
    let lookup = br#"{"408065": {"key": "NSE:INFY", "strike": 1.5, "expiry": "2026-11-26", "x": [{}]}, "5": {"symbol": "A"}}"#;
    try_all(&[head, zipped.finish().unwrap(), lookup.to_vec()], tickhouse_fuzz::instruments);
}

#[test]
fn bodies_of_pushes() {
    let full = br#"{"tradable":true,"mode":"full","instrument_token":408065,"last_price":1573.7,"last_traded_quantity":3,
"average_traded_price":1570.33,"volume_traded":1192471,"total_buy_quantity":5,"total_sell_quantity":6,
"ohlc":{"open":1575.1,"high":1580,"low":1560.05,"close":1581.25},"change":-0.477,"last_trade_time":"2026-11-20T09:15:00",
"oi":0,"oi_day_high":0,"oi_day_low":0,"exchange_timestamp":1795146301,"depth":{"buy":[{"quantity":1,"price":1573.65,
"orders":2}],"sell":[]}}"#;
    let ltp = br#"{"mode":"ltp","instrument_token":256265,"last_price":24000.05,"tradable":false}"#;
    let flat: Vec<u8> = full.iter().copied().filter(|byte| *byte != b'\n').collect();
    let lines = [&flat[..], ltp, b""].join(&b'\n');
    let list = [&b"["[..], full, b",", ltp, b"]"].concat();
    try_all(&[full.to_vec(), lines, list], tickhouse_fuzz::push_request);
}

#[test]
fn messages_of_browsers() {
    let watch = br#"{"op":"watch","instruments":[256265,408065,0,4294967295]}"#;
    let focus = br#"{"op":"focus","instrument":null}"#;
    let health = br#"{"op":"health","on":true}"#;
    let deep = [vec![b'['; 300], vec![b']'; 300]].concat();
    try_all(&[watch.to_vec(), focus.to_vec(), health.to_vec(), deep], tickhouse_fuzz::live_request);
}
