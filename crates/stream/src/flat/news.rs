//! A news item: the brief's columns of `news_data`.

use super::FlatError;
use super::value::Value;
use tickhouse_model::Timestamp;

/// A news item as an entry of `news:stream` has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlatNews {
    /// The publisher's name of the item; empty when the entry has none, see [`FlatNews::identity`].
    pub id: String,
    /// Who published it.
    pub source: String,
    /// The headline. The only field that must be there.
    pub title: String,
    /// Text or summary.
    pub content: String,
    /// Where to read on; the field may be called `url` too.
    pub link: String,
    /// [`Timestamp::NONE`] when the entry has none: take the entry id's time. The field may be called `timestamp` too.
    pub published_at: Timestamp,
    /// Trading symbols that it is about; empty when nobody said.
    pub symbols: Vec<String>,
    /// -1 to +1, 0 for neutral or not judged.
    pub sentiment: f32,
    /// 0 to 1, 0 for not judged.
    pub sentiment_confidence: f32,
    /// Rubrics.
    pub categories: Vec<String>,
}

impl FlatNews {
    /// Reads an entry's fields. Of a field that comes twice the last one counts; fields that no column takes are passed over.
    ///
    /// # Errors
    /// When there is no title, or a value does not fit its column; the first such field is named.
    pub fn from_fields<F: AsRef<[u8]>, V: AsRef<[u8]>>(
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<Self, FlatError> {
        let mut news = Self::default();
        for (field, value) in fields {
            let (field, value) = (field.as_ref(), Value { field: field.as_ref(), bytes: value.as_ref() });
            match field {
                b"id" => news.id = value.text()?,
                b"source" => news.source = value.text()?,
                b"title" => news.title = value.text()?,
                b"content" => news.content = value.text()?,
                b"link" | b"url" => news.link = value.text()?,
                b"published_at" | b"timestamp" => news.published_at = value.time()?,
                b"symbols" => news.symbols = value.list()?,
                b"categories" => news.categories = value.list()?,
                b"sentiment" => {
                    news.sentiment = value.float_within(-1.0..=1.0, "number from -1 to 1")? as f32;
                }
                b"sentiment_confidence" => {
                    news.sentiment_confidence = value.float_within(0.0..=1.0, "number from 0 to 1")? as f32;
                }
                _ => {}
            }
        }
        if news.title.trim().is_empty() {
            return Err(FlatError::Missing { fields: "title" });
        }
        Ok(news)
    }

    /// What tells the item from others: its id, else its link, else its title and time.
    pub fn identity(&self) -> String {
        match (self.id.is_empty(), self.link.is_empty()) {
            (false, _) => self.id.clone(),
            (true, false) => self.link.clone(),
            (true, true) => format!("{}@{}", self.title, self.published_at.as_millis()),
        }
    }

    /// The fields of an entry that reads back as this item.
    pub fn to_fields(&self) -> Vec<(&'static str, String)> {
        let list = |items: &[String]| serde_json::to_string(items).unwrap_or_default();
        vec![
            ("id", self.id.clone()),
            ("source", self.source.clone()),
            ("title", self.title.clone()),
            ("content", self.content.clone()),
            ("link", self.link.clone()),
            ("published_at", super::write::time_text(self.published_at)),
            ("symbols", list(&self.symbols)),
            ("sentiment", self.sentiment.to_string()),
            ("sentiment_confidence", self.sentiment_confidence.to_string()),
            ("categories", list(&self.categories)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(fields: &[(&str, &str)]) -> Result<FlatNews, FlatError> {
        FlatNews::from_fields(fields.iter().copied())
    }

    #[test]
    fn lists_come_in_several_forms() {
        for text in [
            r#"["INFY","M&M"]"#,
            "['INFY', 'M&M']",
            "INFY,M&M",
            " INFY , M&M ,",
            "('INFY', \"M&M\",)",
            "[INFY, M&M]",
        ] {
            let news = read(&[("title", "t"), ("symbols", text)]).unwrap();
            assert_eq!(news.symbols, ["INFY", "M&M"], "{text}");
        }
        for text in ["", "[]", "None", "()", "nan"] {
            assert_eq!(
                read(&[("title", "t"), ("symbols", text)]).unwrap().symbols,
                Vec::<String>::new(),
                "{text}"
            );
        }
        for text in ["[", "['INFY'", "['INFY' 'TCS']", "['a', ['b']]", "{\"a\": 1, 'b'"] {
            assert!(read(&[("title", "t"), ("symbols", text)]).is_err(), "{text}");
        }
    }

    #[test]
    fn times_of_feeds_and_of_python() {
        let expected = Timestamp::from_millis(1_795_149_900_000);
        for text in [
            "2026-11-20T10:15:00",
            "2026-11-20 10:15:00",
            "2026-11-20T04:45:00Z",
            "2026-11-20T10:15:00+05:30",
            "Fri, 20 Nov 2026 10:15:00 +0530",
            "Fri, 20 Nov 2026 04:45:00 GMT",
            "1795149900",
            "1795149900000",
            "1795149900.0",
        ] {
            assert_eq!(
                read(&[("title", "t"), ("published_at", text)]).unwrap().published_at,
                expected,
                "{text}"
            );
        }
        assert!(read(&[("title", "t"), ("published_at", "Friday")]).is_err());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let text = |fields: &[(&str, &str)]| read(fields).unwrap_err().to_string();
        assert_eq!(text(&[("content", "x")]), "the entry has no title");
        assert_eq!(text(&[("title", "  ")]), "the entry has no title");
        assert!(text(&[("title", "t"), ("sentiment", "1.5")]).contains("from -1 to 1"));
        assert!(text(&[("title", "t"), ("sentiment", "good")]).contains("`good`"));
        assert!(text(&[("title", "t"), ("sentiment_confidence", "85")]).contains("from 0 to 1"));
        assert_eq!(read(&[("title", "t"), ("sentiment", "nan")]).unwrap().sentiment.to_bits(), 0);
    }

    proptest! {
        #[test]
        fn an_item_reads_back_as_it_was(
            title in "[^ ].{0,30}", words in prop::collection::vec("[A-Z&'\"\\\\-]{1,8}", 0..4), at in 1_000_000_000_i64..4_000_000_000,
            sentiment in -1.0_f32..=1.0,
        ) {
            prop_assume!(!title.trim().is_empty() && !["None", "nan", "NaN", "null", "NaT"].contains(&title.trim()));
            let news = FlatNews {
                title, symbols: words.clone(), categories: words, sentiment,
                published_at: Timestamp::from_nanos(at * 1_000_000_000), ..FlatNews::default()
            };
            prop_assert_eq!(FlatNews::from_fields(news.to_fields()), Ok(news));
        }

        #[test]
        fn any_bytes_are_an_item_or_an_error(value in prop::collection::vec(any::<u8>(), 0..40), field in 0..10_usize) {
            let name = ["id", "title", "symbols", "categories", "sentiment", "published_at", "link", "sentiment_confidence", "content", "x"][field];
            drop(FlatNews::from_fields([(name.as_bytes(), &value[..]), (b"title", b"t")]));
        }
    }
}
