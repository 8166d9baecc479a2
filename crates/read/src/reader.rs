//! A connection that can only ask.

use crate::{Answer, ByteStream, ComputedRows, Format, ReadError, Statement};
use clickhouse::{Client, Compression, RowOwned, RowRead};
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Words that repeat are sent once, as numbers of a dictionary: a sixth less to send and to hold, and categories in a frame.
const ARROW_WORDS: (&str, &str) = ("output_format_arrow_low_cardinality_as_dictionary", "1");
/// Compressing Arrow costs more time than it saves up to about a gigabit a second (docs/python.md).
const ARROW_PLAIN: (&str, &str) = ("output_format_arrow_compression_method", "none");
/// As much of a row as an error shows.
const ROW_SHOWN: usize = 200;

/// Where `ClickHouse` is, and as whom to ask. Its `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ReaderOptions {
    /// `http://127.0.0.1:8123`, or `https://…` for a server elsewhere.
    pub url: String,
    /// Database of the tables.
    pub database: String,
    /// User; one that may only read is enough.
    pub user: String,
    /// Password, empty for none.
    pub password: String,
}

impl ReaderOptions {
    /// The user `default`, the database `trading`.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database: "trading".to_owned(),
            user: "default".to_owned(),
            password: String::new(),
        }
    }
}

impl fmt::Debug for ReaderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReaderOptions")
            .field("url", &self.url)
            .field("database", &self.database)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A connection that can only ask. Cloning is cheap; clones share connections.
#[derive(Clone, Debug)]
pub struct Reader {
    http: reqwest::Client,
    typed: Client,
    options: Arc<ReaderOptions>,
    settings: Arc<OnceCell<Vec<(&'static str, &'static str)>>>,
}

