//! Whose folder it is.

use crate::{options, spawn};
use std::io::{BufRead as _, BufReader};
use tickhouse_embed::testkit::TestRedis;
use tickhouse_legacy_redis::{Import, ImportError, ImportOptions, Rules};

#[tokio::test]
async fn one_process_at_a_time_has_it() {
    let (old, new) = (TestRedis::start().await, TestRedis::start().await);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("follow");
    let mut child = spawn(&old.url(), &new.url(), &place);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains('=')), "the import did not begin");
    let second = Import::new(options(&old.url(), &place));
    assert!(matches!(second, Err(ImportError::Busy { .. })), "{second:?}");
    // beside it others go on
    drop(Import::new(ImportOptions { name: "other".to_owned(), ..options(&old.url(), &place) }).unwrap());
    drop(Import::new(ImportOptions { dry_run: true, ..options(&old.url(), &place) }).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    drop(Import::new(options(&old.url(), &place)).unwrap());
}

#[test]
fn it_belongs_to_one_set_of_rules() {
    let folder = tempfile::tempdir().unwrap();
    let with = |text: &str| {
        let rules = Rules::default().with_toml("mine", text).unwrap();
        Import::new(ImportOptions { rules, ..options("redis://127.0.0.1:1", folder.path()) })
    };
    let text = "[fields]\nlast_price = [\"px\"]\n";
    drop(with(text).unwrap());
    drop(with(&format!("# the same in other words\n\n{text}")).unwrap());
    for other in ["", "[fields]\nlast_price = [\"price2\"]\n"] {
        let refused = with(other);
        assert!(matches!(refused, Err(ImportError::OtherRules { .. })), "{refused:?}");
    }
    let none = Import::new(options("redis://127.0.0.1:1", folder.path()));
    assert!(matches!(none, Err(ImportError::OtherRules { .. })), "{none:?}");
    drop(with(text).unwrap());
}
