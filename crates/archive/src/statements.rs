//! Statements about databases and tables as a whole: names are quoted, and nothing depends on a database that may not be there.

use crate::ArchiveError;
use crate::digest::quoted;
use clickhouse::{Client, RowOwned, RowRead};
use tickhouse_store::Store;

/// A client that is in no database that may be missing.
pub(crate) fn outside(store: &Store) -> Client {
    store.client().clone().with_database("system")
}

/// Runs a statement.
pub(crate) async fn run(store: &Store, doing: &str, sql: &str) -> Result<(), ArchiveError> {
    outside(store).query_raw(sql).execute().await.map_err(ArchiveError::clickhouse(doing))
}

/// The rows of a query.
pub(crate) async fn rows<T: RowOwned + RowRead>(
    store: &Store,
    doing: &str,
    sql: &str,
) -> Result<Vec<T>, ArchiveError> {
    outside(store).query_raw(sql).fetch_all::<T>().await.map_err(ArchiveError::clickhouse(doing))
}

/// `database`.`table`.
pub(crate) fn name(database: &str, table: &str) -> String {
    format!("{}.{}", quoted(database), quoted(table))
}

/// A text in quotes.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Texts in quotes, in brackets.
pub(crate) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(literal).collect();
    format!("({})", texts.join(", "))
}
