//! Section `[http]`.

use crate::reader::Reader;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Section `[http]`.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where `tickhouse serve` gives the page, REST and `/status`; `up` and `demo` start it. Port 0 takes a free one. The other
    /// processes take a free port of this machine each.
    pub listen: SocketAddr,
    /// Token that everybody needs who does not come from this machine; a must for an address that can be reached from elsewhere.
    pub token_file: Option<PathBuf>,
}

impl Http {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        const LISTEN: &str = "http.listen";
        let http = Self {
            listen: reader.parsed(LISTEN, "127.0.0.1:8080"),
            token_file: reader.path("http.token_file", ""),
        };
        if !http.is_of_this_machine() && http.token_file.is_none() {
            let problem = format!(
                "{} can be reached from elsewhere: name a file in http.token_file and run `tickhouse serve --make-token`, \
                 or use 127.0.0.1",
                http.listen.ip()
            );
            let origin = reader.origin(LISTEN);
            reader.fault(LISTEN, origin, problem);
        }
        http
    }

    /// Whether nobody elsewhere can reach it.
    pub const fn is_of_this_machine(&self) -> bool {
        self.listen.ip().is_loopback()
    }
}
