//! `tickhouse sql`: ask ClickHouse, or insert from standard input, as people use clickhouse-client.

use crate::arguments::Common;
use crate::endpoints::{self, ClickHouseEndpoint};
use crate::http_query::HttpQuery;
use crate::{output, setup};
use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Body, Response};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use tickhouse_config::Secret;

/// The end of the answer that may hold an error which came after rows.
const TAIL: usize = 16 * 1024;
/// Between rows and such an error.
const MARKER: &[u8] = b"__exception__";

/// Ask ClickHouse, or insert from standard input.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickhouse sql 'SELECT symbol, last_price FROM tick_data WHERE date = today() LIMIT 5'
  tickhouse sql --query 'INSERT INTO notes FORMAT CSV' < notes.csv
  echo 'SELECT 1; SELECT 2' | tickhouse sql")]
pub(crate) struct Sql {
    /// One or more statements, separated by ; [default: from standard input]
    statements: Option<String>,
    /// The same, as clickhouse-client has it
    #[arg(short, long, conflicts_with = "statements", value_name = "SQL")]
    query: Option<String>,
    /// Format of the answer: `PrettyCompact`, TSV, `CSVWithNames`, JSON, … [default: `PrettyCompact` on a terminal, else TSV]
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// One JSON object per row
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Database [default: trading]
    #[arg(short, long, value_name = "NAME")]
    database: Option<String>,
    /// ClickHouse's HTTP interface [default: the configured or running one]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// User [default: default]
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// File with the user's password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

pub(crate) fn run(common: &Common, command: Sql) -> anyhow::Result<()> {
    let endpoint = endpoint(common, &command)?;
    setup::runtime(1)?.block_on(ask(HttpQuery::new(endpoint)?, command))
}

fn endpoint(common: &Common, command: &Sql) -> anyhow::Result<ClickHouseEndpoint> {
    let mut config = setup::config(common)?;
    config.data_dir = endpoints::of_what_runs(&config);
    let mut endpoint = match &command.url {
        Some(url) => ClickHouseEndpoint {
            url: url.trim_end_matches('/').to_owned(),
            user: "default".to_owned(),
            password: Secret::default(),
            database: config.clickhouse.database.clone(),
        },
        None => endpoints::clickhouse(&config)?,
    };
    if let Some(user) = &command.user {
        endpoint.user.clone_from(user);
    }
    if let Some(path) = &command.password_file {
        endpoint.password =
            Secret::from_file(Some(path)).with_context(|| format!("{} can't be read", path.display()))?;
    }
    if let Some(database) = &command.database {
        endpoint.database.clone_from(database);
    }
    Ok(endpoint)
}

async fn ask(server: HttpQuery, command: Sql) -> anyhow::Result<()> {
    let default_format = if output::is_terminal() { "PrettyCompact" } else { "TabSeparated" };
    let format = match &command.format {
        Some(format) => format.as_str(),
        None if command.json => "JSONEachRow",
        None => default_format,
    };
    let settings = [
        ("default_format", format),
        ("output_format_json_quote_64bit_integers", "0"),
        ("cancel_http_readonly_queries_on_client_close", "1"),
    ];
    let given = command.statements.or(command.query);
    let from_input = given.is_none();
    let text = match given {
        Some(text) => text,
        None => read_statements()?,
    };
    let statements = split(&text);
    if statements.is_empty() {
        bail!(
            "there is no statement: give one, as in `tickhouse sql 'SELECT 1'`, or write it to standard input"
        );
    }
    for statement in statements {
        // data follow on standard input, unless the statements came from there or bring their own
        let data = (!from_input && wants_data(statement)).then(standard_input);
        let answer = server.send(statement, data, &settings).await?;
        copy(answer).await?;
    }
    Ok(())
}

fn read_statements() -> anyhow::Result<String> {
    let mut input = std::io::stdin().lock();
    if input.is_terminal() {
        bail!("there is no statement: give one, as in `tickhouse sql 'SELECT 1'`");
    }
    let mut text = String::new();
    input.read_to_string(&mut text).context("standard input can't be read as text")?;
    Ok(text)
}

/// Standard input as the body of a request, read on a thread of its own while it is sent.
fn standard_input() -> Body {
    Body::wrap_stream(input_stream(tokio::io::stdin()))
}

fn input_stream(
    input: tokio::io::Stdin,
) -> impl futures_util::Stream<Item = std::io::Result<bytes::Bytes>> + Send + 'static {
    use tokio::io::AsyncReadExt as _;

    futures_util::stream::try_unfold(input, |mut input| async move {
        let mut buffer = bytes::BytesMut::with_capacity(64 * 1024);
        let read = input.read_buf(&mut buffer).await?;
        Ok((read > 0).then(|| (buffer.freeze(), input)))
    })
}

