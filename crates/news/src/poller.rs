//! Feeds into the stream of news, look by look.
//!
//! A look is a conditional GET (`ETag`, `Last-Modified`): a feed without anything new costs a few bytes. New items are added
//! to the stream, then remembered on disk; a crash between the two adds nothing twice, because Redis knows them too.

use crate::error::NewsError;
use crate::feed::{host_of, read_feed};
use crate::line::item_of;
use crate::redirect::{location_of, target};
use crate::state::{FeedState, path_of};
use reqwest::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tickhouse_stream::{Control, NewEntry};
use tickhouse_telemetry::Clock;

/// Longest pause after errors, and longest that a server's `Retry-After` is believed.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// How to poll.
#[derive(Clone, Debug)]
pub struct PollerOptions {
    /// RSS, Atom or JSON feeds.
    pub feeds: Vec<String>,
    /// Between two looks at a feed.
    pub every: Duration,
    /// The stream.
    pub stream: String,
    /// Where to remember what was published.
    pub folder: PathBuf,
    /// Longest look.
    pub timeout: Duration,
    /// Most bytes of a document, unpacked.
    pub max_bytes: usize,
}

impl PollerOptions {
    /// Looks of at most 30 s and 8 MiB.
    pub fn new(feeds: Vec<String>, every: Duration, stream: String, folder: PathBuf) -> Self {
        Self { feeds, every, stream, folder, timeout: Duration::from_secs(30), max_bytes: 8 << 20 }
    }
}

/// What one look at a feed found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FeedReport {
    /// Host of the feed.
    pub feed: String,
    /// Items that were added.
    pub published: u64,
    /// Items that were published before.
    pub repeats: u64,
    /// Items without a title.
    pub left_out: u64,
    /// Whether the server said that nothing changed.
    pub unchanged: bool,
    /// Why it was in vain.
    pub error: Option<String>,
}

/// Follows feeds.
#[derive(Debug)]
pub struct Poller {
    options: PollerOptions,
    control: Control,
    clock: Clock,
    client: Client,
    feeds: Vec<Feed>,
}

#[derive(Debug)]
struct Feed {
    address: String,
    state: FeedState,
    /// Whether the state on disk is older.
    unsaved: bool,
    due: Instant,
    failures: u32,
}

/// What a fetch gave.
enum Fetched {
    Unchanged,
    Document { bytes: Vec<u8>, etag: Option<String>, last_modified: Option<String> },
}

/// A look in vain, and how long to wait at least.
struct Trouble {
    what: String,
    wait: Option<Duration>,
}

impl<E: std::error::Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        // causes, but no address: its query may hold a key
        let mut what = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            what = format!("{what}: {cause}");
            source = cause.source();
        }
        Self { what, wait: None }
    }
}

