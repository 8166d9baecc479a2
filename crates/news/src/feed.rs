//! A feed's document to news items.
//!
//! The parser expands no entities but XML's own five and fetches nothing, so a document costs no more than its bytes.

use feed_rs::model::Entry;
use reqwest::Url;
use tickhouse_model::Timestamp;
use tickhouse_stream::FlatNews;

/// Items of one document; a feed has some fifty.
const ITEMS: usize = 2_000;
/// Bytes of an item's text that are kept.
const CONTENT_BYTES: usize = 64 << 10;
/// Bytes of any other text of an item.
const TEXT_BYTES: usize = 4 << 10;

/// Why a document is no feed.
#[derive(Debug, thiserror::Error)]
#[error("no RSS, Atom or JSON feed: {0}")]
pub struct FeedError(String);

/// What a document holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeedItems {
    /// Items with a title, in the order of the document.
    pub items: Vec<FlatNews>,
    /// Items without one, or beyond the first 2,000.
    pub left_out: usize,
}

/// Reads a document that was fetched from `address`. `published_at` is none where an item gives no time.
///
/// # Errors
/// When it is no feed.
pub fn read_feed(document: &[u8], address: &str) -> Result<FeedItems, FeedError> {
    let base = base_of(address).ok_or_else(|| FeedError("its address can't be read".to_owned()))?;
    // with an address of its own an item without link and id is told by its title, not by a random number
    let parser = feed_rs::parser::Builder::new().base_uri(Some(base)).build();
    let feed = parser.parse(document).map_err(|error| FeedError(error.to_string()))?;
    let title = feed.title.map(|title| one_line(&title.content)).filter(|title| !title.is_empty());
    let source = title.unwrap_or_else(|| host_of(address).to_owned());
    let total = feed.entries.len();
    let items: Vec<_> =
        feed.entries.into_iter().take(ITEMS).filter_map(|entry| item_of(entry, &source)).collect();
    Ok(FeedItems { left_out: total - items.len(), items })
}

fn item_of(entry: Entry, source: &str) -> Option<FlatNews> {
    let title = one_line(&entry.title?.content);
    if title.is_empty() {
        return None;
    }
    let text =
        entry.content.and_then(|content| content.body).or(entry.summary.map(|summary| summary.content));
    let at = entry.published.or(entry.updated);
    Some(FlatNews {
        id: cut(entry.id, TEXT_BYTES),
        source: source.to_owned(),
        title,
        content: cut(text.unwrap_or_default(), CONTENT_BYTES),
        link: cut(entry.links.into_iter().next().map(|link| link.href).unwrap_or_default(), TEXT_BYTES),
        published_at: at.map_or(Timestamp::NONE, |at| Timestamp::from_millis(at.timestamp_millis())),
        categories: entry
            .categories
            .into_iter()
            .take(50)
            .map(|category| cut(category.term, TEXT_BYTES))
            .collect(),
        ..FlatNews::default()
    })
}

/// What links of a feed's items are relative to: its address without what only its reader may know.
fn base_of(address: &str) -> Option<Url> {
    let mut base = Url::parse(address).ok()?;
    base.set_username("").ok()?;
    base.set_password(None).ok()?;
    base.set_query(None);
    base.set_fragment(None);
    Some(base)
}

/// Words with one blank between them.
fn one_line(text: &str) -> String {
    cut(text.split_whitespace().collect::<Vec<_>>().join(" "), TEXT_BYTES)
}

fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// Host of an address, for logs: a query may hold a key.
pub(crate) fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RSS: &str = r#"<?xml version="1.0"?><rss version="2.0"><channel><title>The  Wire</title>
        <item><title>Infosys &amp; TCS rise</title><link>https://example.com/1</link><guid>g-1</guid>
          <description><![CDATA[<p>Text</p>]]></description><category>Markets</category>
          <pubDate>Fri, 20 Nov 2026 10:15:00 +0530</pubDate></item>
        <item><title>  </title><guid>g-2</guid></item>
        <item><title>No link, no id, no time</title></item>
        </channel></rss>"#;

    #[test]
    fn rss_items_become_news() {
        let found = read_feed(RSS.as_bytes(), "https://user:key@example.com/feed?k=1").unwrap();
        let expected = FlatNews {
            id: "g-1".into(),
            source: "The Wire".into(),
            title: "Infosys & TCS rise".into(),
            content: "<p>Text</p>".into(),
            link: "https://example.com/1".into(),
            published_at: Timestamp::from_millis(1_795_149_900_000),
            categories: vec!["Markets".into()],
            ..FlatNews::default()
        };
        assert_eq!((found.items.len(), found.left_out), (2, 1));
        assert_eq!(found.items[0], expected);
        // the same again, however often it is read
        assert_eq!(read_feed(RSS.as_bytes(), "https://user:key@example.com/feed?k=1").unwrap(), found);
        assert_eq!(host_of("https://user:key@example.com:80/feed?k=1"), "example.com:80");
    }

    #[test]
    fn links_never_hold_what_the_address_of_the_feed_does() {
        let rss = |link: &str| {
            format!(
                "<rss version=\"2.0\"><channel><title>t</title>\
                 <item><title>T</title><link>{link}</link></item></channel></rss>"
            )
        };
        let atom = |link: &str| {
            format!(
                "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>A</title><id>f</id>\
                 <entry><id>e</id><title>T</title><link href=\"{link}\"/></entry></feed>"
            )
        };
        for link in ["/1", "1", "", "#", "?page=2", "//example.com/1"] {
            for document in [rss(link), atom(link)] {
                let address = "https://user:s3cret@example.com/feed?k=s3cret#s3cret";
                let found = read_feed(document.as_bytes(), address).unwrap();
                assert_eq!(found.items.len(), 1);
                let shown = format!("{found:?}");
                assert!(!shown.contains("s3cret") && !shown.contains("user"), "{link}: {shown}");
            }
        }
        let found = read_feed(atom("/1").as_bytes(), "https://user:key@example.com/feed?k=1").unwrap();
        assert_eq!(found.items[0].link, "https://example.com/1");
        assert!(read_feed(atom("/1").as_bytes(), "mailto:a@example.com").is_err());
    }

    #[test]
    fn atom_and_json_feeds_become_news() {
        let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><id>f</id><updated>2026-11-20T04:45:00Z</updated>
            <entry><id>e1</id><title type="html">M&amp;amp;M</title><updated>2026-11-20T04:45:00Z</updated>
            <link href="https://example.com/a"/><summary>S</summary></entry></feed>"#;
        let found = read_feed(atom.as_bytes(), "http://127.0.0.1/a").unwrap().items;
        assert_eq!((found[0].id.as_str(), found[0].content.as_str()), ("e1", "S"));
        assert_eq!(found[0].published_at, Timestamp::from_millis(1_795_149_900_000));
        let json = r#"{"version": "https://jsonfeed.org/version/1.1", "title": "J", "items": [{"id": "j1", "title": "T", "url": "https://example.com/j"}]}"#;
        assert_eq!(read_feed(json.as_bytes(), "http://127.0.0.1/j").unwrap().items[0].id, "j1");
    }

    #[test]
    fn hostile_documents_cost_no_more_than_their_bytes() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let entity = |pair: &[&str]| {
            let tenfold = format!("&{};", pair[0]).repeat(10);
            format!("<!ENTITY {} \"{tenfold}\">", pair[1])
        };
        let entities: Vec<String> = names.windows(2).map(entity).collect();
        let laughs = format!(
            "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY a \"lol\">{}]><rss version=\"2.0\"><channel><title>t</title>\
             <item><title>&i;</title></item></channel></rss>",
            entities.concat()
        );
        if let Ok(found) = read_feed(laughs.as_bytes(), "http://127.0.0.1/") {
            assert!(found.items.iter().all(|item| item.title.len() < 100), "{found:?}");
        }
        let file = "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\
                    <rss version=\"2.0\"><channel><title>t</title><item><title>a&x;b</title></item></channel></rss>";
        if let Ok(found) = read_feed(file.as_bytes(), "http://127.0.0.1/") {
            assert!(found.items.iter().all(|item| !item.title.contains("root")), "{found:?}");
        }
        let deep = format!("<rss version=\"2.0\"><channel>{}", "<a>".repeat(200_000));
        drop(read_feed(deep.as_bytes(), "http://127.0.0.1/"));
        let large = format!(
            "<rss version=\"2.0\"><channel><title>t</title><item><title>{}</title></item></channel></rss>",
            "x".repeat(1 << 20)
        );
        assert_eq!(
            read_feed(large.as_bytes(), "http://127.0.0.1/").unwrap().items[0].title.len(),
            TEXT_BYTES
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_feed_or_an_error(document in prop::collection::vec(any::<u8>(), 0..200), at in 0..RSS.len()) {
            drop(read_feed(&document, "http://127.0.0.1/"));
            let mut damaged = RSS.as_bytes().to_vec();
            damaged.splice(at..at, document);
            drop(read_feed(&damaged, "http://127.0.0.1/"));
        }
    }
}
