//! Questions to ClickHouse, without the client that is judged.

use anyhow::{Context as _, bail};
use std::time::Duration;

/// Longest wait for an answer to begin, and between two pieces of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The engine of a run, past every proxy.
#[derive(Clone, Debug)]
pub(crate) struct ClickHouse {
    client: reqwest::Client,
    url: String,
}

impl ClickHouse {
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().read_timeout(PATIENCE).build()?;
        Ok(Self { client, url: format!("{url}/?database=trading") })
    }

    /// Each line of the answer, its columns parted by tabs.
    pub(crate) async fn lines(
        &self,
        sql: &str,
        mut line: impl FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let asked = || format!("ClickHouse does not answer `{}`", sql.chars().take(200).collect::<String>());
        let mut answer = self.client.post(&self.url).body(sql.to_owned()).send().await.with_context(asked)?;
        if !answer.status().is_success() {
            bail!("{}: {}", asked(), answer.text().await.unwrap_or_default());
        }
        let mut rest = Vec::new();
        while let Some(piece) = answer.chunk().await.with_context(asked)? {
            rest.extend_from_slice(&piece);
            let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
            for text in rest[..end].split(|byte| *byte == b'\n') {
                line(std::str::from_utf8(text)?)?;
            }
            rest.drain(..=end);
        }
        if rest.is_empty() { Ok(()) } else { bail!("{}: it is cut", asked()) }
    }

    /// The whole answer, without the last line feed.
    pub(crate) async fn text(&self, sql: &str) -> anyhow::Result<String> {
        let mut all: Vec<String> = Vec::new();
        self.lines(sql, |line| {
            all.push(line.to_owned());
            Ok(())
        })
        .await?;
        Ok(all.join("\n"))
    }

    /// A single number.
    pub(crate) async fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let text = self.text(sql).await?;
        text.parse().with_context(|| format!("{text:?} is no number"))
    }
}
