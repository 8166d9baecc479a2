//! Section `[push]`.

use crate::reader::Reader;
use std::net::SocketAddr;

/// Section `[push]`.
#[derive(Clone, Debug)]
pub struct Push {
    /// Whether `tickhouse serve` takes pushes. Off by default: nobody writes who was not asked.
    pub enabled: bool,
    /// Where it takes them: an address of this machine itself. Port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Push {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        const LISTEN: &str = "push.listen";
        let push = Self {
            enabled: reader.flag("push.enabled", false),
            listen: reader.parsed(LISTEN, "127.0.0.1:8090"),
        };
        if !push.listen.ip().is_loopback() {
            let problem = format!(
                "{} can be reached from elsewhere: use 127.0.0.1, behind a proxy that speaks TLS",
                push.listen.ip()
            );
            let origin = reader.origin(LISTEN);
            reader.fault(LISTEN, origin, problem);
        }
        push
    }
}
