//! Frames of the simulator's market, as a recorder's sockets receive them.
//!
//! What enters: how many packets. What leaves: journal records and the instruments they speak of. The simulator's clock
//! runs ten times as fast as the machine's and its rate is ten times [`RATE`], so the data is that of a market of
//! [`RATE`] packets a second, made in a tenth of the time.

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tickhouse_decode::{Request, packet_count};
use tickhouse_enrich::{InstrumentTable, InstrumentTableBuilder};
use tickhouse_model::{FrameId, Mode, Observed, Record, RecordKind, SnapshotMarks, Timestamp, Token};
use tickhouse_simulator::{SimOptions, Simulator};
use tickhouse_source::rest::Rest;
use tickhouse_telemetry::Clock;
use tokio_tungstenite::tungstenite::Message;

/// What one key of Kite carries: three sockets.
const SOCKETS: usize = 3;
const INSTRUMENTS_PER_SOCKET: usize = 3_000;
/// Packets per second of the market's own time.
pub(crate) const RATE: f64 = 20_000.0;
const SPEED: f64 = 10.0;
const PACKETS_PER_FRAME: u16 = 20;
/// 2026-11-20, 10:00 in India.
const BEGIN: Timestamp = Timestamp::from_millis(1_795_149_000_000);
/// Name of the recorder.
pub(crate) const RECORDER: &str = "bench";

/// A recorded market.
#[derive(Debug)]
pub(crate) struct Feed {
    /// As received; all sockets together in the order of receive times.
    pub(crate) records: Vec<Record>,
    /// Full packets in them.
    pub(crate) packets: usize,
    pub(crate) instruments: Arc<InstrumentTable>,
}

/// Records at least this many full packets.
pub(crate) async fn record(packets: usize) -> anyhow::Result<Feed> {
    let clock = Clock::simulated(BEGIN, SPEED);
    let options = SimOptions {
        instruments: SOCKETS * INSTRUMENTS_PER_SOCKET,
        rate: RATE * SPEED,
        packets_per_frame: Some(PACKETS_PER_FRAME),
        clock: clock.clone(),
        ..SimOptions::default()
    };
    let simulator = Simulator::start(options).await?;
    let address = simulator.local_addr();
    let csv = Rest::new(&format!("http://{address}"))?.instruments_csv(None, None).await?;
    let mut builder = InstrumentTableBuilder::new();
    builder.read_kite_csv(csv.as_ref())?;
    let instruments = Arc::new(builder.finish());
    // indices have no depth
    let listings = simulator.universe().listings().iter().filter(|listing| !listing.is_index());
    let tokens: Vec<Token> = listings.map(|listing| listing.token).collect();
    let got = Arc::new(AtomicUsize::new(0));
    let mut readers = Vec::new();
    for (socket, tokens) in tokens.chunks(INSTRUMENTS_PER_SOCKET).enumerate() {
        let url = format!("ws://{address}/?api_key=bench&access_token=bench");
        let reader = read(url, tokens.to_vec(), socket as u16, packets, Arc::clone(&got), clock.clone());
        readers.push(tokio::spawn(reader));
    }
    let mut records = Vec::new();
    for reader in readers {
        records.extend(reader.await??);
    }
    simulator.stop().await;
    records.sort_by_key(|record: &Record| record.received_at);
    let packets = records.iter().map(|record| usize::from(packet_count(&record.payload))).sum();
    Ok(Feed { records, packets, instruments })
}

async fn read(
    url: String,
    tokens: Vec<Token>,
    socket: u16,
    wanted: usize,
    got: Arc<AtomicUsize>,
    clock: Clock,
) -> anyhow::Result<Vec<Record>> {
    let (mut connection, _) = tokio_tungstenite::connect_async(url).await?;
    connection.send(Message::text(Request::Mode(Mode::Full, tokens).to_json())).await?;
    let mut records = Vec::new();
    while got.load(Ordering::Relaxed) < wanted {
        let message = connection.next().await.context("the simulator closed the connection")??;
        let Message::Binary(payload) = message else { continue };
        let packets = usize::from(packet_count(&payload));
        if packets == 0 {
            continue;
        }
        if payload.len() != 2 + packets * 186 {
            bail!("a frame holds other than full packets");
        }
        got.fetch_add(packets, Ordering::Relaxed);
        let (received_at, kind, snapshots) = (clock.now(), RecordKind::Frame, SnapshotMarks::None);
        let observed = Observed { received_at, kind, snapshots, payload };
        records.push(observed.with_id(FrameId { session: 1, socket, sequence: records.len() as u64 + 1 }));
    }
    Ok(records)
}
