//! The users of an embedded engine: a generated file, because `CREATE USER` has nowhere to write there.
//!
//! `default` has no password and may do everything, from this machine only: the programs of the brief and Grafana's
//! defaults connect so. Whoever shares the machine with people he does not trust runs a clickhouse-server instead.

use crate::EmbedError;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The user that loaders and recorders are.
pub const WRITER: &str = "tickhouse_writer";

/// The user that dashboards and notebooks are: reads only, may change its own `max_execution_time`.
pub const READER: &str = "tickhouse_reader";

/// Passwords of [`WRITER`] and [`READER`], random, kept in a file that only the owner reads.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// Of [`WRITER`].
    pub writer_password: String,
    /// Of [`READER`].
    pub reader_password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Those of a data directory, made at the first call.
    pub(crate) fn of(data_dir: &Path) -> Result<Self, EmbedError> {
        let path = data_dir.join("users.json");
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| EmbedError::Io { path: path.clone(), source: error.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Self { writer_password: random_password()?, reader_password: random_password()? };
                let text = serde_json::to_vec_pretty(&made)
                    .map_err(|error| EmbedError::Io { path: path.clone(), source: error.into() })?;
                write_private(&path, &text)?;
                Ok(made)
            }
            Err(error) => Err(EmbedError::Io { path, source: error }),
        }
    }

    /// Those of an engine's data directory, if it has been started once and its owner asks.
    pub fn of_engine(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data_dir.join("users.json")).ok()?).ok()
    }

    /// The `users_config` file.
    pub(crate) fn users_xml(&self, database: &str) -> String {
        let networks = "<networks><ip>127.0.0.1</ip><ip>::1</ip></networks>";
        let mut users = String::new();
        let mut user = |name: &str, password: &str, profile: &str, more: &str| {
            users.extend([format!(
                "\n  <{name}>\n   <password>{password}</password>{networks}\n   <profile>{profile}</profile>\
                 <quota>default</quota><default_database>{database}</default_database>{more}\n  </{name}>"
            )]);
        };
        user("default", "", "default", "<access_management>1</access_management>");
        // the writer as `tickhouse migrate` makes it on a server; of the reader's databases all are ours
        user(
            WRITER,
            &self.writer_password,
            "default",
            &grants(&[
                &format!("ALL ON {database}.*"),
                &format!("ALL ON {database}_tickhouse_backup.*"),
                &format!("ALL ON {database}_tickhouse_restore.*"),
                "TABLE ENGINE ON MergeTree",
                "TABLE ENGINE ON ReplacingMergeTree",
                "TABLE ENGINE ON AggregatingMergeTree",
                "SELECT ON system.*",
                "KILL QUERY ON *.*",
            ]),
        );
        user(READER, &self.reader_password, "reader", &grants(&["SELECT ON *.*"]));
        format!(
            "<clickhouse>\n <profiles>\n  <default/>\n  <reader>\n   <readonly>1</readonly>\n   \
             <cancel_http_readonly_queries_on_client_close>1</cancel_http_readonly_queries_on_client_close>\n   \
             <output_format_arrow_low_cardinality_as_dictionary>1</output_format_arrow_low_cardinality_as_dictionary>\n   \
             <output_format_arrow_compression_method>none</output_format_arrow_compression_method>\n   <constraints>\
             <max_execution_time><changeable_in_readonly/></max_execution_time></constraints>\n  </reader>\n \
             </profiles>\n <quotas><default/></quotas>\n <users>{users}\n </users>\n</clickhouse>\n"
        )
    }
}

/// An element of a user: what it may, and nothing else.
fn grants(grants: &[&str]) -> String {
    let queries: Vec<String> = grants.iter().map(|grant| format!("<query>GRANT {grant}</query>")).collect();
    format!("<grants>{}</grants>", queries.concat())
}

/// 192 bits of the system's randomness in hexadecimal.
fn random_password() -> Result<String, EmbedError> {
    let mut bytes = [0; 24];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(EmbedError::io("/dev/urandom"))?;
    Ok(hex::encode(bytes))
}

/// Writes a file that only its owner may read, all or nothing.
pub(crate) fn write_private(path: &Path, text: &[u8]) -> Result<(), EmbedError> {
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new).map_err(EmbedError::io(&new))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(EmbedError::io(&new))?;
    std::fs::rename(&new, path).map_err(EmbedError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn passwords_are_made_once_and_are_private() {
        let directory = tempfile::tempdir().unwrap();
        let first = Credentials::of(directory.path()).unwrap();
        let second = Credentials::of(directory.path()).unwrap();
        assert_eq!(first.writer_password, second.writer_password);
        assert_ne!(first.writer_password, first.reader_password);
        assert_eq!(first.reader_password.len(), 48);
        let mode = std::fs::metadata(directory.path().join("users.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(&first.writer_password));
    }
}
