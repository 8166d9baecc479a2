//! A WebSocket client that keeps what it gets, and a reader of the ledger.

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tickhouse_decode::{Request, decode};
use tickhouse_model::{Mode, Packet, Token};
use tickhouse_simulator::{SimOptions, Simulator};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Every wait ends with a failed test after this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) texts: Vec<Value>,
    pub(crate) heartbeats: usize,
    pub(crate) pings: usize,
}

/// How a wait for messages ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a close frame.
    Closed,
    /// Without one.
    Broken,
}

impl Client {
    pub(crate) async fn connect(simulator: &Simulator) -> Self {
        Self::connect_as(simulator, "key", "token").await.expect("handshake")
    }

    pub(crate) async fn connect_as(simulator: &Simulator, key: &str, token: &str) -> Result<Self, u16> {
        let url = format!("ws://{}/?api_key={key}&access_token={token}&uid=1", simulator.local_addr());
        match tokio_tungstenite::connect_async(url).await {
            Ok((socket, _)) => {
                Ok(Self { socket, frames: Vec::new(), texts: Vec::new(), heartbeats: 0, pings: 0 })
            }
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn send(&mut self, request: &Request) {
        self.socket.send(Message::text(request.to_json())).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, mode: Mode, tokens: &[Token]) {
        self.send(&Request::Mode(mode, tokens.to_vec())).await;
    }

    /// Takes one message in; an end, if that is what came.
    pub(crate) async fn next(&mut self) -> Option<Ended> {
        let message = tokio::time::timeout(DEADLINE, self.socket.next()).await.expect("no message in time");
        match message {
            Some(Ok(Message::Binary(bytes))) if bytes.len() < 2 => self.heartbeats += 1,
            Some(Ok(Message::Binary(bytes))) => self.frames.push(bytes.to_vec()),
            Some(Ok(Message::Text(text))) => self.texts.push(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Ping(_))) => self.pings += 1,
            Some(Ok(Message::Close(_))) => return Some(Ended::Closed),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Some(Ended::Broken),
        }
        None
    }

    /// Takes messages in until something holds.
    pub(crate) async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let all = async {
            while !holds(self) {
                assert_eq!(self.next().await, None, "the connection ended early");
            }
        };
        tokio::time::timeout(DEADLINE, all).await.expect("it does not come to hold");
    }

    /// Takes messages in until the connection ends.
    pub(crate) async fn ended(&mut self) -> Ended {
        loop {
            if let Some(ended) = self.next().await {
                return ended;
            }
        }
    }

    /// All good packets so far.
    pub(crate) fn packets(&self) -> Vec<Packet> {
        self.frames.iter().flat_map(|frame| packets_of(frame)).collect()
    }
}

/// The packets of a frame that has no fault.
pub(crate) fn packets_of(frame: &[u8]) -> Vec<Packet> {
    decode(frame)
        .map(|item| match item.unwrap() {
            tickhouse_decode::Item::Packet { packet, .. } => packet.to_packet(),
            unknown @ tickhouse_decode::Item::Unknown { .. } => panic!("{unknown:?}"),
        })
        .collect()
}

/// A simulator with these changes to small defaults.
pub(crate) async fn simulator(change: impl FnOnce(&mut SimOptions)) -> Simulator {
    let mut options = SimOptions { instruments: 200, rate: 2_000.0, ..SimOptions::default() };
    change(&mut options);
    Simulator::start(options).await.unwrap()
}

/// A script of faults, in a simulator like that.
pub(crate) async fn faulty(script: &str) -> Simulator {
    let script = tickhouse_simulator::FaultScript::parse(script).unwrap();
    simulator(|options| options.faults = Some(script)).await
}

/// All tokens that a simulator lists.
pub(crate) fn tokens(simulator: &Simulator) -> Vec<Token> {
    simulator.universe().listings().iter().map(|listing| listing.token).collect()
}

/// The ledger's lines of one kind.
pub(crate) fn ledger(path: &Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == kind).collect()
}

/// The bytes of a ledger's frame.
pub(crate) fn bytes_of(line: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(line["b64"].as_str().unwrap()).unwrap()
}