impl Reader {
    /// A reader; nothing is sent yet.
    pub fn new(mut options: ReaderOptions) -> Self {
        while options.url.ends_with('/') {
            options.url.pop();
        }
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).no_proxy().build();
        let typed = Client::default()
            .with_url(&options.url)
            .with_user(&options.user)
            .with_password(&options.password)
            .with_database(&options.database)
            .with_compression(Compression::None)
            // our statements name their columns and types; a DESCRIBE per query would double the round trips
            .with_validation(false);
        Self {
            http: http.expect("a client of plain settings can be made"),
            typed,
            options: Arc::new(options),
            settings: Arc::new(OnceCell::new()),
        }
    }

    /// What it was made of.
    pub fn options(&self) -> &ReaderOptions {
        &self.options
    }

    /// The rows of a statement by the names of their columns: for small answers.
    ///
    /// # Errors
    /// When the server refuses or fails, or a row does not fit `T`.
    pub async fn rows<T: DeserializeOwned>(&self, statement: &Statement) -> Result<Vec<T>, ReadError> {
        let text = self.stream(statement, Format::Ndjson).await?.collect().await?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(|source| unexpected(line, source))).collect()
    }

    /// How many rows a statement's answer has.
    ///
    /// # Errors
    /// As [`Reader::rows`].
    pub async fn count_rows(&self, statement: &Statement) -> Result<u64, ReadError> {
        #[derive(serde::Deserialize)]
        struct Count {
            rows: u64,
        }
        let counts: Vec<Count> = self.rows(&statement.counted()).await?;
        Ok(counts.first().map_or(0, |count| count.rows))
    }

    /// The rows of a statement in binary: for many rows. The columns' order and types are those of `T`; `what` is for the error.
    ///
    /// # Errors
    /// When the server refuses or fails, or a row does not fit `T`.
    pub async fn fetch<T: RowOwned + RowRead>(
        &self,
        what: &'static str,
        statement: &Statement,
    ) -> Result<Vec<T>, ReadError> {
        let mut query = self.typed.query_raw(statement.sql());
        for (name, value) in self.settings().await? {
            query = query.with_setting(*name, *value);
        }
        for (name, value) in statement.parameters() {
            query = query.with_setting(format!("param_{name}"), value);
        }
        query.fetch_all().await.map_err(|source| ReadError::Typed { what, source })
    }

    /// The rows of a statement as the server writes them.
    ///
    /// # Errors
    /// When the server can't be reached or refuses. What fails later is an error of the stream.
    pub async fn stream(&self, statement: &Statement, format: Format) -> Result<ByteStream, ReadError> {
        let request = self.request(format).query(self.settings().await?);
        let request = parameters(request, statement).body(statement.sql().to_owned());
        Ok(ByteStream::of(self.send(request).await?))
    }

    /// An answer in a format.
    ///
    /// # Errors
    /// As [`Reader::stream`].
    pub async fn present(&self, answer: Answer, format: Format) -> Result<ByteStream, ReadError> {
        match answer {
            Answer::Query(statement) => self.stream(&statement, format).await,
            Answer::Rows(rows) if format == Format::Ndjson => Ok(ByteStream::ready(rows.ndjson.into())),
            Answer::Rows(rows) => self.convert(rows, format).await,
        }
    }

    /// Rows of ours, turned into a format by the server: as a table that exists for this one question.
    async fn convert(&self, rows: ComputedRows, format: Format) -> Result<ByteStream, ReadError> {
        let structure = rows.structure();
        let form = Form::new().part("rows", Part::bytes(rows.ndjson).file_name("rows"));
        let request = self
            .request(format)
            .query(self.settings().await?)
            .query(&[
                ("query", "SELECT * FROM rows"),
                ("rows_format", "JSONEachRow"),
                ("rows_structure", &structure),
            ])
            .multipart(form);
        Ok(ByteStream::of(self.send(request).await?))
    }

    fn request(&self, format: Format) -> RequestBuilder {
        let options = &self.options;
        let request = self
            .http
            .post(format!("{}/", options.url))
            .header("X-ClickHouse-User", &options.user)
            .query(&[("database", options.database.as_str()), ("default_format", format.name())]);
        if options.password.is_empty() {
            request
        } else {
            request.header("X-ClickHouse-Key", &options.password)
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ReadError> {
        let answer = request.send().await.map_err(|source| ReadError::Unreachable {
            url: self.options.url.clone(),
            source: source.without_url(),
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        let words = match message_of(&text) {
            "" => format!("ClickHouse answered {status}"),
            words => words.to_owned(),
        };
        Err(ReadError::Refused { words })
    }

    /// What every statement carries, which depends on what the user may change: who may write is made read-only; who may change
    /// nothing is left alone.
    async fn settings(&self) -> Result<&[(&'static str, &'static str)], ReadError> {
        let ask = async || {
            let request = self.request(Format::Csv).body("SELECT toUInt8(getSetting('readonly'))");
            let text = ByteStream::of(self.send(request).await?).collect().await?;
            let level = String::from_utf8_lossy(&text).lines().nth(1).unwrap_or("0").to_owned();
            Ok(match level.as_str() {
                "0" => vec![
                    ("readonly", "2"),
                    ("output_format_json_quote_64bit_integers", "0"),
                    ARROW_WORDS,
                    ARROW_PLAIN,
                    ("cancel_http_readonly_queries_on_client_close", "1"),
                ],
                "2" => vec![
                    ("output_format_json_quote_64bit_integers", "0"),
                    ARROW_WORDS,
                    ARROW_PLAIN,
                    ("cancel_http_readonly_queries_on_client_close", "1"),
                ],
                _ => Vec::new(),
            })
        };
        self.settings.get_or_try_init(ask).await.map(Vec::as_slice)
    }
}

fn parameters(request: RequestBuilder, statement: &Statement) -> RequestBuilder {
    let values: Vec<(String, &str)> =
        statement.parameters().map(|(name, value)| (format!("param_{name}"), value)).collect();
    request.query(&values)
}

fn unexpected(line: &[u8], source: serde_json::Error) -> ReadError {
    let row = String::from_utf8_lossy(&line[..line.len().min(ROW_SHOWN)]).into_owned();
    ReadError::Row { row, source }
}

/// The server's words without the rows that it had written before the error.
fn message_of(answer: &str) -> &str {
    let words = answer.rfind("Code: ").map_or(answer, |at| &answer[at..]);
    words.split("\n__exception__").next().unwrap_or(words).trim()
}