impl Poller {
    /// A poller; what it remembers is read from disk.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(options: PollerOptions, control: Control, clock: Clock) -> Result<Self, NewsError> {
        let client = Client::builder()
            .user_agent(concat!("tickhouse/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.timeout.min(Duration::from_secs(10)))
            .timeout(options.timeout)
            // followed here, where it is known what may be
            .redirect(Policy::none())
            .build()
            .map_err(NewsError::Client)?;
        let feed = |address: &String| Feed {
            state: FeedState::read(&path_of(&options.folder, address)),
            unsaved: false,
            address: address.clone(),
            due: Instant::now(),
            failures: 0,
        };
        let feeds = options.feeds.iter().map(feed).collect();
        Ok(Self { options, control, clock, client, feeds })
    }

    /// Looks once at every feed.
    ///
    /// # Errors
    /// When Redis fails or nothing can be remembered. A feed that does not answer is a report.
    ///
    /// # Cancel safety
    /// Safe: what was published is remembered in Redis.
    pub async fn poll_all(&mut self) -> Result<Vec<FeedReport>, NewsError> {
        let mut reports = Vec::with_capacity(self.feeds.len());
        for at in 0..self.feeds.len() {
            reports.push(self.poll(at).await?);
        }
        Ok(reports)
    }

    /// Looks at feeds as they become due, for ever; `seen` is told of each look. Trouble with Redis and with the disk is waited
    /// out: what can't be remembered there is known to Redis and to this process.
    ///
    /// # Errors
    /// None that another look could mend.
    ///
    /// # Cancel safety
    /// As [`Poller::poll_all`].
    pub async fn run(&mut self, mut seen: impl FnMut(&FeedReport)) -> Result<(), NewsError> {
        loop {
            let Some(at) = (0..self.feeds.len()).min_by_key(|at| self.feeds[*at].due) else { return Ok(()) };
            tokio::time::sleep_until(self.feeds[at].due.into()).await;
            match self.poll(at).await {
                Ok(report) => seen(&report),
                Err(NewsError::Stream(error)) => {
                    tracing::warn!(%error, "news are not published, trying again");
                    self.feeds[at].due = Instant::now() + self.options.every.min(Duration::from_secs(10));
                }
                Err(error @ NewsError::State { .. }) => {
                    let what = Trouble::from(error).what;
                    tracing::warn!(
                        error = what,
                        "what was published is not remembered on disk, trying again"
                    );
                    self.feeds[at].due = Instant::now() + self.options.every;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn poll(&mut self, at: usize) -> Result<FeedReport, NewsError> {
        let feed = &self.feeds[at];
        let mut report = FeedReport { feed: host_of(&feed.address).to_owned(), ..FeedReport::default() };
        let fetched = match tokio::time::timeout(self.options.timeout, self.fetch(feed)).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(trouble)) => return Ok(self.postpone(at, report, trouble)),
            Err(late) => return Ok(self.postpone(at, report, late.into())),
        };
        let mut changed = None;
        if let Fetched::Document { bytes, etag, last_modified } = fetched {
            match read_feed(&bytes, &feed.address) {
                Ok(found) => changed = Some((found, etag, last_modified)),
                Err(error) => return Ok(self.postpone(at, report, error.into())),
            }
        }
        report.unchanged = changed.is_none();
        if let Some((found, etag, last_modified)) = changed {
            report.left_out = found.left_out as u64;
            let entries: Vec<NewEntry> = found
                .items
                .iter()
                .map(item_of)
                .map(|item| NewEntry { identity: item.identity, fields: item.fields })
                .collect();
            self.publish(at, entries, &mut report).await?;
            let feed = &mut self.feeds[at];
            (feed.state.etag, feed.state.last_modified) = (etag, last_modified);
            feed.unsaved = true;
        }
        let feed = &mut self.feeds[at];
        if feed.unsaved {
            // also when nothing changed since it could not be written
            feed.state.write(&path_of(&self.options.folder, &feed.address))?;
            feed.unsaved = false;
        }
        feed.failures = 0;
        feed.due = Instant::now() + self.options.every;
        Ok(report)
    }

    async fn publish(
        &mut self,
        at: usize,
        entries: Vec<NewEntry>,
        report: &mut FeedReport,
    ) -> Result<(), NewsError> {
        let total = entries.len() as u64;
        let state = &mut self.feeds[at].state;
        // the oldest first: feeds begin with the latest
        let fresh: Vec<NewEntry> =
            entries.into_iter().rev().filter(|entry| !state.knows(&entry.identity)).collect();
        let added = self.control.add_new(&self.options.stream, self.clock.now().as_millis(), &fresh).await?;
        report.published = added.iter().filter(|added| **added).count() as u64;
        report.repeats = total - report.published;
        fresh.into_iter().for_each(|entry| state.remember(entry.identity));
        Ok(())
    }

    fn postpone(&mut self, at: usize, mut report: FeedReport, trouble: Trouble) -> FeedReport {
        let feed = &mut self.feeds[at];
        let doubled = self.options.every.saturating_mul(1 << feed.failures.min(10));
        feed.failures += 1;
        let wait = doubled.max(trouble.wait.unwrap_or_default()).min(LONGEST_PAUSE.max(self.options.every));
        feed.due = Instant::now() + wait;
        tracing::warn!(
            feed = report.feed,
            error = trouble.what,
            next_in_s = wait.as_secs(),
            "a feed can't be read"
        );
        report.error = Some(trouble.what);
        report
    }

    async fn ask(&self, url: Url, feed: &Feed) -> Result<Response, Trouble> {
        let mut request = self.client.get(url);
        for (name, value) in
            [(IF_NONE_MATCH, &feed.state.etag), (IF_MODIFIED_SINCE, &feed.state.last_modified)]
        {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        Ok(request.send().await.map_err(reqwest::Error::without_url)?)
    }

    async fn fetch(&self, feed: &Feed) -> Result<Fetched, Trouble> {
        let first = Url::parse(&feed.address)?;
        let mut here = first.clone();
        let mut response = self.ask(here.clone(), feed).await?;
        for _ in 0..REDIRECTS {
            let Some(location) = location_of(&response) else { break };
            here = target(&first, &here, location).await?;
            response = self.ask(here.clone(), feed).await?;
        }
        let header = |response: &Response, name| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::Unchanged);
        }
        if !response.status().is_success() {
            let seconds = header(&response, RETRY_AFTER).and_then(|text| text.parse().ok());
            let what = format!("the server answers {}", response.status());
            return Err(Trouble { what, wait: seconds.map(Duration::from_secs) });
        }
        let (etag, last_modified) = (header(&response, ETAG), header(&response, LAST_MODIFIED));
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            if bytes.len() + chunk.len() > self.options.max_bytes {
                let what = format!("the document is larger than {} bytes", self.options.max_bytes);
                return Err(Trouble { what, wait: None });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Fetched::Document { bytes, etag, last_modified })
    }
}