/// Writes an answer as it comes. An error that the server meets after the first rows stands at the end of them.
async fn copy(mut answer: Response) -> anyhow::Result<()> {
    let mut tail: Vec<u8> = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => {
                std::io::stdout().lock().write_all(&chunk)?;
                let keep = chunk.len().min(TAIL);
                tail.extend_from_slice(&chunk[chunk.len() - keep..]);
                let surplus = tail.len().saturating_sub(TAIL);
                tail.drain(..surplus);
            }
            Ok(None) => break,
            Err(error) => {
                let error = anyhow::Error::new(error.without_url());
                return Err(late_error(&tail).unwrap_or_else(|| error.context("the answer broke off")));
            }
        }
    }
    std::io::stdout().lock().flush()?;
    match late_error(&tail) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn late_error(tail: &[u8]) -> Option<anyhow::Error> {
    let at = tail.windows(MARKER.len()).position(|window| window == MARKER)?;
    let words = String::from_utf8_lossy(&tail[at + MARKER.len()..]).into_owned();
    let line = words.lines().find(|line| line.contains("Exception"))?;
    Some(anyhow::anyhow!("the query failed after its first rows: {}", line.trim()))
}

/// The statements of a text: separated by `;` outside of quotes and comments.
fn split(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut statements = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        at = match bytes[at] {
            quote @ (b'\'' | b'"' | b'`') => end_of_quote(bytes, at, quote),
            b'-' if bytes.get(at + 1) == Some(&b'-') => end_of(bytes, at, b"\n"),
            b'/' if bytes.get(at + 1) == Some(&b'*') => end_of(bytes, at + 2, b"*/"),
            b';' => {
                statements.push(&text[start..at]);
                start = at + 1;
                start
            }
            _ => at + 1,
        };
    }
    statements.push(&text[start..]);
    statements.into_iter().map(str::trim).filter(|statement| !is_blank(statement)).collect()
}

/// Whether nothing but comments is left.
fn is_blank(statement: &str) -> bool {
    statement.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with("--"))
}

fn end_of_quote(bytes: &[u8], open: usize, quote: u8) -> usize {
    let mut at = open + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn end_of(bytes: &[u8], from: usize, mark: &[u8]) -> usize {
    let found = bytes.get(from..).and_then(|rest| rest.windows(mark.len()).position(|window| window == mark));
    found.map_or(bytes.len(), |at| from + at + mark.len())
}

/// Whether a statement is an INSERT whose data are not in it: it ends in `FORMAT name` or `VALUES`, or names only its
/// table.
fn wants_data(statement: &str) -> bool {
    let words: Vec<String> = statement.split_whitespace().map(str::to_uppercase).collect();
    if words.first().is_none_or(|word| word != "INSERT") || words.iter().any(|word| word == "SELECT") {
        return false;
    }
    match words.iter().rposition(|word| word == "FORMAT" || word == "VALUES") {
        Some(at) if words[at] == "VALUES" => at + 1 == words.len(),
        Some(at) => at + 2 == words.len(),
        None => !words.iter().any(|word| word.starts_with("VALUES(")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_split_outside_of_quotes_and_comments() {
        let text = "SELECT ';', \"a;b\", 'it\\'s;' -- no; end\n; /* ; */ SELECT 2;\n-- only a comment;\n;";
        assert_eq!(split(text), ["SELECT ';', \"a;b\", 'it\\'s;' -- no; end", "/* ; */ SELECT 2"]);
        assert!(split(" ; ").is_empty());
        assert_eq!(split("SELECT 'open"), ["SELECT 'open"]);
    }

    #[test]
    fn an_insert_without_its_data_reads_them() {
        for sql in [
            "INSERT INTO t FORMAT CSV",
            "insert into t(a) format Native",
            "INSERT INTO t VALUES",
            "INSERT INTO t",
        ] {
            assert!(wants_data(sql), "{sql}");
        }
        for sql in [
            "SELECT 1 FORMAT CSV",
            "INSERT INTO t VALUES (1)",
            "INSERT INTO t VALUES(1)",
            "INSERT INTO t SELECT 1",
            "INSERT INTO t FORMAT CSV 1,2",
        ] {
            assert!(!wants_data(sql), "{sql}");
        }
    }

    #[test]
    fn an_error_after_the_first_rows_is_seen() {
        let tail = b"1\n2\n\r\n__exception__\r\nabc\r\nCode: 395. DB::Exception: boom: while executing\n12 abc\r\n__exception__\r\n";
        assert!(late_error(tail).unwrap().to_string().contains("boom"));
        assert!(late_error(b"1\n2\n").is_none());
    }
}
