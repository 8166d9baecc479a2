use super::*;

/// The example in this module's documentation.
fn example() -> String {
    let source = include_str!("../faults.rs");
    let lines = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim_start);
    lines
        .skip_while(|line| *line != "```toml")
        .skip(1)
        .take_while(|line| *line != "```")
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_documented_example_parses_and_has_every_kind() {
    let script = FaultScript::parse(&example()).unwrap();
    let mut names: Vec<_> = script.faults.iter().map(|fault| fault.kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 14, "{names:?}");
    assert_eq!(script.faults[1].after, After::Open);
    assert_eq!(script.faults[2].duration, Some(Duration::from_secs(8)));
}

#[test]
fn nonsense_is_refused_with_its_reason() {
    for (text, reason) in [
        ("[[fault]]\nkind = 'drop'\nat = 1\nwhen = 2", "unknown field `when`"),
        ("[[faults]]\nkind = 'drop'\nat = 1", "unknown field `faults`"),
        ("[[fault]]\nkind = 'explode'\nat = 1", "no kind of fault"),
        ("[[fault]]\nkind = 'drop'\nat = -1", "0 or more"),
        ("[[fault]]\nkind = 'drop'\nat = 1\nduration = 2", "`duration` means nothing"),
        ("[[fault]]\nkind = 'drop'\nat = 1\ntext = 'x'", "`text` means nothing"),
        ("[[fault]]\nkind = 'refuse'\nat = 1\nstatus = 500", "403 or 429"),
        ("[[fault]]\nkind = 'frozen'\nat = 1", "needs `connection` or `socket`"),
        ("[[fault]]\nkind = 'garbage'\nat = 1\nbytes = 70000", "at most 65535"),
        ("[[fault]]\nkind = 'drop'", "missing field `at`"),
    ] {
        let error = FaultScript::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn a_plan_strikes_in_order_and_only_whom_it_means() {
    let script = FaultScript::parse(
        "[[fault]]\nkind = 'reset'\nat = 3\nafter = 'open'\n\
         [[fault]]\nkind = 'drop'\nat = 1\n\
         [[fault]]\nkind = 'overstated_count'\nat = 4\nconnection = 2\n\
         [[fault]]\nkind = 'stall'\nat = 5\nduration = 2\nsocket = 0",
    )
    .unwrap();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut first = script.plan(start, start, 1, 0);
    assert_eq!(first.next(start), Some(at(1)));
    assert_eq!(first.strike(start), None);
    assert_eq!(
        [first.strike(at(9)), first.strike(at(9)), first.strike(at(9))],
        [Some(FaultKind::Drop), Some(FaultKind::Reset), None]
    );
    assert!(
        !first.ailments(at(4)).stalled && first.ailments(at(5)).stalled && !first.ailments(at(7)).stalled
    );
    assert_eq!(first.next(at(5)), Some(at(7)), "a stall's end is an edge too");
    let mut second = script.plan(start, at(2), 2, 1);
    assert_eq!(second.strike(at(9)), Some(FaultKind::OverstatedCount), "a drop before it opened is over");
    assert_eq!(second.strike(at(9)), Some(FaultKind::Reset));
    assert!(!second.ailments(at(6)).stalled);
}

#[test]
fn a_new_token_outlives_the_old_ones_expiry() {
    let script = FaultScript::parse("[[fault]]\nkind = 'expired_token'\nat = 10").unwrap();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(!script.expired(start, at(1), at(9)));
    assert!(script.expired(start, at(1), at(11)));
    assert!(!script.expired(start, at(12), at(13)));
}
