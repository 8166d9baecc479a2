//! Statements to ClickHouse over HTTP.
//!
//! What enters: SQL. What leaves: text or rows as the server formats them. What never happens here: a password in a URL.

use crate::endpoints::ClickHouseEndpoint;
use anyhow::{Context as _, bail};
use reqwest::{Body, Client, RequestBuilder, Response};
use std::time::Duration;

/// A client of one ClickHouse. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct HttpQuery {
    client: Client,
    endpoint: ClickHouseEndpoint,
}

impl HttpQuery {
    pub(crate) fn new(endpoint: ClickHouseEndpoint) -> anyhow::Result<Self> {
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .no_proxy()
            .build()
            .context("no HTTP client")?;
        Ok(Self { client, endpoint })
    }

    fn request(&self, settings: &[(&str, &str)]) -> RequestBuilder {
        let mut request = self
            .client
            .post(format!("{}/", self.endpoint.url))
            .header("X-ClickHouse-User", &self.endpoint.user)
            .query(settings);
        if !self.endpoint.password.is_empty() {
            request = request.header("X-ClickHouse-Key", self.endpoint.password.expose());
        }
        if !self.endpoint.database.is_empty() {
            request = request.query(&[("database", &self.endpoint.database)]);
        }
        request
    }

    /// Sends a statement, with data for an INSERT, and gives the answer before its body is read.
    ///
    /// # Errors
    /// When the server can't be reached or refuses; the server's own words are in the error.
    pub(crate) async fn send(
        &self,
        sql: &str,
        data: Option<Body>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Response> {
        let request = self.request(settings);
        let request = match data {
            Some(data) => request.query(&[("query", sql)]).body(data),
            None => request.body(sql.to_owned()),
        };
        let answer = request.send().await.map_err(|error| {
            let advice = "is it running? `tickhouse up`, `tickhouse clickhouse start`, or another --url";
            let error = anyhow::Error::new(error.without_url());
            error.context(format!("ClickHouse at {} does not answer ({advice})", self.endpoint.url))
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let words = answer.text().await.unwrap_or_default();
        match message_of(&words) {
            "" => bail!("ClickHouse answered {status}"),
            words => bail!("{words}{}", advice_for(words)),
        }
    }

    /// The whole answer as text, without the last line end.
    pub(crate) async fn text(&self, sql: &str) -> anyhow::Result<String> {
        let settings = [("wait_end_of_query", "1")];
        let text = self.send(sql, None, &settings).await?.text().await.context("the answer broke off")?;
        Ok(text.trim_end().to_owned())
    }
}

/// The server's words without the rows that it had written before the error.
fn message_of(answer: &str) -> &str {
    let words = answer.rfind("Code: ").map_or(answer, |at| &answer[at..]);
    words.split("\n__exception__").next().unwrap_or(words).trim()
}

/// What to do about errors that a newcomer meets.
fn advice_for(words: &str) -> &'static str {
    if words.contains("UNKNOWN_DATABASE") || words.contains("UNKNOWN_TABLE") {
        return "\nIs the schema there? `tickhouse migrate` creates it; `tickhouse sql 'SHOW TABLES'` lists it.";
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_shown_without_the_rows_before_it() {
        assert_eq!(message_of("Code: 60. DB::Exception: no\n"), "Code: 60. DB::Exception: no");
        assert_eq!(
            message_of("0\n0\n\r\nCode: 395. DB::Exception: boom\n"),
            "Code: 395. DB::Exception: boom"
        );
        assert_eq!(message_of("who are you?"), "who are you?");
    }
}
