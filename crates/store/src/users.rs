//! Users of an external server. The embedded engine gets its users from a generated file.

use crate::{Store, StoreError};

/// Makes (or gives new passwords to) `tickhouse_writer`, who may do everything in the database and read the system's
/// tables, and `tickhouse_reader`, who may only read it and set his own `max_execution_time`.
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
    let database = format!("`{}`", database.replace('`', ""));
    let mut statements = vec![
        "CREATE SETTINGS PROFILE IF NOT EXISTS tickhouse_read_only SETTINGS readonly = 1, max_execution_time \
         CHANGEABLE_IN_READONLY"
            .to_owned(),
    ];
    let users = [
        ("tickhouse_writer", writer_password, format!("ALL ON {database}.*"), ""),
        (
            "tickhouse_reader",
            reader_password,
            format!("SELECT ON {database}.*"),
            " SETTINGS PROFILE 'tickhouse_read_only'",
        ),
    ];
    for (name, password, grant, profile) in users {
        let secret = format!("IDENTIFIED WITH sha256_password BY '{}'", quoted(password));
        statements
            .push(format!("CREATE USER IF NOT EXISTS {name} {secret} DEFAULT DATABASE {database}{profile}"));
        statements.push(format!("ALTER USER {name} {secret}"));
        statements.push(format!("GRANT {grant} TO {name}"));
        statements.push(format!("GRANT SELECT ON system.* TO {name}"));
    }
    // the loader ends inserts whose answers were lost
    statements.push("GRANT KILL QUERY ON *.* TO tickhouse_writer".to_owned());
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
