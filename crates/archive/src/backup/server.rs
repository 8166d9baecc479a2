//! The server's own BACKUP and RESTORE.
//!
//! The embedded engine writes only below its folder for backups. A backup that goes elsewhere on this machine is reached through a
//! symbolic link there, named as the backup: an incremental one finds its base by the same name, on any machine.

use super::error::BackupError;
use super::place::{Place, S3Place};
use crate::ArchiveError;
use crate::digest::quoted;
use crate::statements::{literal, rows, run};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tickhouse_store::Store;

const POLL: Duration = Duration::from_millis(100);
/// The folder of the server's files in a backup's.
const FILES: &str = "server";

/// Links to backups in the engine's folder, removed when dropped.
#[derive(Debug, Default)]
pub(crate) struct Links(Vec<PathBuf>);

impl Links {
    /// Makes a backup in `root` reachable.
    pub(crate) fn add(&mut self, engine: &Path, root: &Path, id: &str) -> Result<(), BackupError> {
        std::fs::create_dir_all(engine).map_err(ArchiveError::file(engine))?;
        let target = root.join(id);
        let target = target.canonicalize().map_err(ArchiveError::file(&target))?;
        let link = engine.join(id);
        if link.canonicalize().is_ok_and(|found| found == target) && !link.is_symlink() {
            // the folder of backups is the engine's own
            return Ok(());
        }
        if link.is_symlink() {
            std::fs::remove_file(&link).map_err(ArchiveError::file(&link))?;
        }
        std::os::unix::fs::symlink(&target, &link).map_err(ArchiveError::file(&link))?;
        self.0.push(link);
        Ok(())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for link in &self.0 {
            // what is left does no harm: the next one replaces it
            std::fs::remove_file(link).ok();
        }
    }
}

/// How the server names a backup.
fn destination(place: &Place, id: &str) -> String {
    match place {
        Place::Folder(_) => format!("File({})", literal(&format!("{id}/{FILES}"))),
        Place::S3(place) => format!("S3({})", place.arguments(&format!("{id}/{FILES}"))),
    }
}

/// BACKUP of a whole database under another name.
pub(crate) async fn backup(
    store: &Store,
    (database, shown_as): (&str, &str),
    place: &Place,
    (id, base): (&str, Option<&str>),
) -> Result<(), BackupError> {
    let operation = operation(store, id);
    let mut settings = vec![format!("id = {}", literal(&operation))];
    if let Some(base) = base {
        settings.push(format!("base_backup = {}", destination(place, base)));
    }
    let sql = format!(
        "BACKUP DATABASE {} AS {} TO {} SETTINGS {} ASYNC",
        quoted(database),
        quoted(shown_as),
        destination(place, id),
        settings.join(", ")
    );
    wait(store, "BACKUP", &sql, &operation).await
}

/// RESTORE of a whole database under another name.
pub(crate) async fn restore(
    store: &Store,
    (shown_as, database): (&str, &str),
    place: &Place,
    (id, base): (&str, Option<&str>),
) -> Result<(), BackupError> {
    let operation = operation(store, &format!("restore:{id}:{}", uuid::Uuid::new_v4().simple()));
    let mut settings = vec![format!("id = {}", literal(&operation))];
    if let (Some(base), Place::S3(_)) = (base, place) {
        // the backup itself has the address of its base without the secret
        settings.push(format!("base_backup = {}", destination(place, base)));
        settings.push("use_same_s3_credentials_for_base_backup = 1".to_owned());
    }
    let sql = format!(
        "RESTORE DATABASE {} AS {} FROM {} SETTINGS {} ASYNC",
        quoted(shown_as),
        quoted(database),
        destination(place, id),
        settings.join(", ")
    );
    wait(store, "RESTORE", &sql, &operation).await
}

/// Starts an operation and waits for its end.
async fn wait(store: &Store, what: &'static str, sql: &str, operation: &str) -> Result<(), BackupError> {
    run(store, &format!("start the server's {what}"), sql).await?;
    let sql = format!(
        "SELECT toString(status), error FROM system.backups WHERE id = {} ORDER BY start_time DESC LIMIT 1",
        literal(operation)
    );
    loop {
        let found: Vec<(String, String)> = rows(store, &format!("look at the server's {what}"), &sql).await?;
        match found.first() {
            Some((status, _)) if status == "BACKUP_CREATED" || status == "RESTORED" => return Ok(()),
            Some((status, _)) if status == "CREATING_BACKUP" || status == "RESTORING" => {}
            Some((_, problem)) => return Err(BackupError::Server { what, problem: first_line(problem) }),
            None => {
                let problem = "the server was started again meanwhile".to_owned();
                return Err(BackupError::Server { what, problem });
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// What the server calls a backup or restore of this database.
fn operation(store: &Store, rest: &str) -> String {
    format!("tickhouse:{}:{rest}", store.options().database)
}

/// Ends a BACKUP or RESTORE of this database that still runs, and waits for its end: the server goes on when we are killed.
pub(crate) async fn end_all(store: &Store) -> Result<(), BackupError> {
    let sql = format!(
        "KILL QUERY WHERE query_id IN (SELECT query_id FROM system.backups WHERE startsWith(id, {}) \
         AND status IN ('CREATING_BACKUP', 'RESTORING')) SYNC FORMAT Null",
        literal(&operation(store, ""))
    );
    Ok(run(store, "end the server's backup", &sql).await?)
}

/// Writes a text to S3, by the server.
pub(crate) async fn write_text(
    store: &Store,
    place: &S3Place,
    below: &str,
    text: &[u8],
) -> Result<(), BackupError> {
    let row = serde_json::json!({ "text": String::from_utf8_lossy(text) });
    // the secret stands in the statement, which the server hides in its logs, and never in the URL of the request
    let sql = format!(
        "INSERT INTO FUNCTION s3({}, 'RawBLOB', 'text String') SETTINGS s3_truncate_on_insert = 1, async_insert = 0 \
         FORMAT JSONEachRow\n{row}",
        place.arguments(below)
    );
    Ok(run(store, "write backup.json to S3", &sql).await?)
}

/// The texts of all files in S3 that match.
pub(crate) async fn read_texts(
    store: &Store,
    place: &S3Place,
    below: &str,
) -> Result<Vec<String>, BackupError> {
    let sql = format!(
        "SELECT text FROM s3({}, 'RawBLOB', 'text String') SETTINGS s3_throw_on_zero_files_match = 0",
        place.arguments(below)
    );
    Ok(rows(store, "read backup.json from S3", &sql).await?)
}

/// Bytes of all files of a backup in S3.
pub(crate) async fn bytes_below(store: &Store, place: &S3Place, id: &str) -> Result<u64, BackupError> {
    let sql = format!(
        "SELECT toUInt64(ifNull(sum(_size), 0)) FROM s3({}, 'One')",
        place.arguments(&format!("{id}/**"))
    );
    Ok(rows(store, "ask for the size of the backup", &sql).await?.pop().unwrap_or_default())
}
