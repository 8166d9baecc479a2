//! Users of an external server. The embedded engine gets its users from a generated file.

use crate::{Store, StoreError};

/// Kinds of tables that the schema has: servers ask for a grant of each.
const ENGINES: &[&str] = &["MergeTree", "ReplacingMergeTree", "AggregatingMergeTree"];

/// What `tickhouse_writer` may: everything in the database and in the two beside it in which backups are made and tried, read the system's
/// tables, end its own lost inserts.
pub fn writer_grants(database: &str) -> Vec<String> {
    let database = database.replace('`', "");
    let mut grants: Vec<String> = ["", "_tickhouse_backup", "_tickhouse_restore"]
        .iter()
        .map(|end| format!("ALL ON `{database}{end}`.*"))
        .collect();
    grants.extend(ENGINES.iter().map(|engine| format!("TABLE ENGINE ON {engine}")));
    grants.extend(["SELECT ON system.*".to_owned(), "KILL QUERY ON *.*".to_owned()]);
    grants
}

/// What `tickhouse_reader` may: read the database and the system's tables.
pub fn reader_grants(database: &str) -> Vec<String> {
    vec![format!("SELECT ON `{}`.*", database.replace('`', "")), "SELECT ON system.*".to_owned()]
}

/// Makes (or gives new passwords to) `tickhouse_writer` and `tickhouse_reader`, who may what [`writer_grants`] and [`reader_grants`] say; the
/// reader may set his own `max_execution_time`, and no other setting.
///
/// # Errors
/// When the user of this store may not make users: the server's log names the missing grant.
pub async fn create_users(
    store: &Store,
    writer_password: &str,
    reader_password: &str,
) -> Result<(), StoreError> {
    for sql in user_statements(&store.options().database, writer_password, reader_password) {
        // the statement holds a password: the error names only what it was for
        let done = store.client().query_raw(&sql).execute().await;
        done.map_err(|source| StoreError::query("make the users", source))?;
    }
    Ok(())
}

fn user_statements(database: &str, writer_password: &str, reader_password: &str) -> Vec<String> {
    let mut statements = vec![
        "CREATE SETTINGS PROFILE IF NOT EXISTS tickhouse_read_only SETTINGS readonly = 1, max_execution_time \
         CHANGEABLE_IN_READONLY"
            .to_owned(),
    ];
    let users = [
        ("tickhouse_writer", writer_password, writer_grants(database), ""),
        (
            "tickhouse_reader",
            reader_password,
            reader_grants(database),
            " SETTINGS PROFILE 'tickhouse_read_only'",
        ),
    ];
    let database = format!("`{}`", database.replace('`', ""));
    for (name, password, grants, profile) in users {
        let secret = format!("IDENTIFIED WITH sha256_password BY '{}'", quoted(password));
        statements
            .push(format!("CREATE USER IF NOT EXISTS {name} {secret} DEFAULT DATABASE {database}{profile}"));
        statements.push(format!("ALTER USER {name} {secret}"));
        statements.extend(grants.iter().map(|grant| format!("GRANT {grant} TO {name}")));
    }
    statements
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_can_not_end_its_quotes() {
        let statements = user_statements("trading", r"a\' OR", "b");
        assert!(statements[1].contains(r"BY 'a\\\' OR'"), "{}", statements[1]);
    }
}
