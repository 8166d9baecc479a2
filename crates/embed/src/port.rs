//! Ports: whether one is free, and who has it if not.

use crate::EmbedError;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

/// A port of 127.0.0.1 that is free now. Another program may take it before it is used.
///
/// # Errors
/// When the system has none.
pub fn free() -> Result<u16, EmbedError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(EmbedError::io("127.0.0.1:0"))
}

/// `wanted`, checked to be free; for 0 any free one.
///
/// # Errors
/// [`EmbedError::PortTaken`] naming the holder and the flag that changes the port.
pub fn claim(wanted: u16, what: &'static str, flag: &'static str) -> Result<u16, EmbedError> {
    if wanted == 0 {
        return free();
    }
    match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)) {
        Ok(_) => Ok(wanted),
        Err(error) => {
            let holder = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    holder(wanted).map_or_else(|| "another process".to_owned(), |holder| holder.to_string())
                }
                _ => format!("the system ({error})"),
            };
            Err(EmbedError::PortTaken { port: wanted, what, holder, flag })
        }
    }
}

/// The process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` (process {})", self.name, self.pid)
    }
}

/// Who listens on the port, as far as this user may see it: from `/proc` on Linux, else by `lsof`.
pub fn holder(port: u16) -> Option<Holder> {
    by_proc(port).or_else(|| by_lsof(port))
}

fn by_proc(port: u16) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let wanted: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for entry in std::fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(descriptors) = std::fs::read_dir(entry.path().join("fd")) else { continue };
        let holds = descriptors
            .filter_map(Result::ok)
            .filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok())
            .any(|link| link.to_str().is_some_and(|link| wanted.iter().any(|inode| inode == link)));
        if holds {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(Holder { name: name.trim().to_owned(), pid });
        }
    }
    None
}

/// Inodes of the listening sockets (state `0A`) of a port in a table like `/proc/net/tcp`.
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields.len() > 9 && fields[1].ends_with(&suffix) && fields[3] == "0A")
                .then(|| fields[9].to_owned())
        })
        .collect()
}

fn by_lsof(port: u16) -> Option<Holder> {
    let output =
        Command::new("lsof").args(["-nP", &format!("-iTCP:{port}"), "-sTCP:LISTEN", "-Fpc"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |tag: char| text.lines().find_map(|line| line.strip_prefix(tag));
    Some(Holder { name: field('c')?.to_owned(), pid: field('p')?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_holder_and_the_flag() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = claim(port, "ClickHouse over HTTP", "--clickhouse-http-port").unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("(process {})", std::process::id())), "{text}");
        assert!(text.contains("--clickhouse-http-port"), "{text}");
        drop(listener);
        assert_eq!(claim(port, "", "").unwrap(), port);
    }

    #[test]
    fn only_listening_sockets_hold_a_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n   \
                     1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4243 1\n";
        assert_eq!(listening_inodes(table, 8080), ["4242"]);
        assert!(listening_inodes(table, 8081).is_empty());
    }
}
