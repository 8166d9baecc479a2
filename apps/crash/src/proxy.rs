//! A TCP proxy on this machine that misbehaves when told to.
//!
//! What enters: connections to its port, a rule. What leaves: the same bytes to and from the port behind it, as the rule lets them.
//! What never happens here: memory that grows with what is under way (64 KiB per direction), more than [`MOST`] connections.

use crate::schedule::Network;
use anyhow::Context as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Connections at once; more wait.
const MOST: usize = 256;
const BUFFER: usize = 64 << 10;
/// Bytes at a time of [`Network::Trickle`], and the pause between two.
const TRICKLE: (usize, Duration) = (509, Duration::from_millis(1));
/// How long an answer is looked at before the connection that waits for it is reset.
const SWALLOW: Duration = Duration::from_millis(60);

/// `None`: pass everything on.
type Rule = Option<Network>;

/// A running proxy; dropping it ends it and its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    rule: watch::Sender<Rule>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before a port of this machine.
    pub(crate) async fn start(behind: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for a proxy")?;
        let port = listener.local_addr()?.port();
        let (rule, rules) = watch::channel(None);
        let task = tokio::spawn(serve(listener, behind, rules));
        Ok(Self { port, rule, task })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// From now on.
    pub(crate) fn set(&self, rule: Rule) {
        self.rule.send_replace(rule);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, behind: u16, rules: watch::Receiver<Rule>) {
    let room = Arc::new(Semaphore::new(MOST));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let rules = rules.clone();
        connections.spawn(async move {
            let _permit = permit;
            pass(client, behind, rules).await;
        });
    }
}

/// One connection to its end.
async fn pass(mut client: TcpStream, behind: u16, mut rules: watch::Receiver<Rule>) {
    let refused = *rules.borrow_and_update() == Some(Network::Cut);
    let server = if refused { None } else { TcpStream::connect(("127.0.0.1", behind)).await.ok() };
    let Some(mut server) = server else {
        client.set_zero_linger().ok();
        return;
    };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let clean = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let requests = Pump { from: from_client, to: to_server, rules: rules.clone(), of_requests: true };
        let answers = Pump { from: from_server, to: to_client, rules: rules.clone(), of_requests: false };
        tokio::select! {
            both = async { tokio::try_join!(requests.run(), answers.run()) } => both.is_ok(),
            () = cut(&mut rules) => false,
        }
    };
    if !clean {
        client.set_zero_linger().ok();
        server.set_zero_linger().ok();
    }
}

/// Ends when open connections are to be reset.
async fn cut(rules: &mut watch::Receiver<Rule>) {
    if rules.wait_for(|rule| *rule == Some(Network::Cut)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The connection is to be reset.
#[derive(Debug, PartialEq, Eq)]
struct Reset;

struct Pump<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    rules: watch::Receiver<Rule>,
    of_requests: bool,
}

impl Pump<'_> {
    /// Passes bytes on until their source ends.
    async fn run(mut self) -> Result<(), Reset> {
        let mut buffer = vec![0; BUFFER];
        // bytes under the present rule
        let (mut under, mut passed) = (None, 0);
        loop {
            let read = self.from.read(&mut buffer).await.map_err(|_| Reset)?;
            if read == 0 {
                self.to.shutdown().await.ok();
                return Ok(());
            }
            let mut rule = *self.rules.borrow_and_update();
            while rule == Some(Network::Freeze) {
                self.rules.changed().await.map_err(|_| Reset)?;
                rule = *self.rules.borrow_and_update();
            }
            if rule != under {
                (under, passed) = (rule, 0);
            }
            passed += read as u64;
            self.pass_on(&buffer[..read], rule, passed).await?;
        }
    }

    async fn pass_on(&mut self, bytes: &[u8], rule: Rule, passed: u64) -> Result<(), Reset> {
        match rule {
            Some(Network::Delay(millis)) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Some(Network::SwallowAnswers) if !self.of_requests => {
                tokio::time::sleep(SWALLOW).await;
                return Err(Reset);
            }
            Some(Network::ResetAfter(most)) if self.of_requests && passed > most => {
                let over = usize::try_from(passed - most).unwrap_or(usize::MAX);
                self.write(&bytes[..bytes.len().saturating_sub(over)]).await?;
                return Err(Reset);
            }
            Some(Network::Trickle) => {
                for piece in bytes.chunks(TRICKLE.0) {
                    self.write(piece).await?;
                    tokio::time::sleep(TRICKLE.1).await;
                }
                return Ok(());
            }
            _ => {}
        }
        self.write(bytes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Reset> {
        self.to.write_all(bytes).await.map_err(|_| Reset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each line with it.
    async fn echo() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        port
    }

    async fn ask(proxy: &Proxy, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn each_rule_does_what_it_says() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let text = vec![7; 200_000];
        for rule in [None, Some(Network::Delay(1)), Some(Network::Trickle)] {
            proxy.set(rule);
            assert_eq!(ask(&proxy, &text).await.unwrap(), text, "{rule:?}");
        }
        for rule in [Network::Cut, Network::SwallowAnswers, Network::ResetAfter(100_000)] {
            proxy.set(Some(rule));
            assert!(ask(&proxy, &text).await.is_err(), "{rule:?}");
        }
        proxy.set(Some(Network::Freeze));
        let frozen = ask(&proxy, &text);
        let thaw = async {
            tokio::task::yield_now().await;
            proxy.set(None);
        };
        assert_eq!(tokio::join!(frozen, thaw).0.unwrap(), text);
    }

    #[tokio::test]
    async fn an_open_connection_is_cut() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).await.unwrap();
        proxy.set(Some(Network::Cut));
        assert!(stream.read_exact(&mut answer).await.is_err());
    }
}
