//! JSON lines.

use crate::{column, redis};
use std::io::Cursor;
use tickhouse_news::{LinesOptions, LinesReport, Published, digest_of, publish_file, publish_lines};
use tickhouse_stream::Control;
use tickhouse_telemetry::Clock;

fn options(kind: Published) -> LinesOptions {
    let stream = if kind == Published::News { "news:stream" } else { "indices:stream" };
    LinesOptions { kind, stream: stream.to_owned(), dry_run: false, digest: None, longest_stream: 1_000_000 }
}

async fn publish(control: &Control, text: &str, options: &LinesOptions) -> LinesReport {
    let reader = Cursor::new(text.to_owned().into_bytes());
    publish_lines(control, &Clock::system(), reader, options, |_| {}).await.unwrap()
}

#[tokio::test]
async fn bad_lines_are_named_and_the_others_published() {
    let (server, control) = redis().await;
    let long = format!("{{\"title\": \"{}\"}}", "x".repeat(2 << 20));
    let text = format!(
        "{{\"title\": \"one\"}}\n\nnonsense\n{{\"content\": \"no title\"}}\n{long}\n{{\"title\": \"two\"}}"
    );
    let report = publish(&control, &text, &options(Published::News)).await;
    assert_eq!((report.lines, report.published, report.bad), (6, 2, 3));
    let lines: Vec<_> = report.bad_lines.iter().map(|bad| (bad.line, bad.reason.clone())).collect();
    assert_eq!(lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(
        lines[0].1.starts_with("no JSON")
            && lines[1].1.contains("no title")
            && lines[2].1.contains("longer than")
    );
    assert_eq!(column(&server, "news:stream", "title").await, ["one", "two"]);
}

#[tokio::test]
async fn news_is_published_once_however_often_it_comes() {
    let (server, control) = redis().await;
    let lines = |range: std::ops::Range<u32>| -> String {
        range
            .map(|id| format!("{{\"id\": {id}, \"source\": \"s\", \"title\": \"t{id}\"}}\n"))
            .collect::<Vec<_>>()
            .concat()
    };
    let dry = LinesOptions { dry_run: true, ..options(Published::News) };
    assert_eq!(publish(&control, &lines(0..1_200), &dry).await.published, 1_200);
    assert_eq!(column(&server, "news:stream", "id").await.len(), 0);
    let first = publish(&control, &lines(0..1_200), &options(Published::News)).await;
    assert_eq!((first.published, first.repeats), (1_200, 0));
    let second = publish(&control, &lines(600..1_800), &options(Published::News)).await;
    assert_eq!((second.published, second.repeats), (600, 600));
    let ids = column(&server, "news:stream", "id").await;
    assert_eq!(ids, (0..1_800).map(|id| id.to_string()).collect::<Vec<_>>());
}

/// Cut off in the middle, over and over, and begun again: every value once, in order.
#[tokio::test]
async fn a_file_of_index_values_goes_on_where_it_was_cut_off() {
    let (server, control) = redis().await;
    let text: String = (0..20_000)
        .map(|n| format!("{{\"symbol\": \"NIFTY\", \"last_price\": {n}}}\n"))
        .collect::<Vec<_>>()
        .concat();
    let digest = digest_of(text.as_bytes()).unwrap();
    let options = LinesOptions { digest: Some(digest), ..options(Published::Indices) };
    for attempt in 1..8_u64 {
        let publishing = publish(&control, &text, &options);
        drop(tokio::time::timeout(std::time::Duration::from_millis(attempt * 9), publishing).await);
    }
    let report = publish(&control, &text, &options).await;
    assert_eq!(report.lines, 20_000);
    let values = column(&server, "indices:stream", "last_price").await;
    assert_eq!(values, (0..20_000).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(publish(&control, &text, &options).await.published, 0);
}

/// A file of index values is published wholly or not at all: mended, it is another file, and its good lines would come twice.
#[tokio::test]
async fn a_file_of_index_values_with_a_bad_line_is_published_once_it_is_mended() {
    let (server, control) = redis().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("indices.jsonl");
    let line = |n: u32| format!("{{\"symbol\": \"NIFTY\", \"last_price\": {n}}}\n");
    // the bad one is far behind the first batch
    let lines = |last: &str| (0..1_200).map(line).chain([last.to_owned()]).collect::<Vec<_>>().concat();
    let publish = async || {
        let file = std::fs::File::open(&path).unwrap();
        publish_file(&control, &Clock::system(), file, &options(Published::Indices), |_| {}).await.unwrap()
    };
    std::fs::write(&path, lines("{\"symbol\": \"NIFTY\"}\n")).unwrap();
    let refused = publish().await;
    assert_eq!((refused.lines, refused.published, refused.bad), (1_201, 0, 1));
    assert_eq!(refused.bad_lines[0].line, 1_201);
    std::fs::write(&path, lines(&line(1_200))).unwrap();
    assert_eq!(publish().await.published, 1_201);
    assert_eq!(publish().await.published, 0);
    let values = column(&server, "indices:stream", "last_price").await;
    assert_eq!(values, (0..=1_200).map(|n| n.to_string()).collect::<Vec<_>>());
}
