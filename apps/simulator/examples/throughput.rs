//! How many packets per second the simulator delivers over loopback, on this machine.
//!
//!     cargo run --release -p tickhouse-simulator --example throughput -- [seconds] [connections] [packets per frame]
//!
//! The clients only read and count; they run in this process, so its processors are shared between both ends.

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use std::time::{Duration, Instant};
use tickhouse_decode::{Request, packet_count};
use tickhouse_model::{Mode, Token};
use tickhouse_simulator::{SimOptions, Simulator};
use tokio_tungstenite::tungstenite::Message;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (seconds, connections, per_frame) = (number(5)?, number(3)?, number(0)?);
    let per_connection = 3_000;
    let simulator = Simulator::start(SimOptions {
        instruments: per_connection * usize::try_from(connections)?,
        rate: 10_000_000.0,
        packets_per_frame: u16::try_from(per_frame).ok().filter(|&count| count > 0),
        connections_per_key: 100,
        ..SimOptions::default()
    })
    .await?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let tokens: Vec<Token> = simulator.universe().listings().iter().map(|listing| listing.token).collect();
    let url = format!("ws://{}/?api_key=bench&access_token=t", simulator.local_addr());
    let clients =
        tokens.chunks(per_connection).map(|tokens| tokio::spawn(read(url.clone(), tokens.to_vec(), end)));
    let (mut packets, mut bytes) = (0, 0);
    for client in clients.collect::<Vec<_>>() {
        let read = client.await?.context("a client failed")?;
        packets += read.0;
        bytes += read.1;
    }
    println!(
        "{packets} full packets ({} MB) over {connections} connections in {seconds} s: {} packets/s",
        bytes / 1_000_000,
        packets / seconds
    );
    println!("{:?}", simulator.counters());
    simulator.stop().await;
    Ok(())
}

async fn read(url: String, tokens: Vec<Token>, end: Instant) -> anyhow::Result<(u64, usize)> {
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
    socket.send(Message::text(Request::Mode(Mode::Full, tokens).to_json())).await?;
    let (mut packets, mut bytes) = (0, 0);
    while Instant::now() < end {
        if let Some(Message::Binary(message)) = socket.next().await.transpose()? {
            packets += u64::from(packet_count(&message));
            bytes += message.len();
        }
    }
    Ok((packets, bytes))
}
