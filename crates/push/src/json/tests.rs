//! Texts of strangers.

use crate::{Format, MOST_TICKS, read};
use proptest::prelude::*;

const LTP: &str = r#"{"instrument_token":408065,"mode":"ltp","last_price":1573.7}"#;

fn error(text: &str, format: Format) -> String {
    match read(text.as_bytes(), format) {
        Err(error) => error.to_string(),
        Ok(ticks) => panic!("{text}: {} ticks", ticks.len()),
    }
}

#[test]
fn faults_are_told_with_their_path_line_and_column() {
    let tick =
        |middle: &str| format!(r#"[{LTP},{{"instrument_token":1,"mode":"full","last_price":1{middle}}}]"#);
    for (middle, expected) in [
        (r#","volume":1,"volume_traded":2"#, "[1]: duplicate field `volume_traded` (line 1"),
        (r#","last_price":2"#, "[1]: duplicate field `last_price`"),
        (r#","symbol":"INFY""#, "[1].symbol: unknown field `symbol`"),
        (r#","oi":"7""#, r#"[1].oi: invalid type: string "7", expected a whole number"#),
        (r#","oi":7.5"#, "[1].oi: invalid value: floating point `7.5`, expected a whole number"),
        (r#","oi":true"#, "[1].oi: invalid type: boolean `true`"),
        (r#","oi":18446744073709551615"#, "[1].oi: invalid value: integer `18446744073709551615`"),
        (r#","change":NaN"#, "[1].change: expected"),
        (r#","change":1e999"#, "[1].change: number out of range"),
        (
            r#","depth":{"buy":[],"sell":[{"quantity":1,"price":"x","orders":1}]}"#,
            "[1].depth.sell[0].price: invalid type",
        ),
        (r#","depth":{"buy":[]}"#, "[1].depth: missing field `sell`"),
        (r#","ohlc":[1,2,3,4]"#, "[1].ohlc: invalid type: sequence, expected an object"),
        (
            r#","depth":{"buy":[[1,2,3]],"sell":[]}"#,
            "[1].depth.buy[0]: invalid type: sequence, expected an object",
        ),
        (
            r#","exchange_timestamp":"today""#,
            r#"[1].exchange_timestamp: invalid value: string "today", expected a time"#,
        ),
        (r#","exchange_timestamp":"2026-11-20""#, "[1].exchange_timestamp: invalid value"),
        (r#","exchange_timestamp":"2026-11-20T09:15:01.5""#, "this has a fraction"),
        (r#","exchange_timestamp":1795146301001"#, "this has milliseconds"),
        (r#","exchange_timestamp":-1"#, "[1].exchange_timestamp: invalid value: integer `-1`"),
        (r#","timestamp":{"a":1}"#, "[1].timestamp: invalid type: map"),
    ] {
        let found = error(&tick(middle), Format::Json);
        assert!(found.contains(expected), "{found}\n{expected}");
    }
    let six = format!(
        r#","depth":{{"buy":[{}],"sell":[]}}"#,
        [r#"{"quantity":1,"price":1,"orders":1}"#; 6].join(",")
    );
    assert!(error(&tick(&six), Format::Json).contains("at most 5 levels"));
    for text in [
        "",
        "5",
        "null",
        "\"x\"",
        "[1]",
        "[null]",
        "[[]]",
        r#"[[1,"ltp",null,1]]"#,
        "{}",
        "[",
        "{\"mode\":",
        "\u{feff}[]",
    ] {
        assert!(!error(text, Format::Json).is_empty());
    }
    assert!(
        error(r#"{"instrument_token":1,"mode":"depth","last_price":1}"#, Format::Json)
            .contains("[0].mode: unknown variant")
    );
}

#[test]
fn lines_are_counted_and_ticks_go_on() {
    let text = format!("{LTP}\r\n\n[{LTP},{LTP}]\n{LTP}");
    assert_eq!(read(text.as_bytes(), Format::Lines).unwrap().len(), 4);
    let found = error(&format!("{text}\n[{LTP},{{\"mode\":1}}]\n"), Format::Lines);
    assert!(found.starts_with("[5].mode: ") && found.contains("(line 5, column "), "{found}");
    let found = error(&format!("{LTP}\n{LTP}{LTP}"), Format::Lines);
    assert!(found.contains("trailing characters") && found.contains("line 2"), "{found}");
    assert!(error(&format!("{LTP}\n{LTP}"), Format::Json).contains("line 2"));
}

#[test]
fn depth_and_length_have_limits() {
    for open in ["[", "{\"depth\":", "{\"depth\":{\"buy\":[", "{\"change\":["] {
        assert!(error(&open.repeat(200_000), Format::Json).len() < 1_000);
    }
    let most = vec![LTP; MOST_TICKS].join(",");
    assert_eq!(read(format!("[{most}]").as_bytes(), Format::Json).unwrap().len(), MOST_TICKS);
    assert!(error(&format!("[{most},{LTP}]"), Format::Json).contains("at most 5000 ticks"));
    assert!(error(&format!("{LTP}\n[{most}]"), Format::Lines).contains("at most 5000 ticks"));
    let long = format!(r#"{{"{}":1}}"#, "k".repeat(1_000_000));
    assert!(error(&long, Format::Json).len() < 1_000);
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in [Format::Json, Format::Lines] {
            if let Err(error) = read(&bytes, format) {
                prop_assert!(error.line >= 1 && !error.reason.is_empty());
            }
        }
    }

    #[test]
    fn any_piece_of_json_never_panics(text in r#"(\{"|\}|\[|\]|:|,|"mode"|"ltp"|"depth"|"buy"|"ohlc"|"oi"|-?[0-9]{1,3}|1e9|null|true|\n){0,60}"#) {
        for format in [Format::Json, Format::Lines] {
            drop(read(text.as_bytes(), format));
        }
    }
}
