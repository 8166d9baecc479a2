//! Section `[news]`.

use crate::reader::Reader;
use std::time::Duration;

/// Section `[news]`.
#[derive(Clone, Debug)]
pub struct News {
    /// RSS, Atom or JSON feeds, `http://` or `https://`.
    pub feeds: Vec<String>,
    /// Between two looks at a feed.
    pub poll_every: Duration,
}

impl News {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let feeds = reader.list("news.feeds", &[]);
        for feed in &feeds {
            if !feed.starts_with("http://") && !feed.starts_with("https://") {
                let origin = reader.origin("news.feeds");
                reader.fault(
                    "news.feeds",
                    origin,
                    "must be addresses such as https://HOST/feed.xml".to_owned(),
                );
            }
        }
        let seconds = reader.number("news.poll_seconds", 300, 5..=86_400);
        Self { feeds, poll_every: Duration::from_secs(seconds) }
    }
}
