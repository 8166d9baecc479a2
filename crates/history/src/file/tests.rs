use super::*;
use crate::HistoryError;
use proptest::prelude::*;
use std::io::Write as _;

/// Name, interval, time, close, volume, open interest.
type Row = (String, Interval, String, f64, u64, u64);

#[derive(Default)]
struct Rows {
    names: Vec<Name>,
    stored: Vec<Row>,
    faults: Vec<String>,
}

impl Sink for Rows {
    fn name(&mut self, name: &Name) -> u32 {
        self.names.push(name.clone());
        self.names.len() as u32 - 1
    }

    fn candle(&mut self, candle: FileCandle) -> bool {
        self.stored.push((
            self.names[candle.name as usize].to_string(),
            candle.interval,
            candle.timestamp.to_string()[..16].to_owned(),
            candle.close,
            candle.volume,
            candle.open_interest,
        ));
        true
    }

    fn empty(&mut self) {}

    fn fault(&mut self, fault: crate::Fault) -> bool {
        self.faults.push(fault.to_string());
        true
    }
}

/// What a file holds, as both passes over it see it.
fn read(
    text: &str,
    interval: Option<Interval>,
    instrument: Option<&str>,
) -> (Result<Survey, HistoryError>, Rows) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let options =
        SurveyOptions { path: file.path().to_owned(), interval, instrument: instrument.map(Name::of_text) };
    let survey = survey(options, &Pass::default());
    let mut rows = Rows::default();
    if let Ok(survey) = &survey {
        let _ended = Walk::new(text.as_bytes(), &mut rows, survey.walk_options()).run();
        assert_eq!(survey.counts.candles, rows.stored.len() as u64);
        assert_eq!(survey.counts.faults, rows.faults.len() as u64);
    }
    (survey, rows)
}

fn row(name: &str, time: &str, close: f64, volume: u64, open_interest: u64) -> Row {
    (name.to_owned(), Interval::Minute, time.to_owned(), close, volume, open_interest)
}

const A: &str = r#"["2026-11-19T09:15:00+0530", 1, 3, 0.5, 2, 10]"#;
const A_TIME: &str = "2026-11-19T09:15";

#[test]
fn forms() {
    let minute = Some(Interval::Minute);
    let with_oi = r#"["2026-11-19 09:15:00", 1, 3, 0.5, 2, 10, 7]"#;
    let object = r#""date": "2026-11-19 09:15:00+05:30", "open": 1, "high": 3, "low": 0.5, "close": 2.0, "volume": 10.0"#;
    for (text, name, open_interest) in [
        (format!(r#"{{"408065": [{A}]}}"#), "408065", 0),
        (format!(r#"{{"NSE:INFY": [{with_oi}]}}"#), "NSE:INFY", 7),
        (format!(r#"{{"NSE": {{"INFY": {{"minute": [{A}]}}}}}}"#), "NSE:INFY", 0),
        (
            format!(
                r#"{{"metadata": {{"interval": "minute", "total": 1, "symbols": ["INFY"]}}, "data": {{"INFY": {{"candles": [{A}]}}}}}}"#
            ),
            "INFY",
            0,
        ),
        (
            format!(r#"{{"status": "success", "data": {{"candles": [{A}]}}, "instrument_token": 408065}}"#),
            "408065",
            0,
        ),
        (
            format!(
                r#"[{{"tradingsymbol": "INFY", "exchange": "NSE", "interval": "1min", "data": [{{{object}}}]}}]"#
            ),
            "NSE:INFY",
            0,
        ),
        (format!(r#"[{{{object}, "oi": 7, "symbol": "NIFTY 50"}}]"#), "NIFTY 50", 7),
        (
            format!(
                r#"{{"commodities": [{{"symbol": "GOLD", "tradingsymbol": "GOLD26DECFUT", {object}, "oi": NaN}}]}}"#
            ),
            "GOLD26DECFUT",
            0,
        ),
        (
            format!(
                r#"{{"instrument_token": "408065", "symbol": "INFY", "historical_data": [{{{object}}}]}}"#
            ),
            "408065",
            0,
        ),
        (r#"{"5": [[1795059900, 1, 3, 0.5, 2, 10]], "x": []}"#.to_owned(), "5", 0),
        (r#"{"5": [[1795059900000, "1", "3", "0.5", "2", null]]}"#.to_owned().replace("null", "10"), "5", 0),
    ] {
        let (survey, rows) = read(&text, minute, None);
        assert_eq!(rows.faults, [""; 0], "{text}");
        assert_eq!(rows.stored, [row(name, A_TIME, 2.0, 10, open_interest)], "{text}");
        assert_eq!(survey.unwrap().intervals, [Interval::Minute]);
    }
    let kite = format!(r#"{{"status": "success", "data": {{"candles": [{A}]}}}}"#);
    assert_eq!(read(&kite, minute, Some("NSE:INFY")).1.stored, [row("NSE:INFY", A_TIME, 2.0, 10, 0)]);
}

#[test]
fn what_stands_behind_the_candles_counts_too() {
    let text = format!(
        r#"[{{"candles": [{A}], "symbol": "X", "interval": "day"}}, {{"candles": [{A}], "symbol": "Y"}}]"#
    );
    let (_, rows) = read(&text, Some(Interval::Minute), None);
    let names: Vec<_> = rows.stored.iter().map(|row| (row.0.as_str(), row.1)).collect();
    assert_eq!(names, [("X", Interval::Day), ("Y", Interval::Minute)]);
}

#[test]
fn what_is_not_read_is_told_with_its_place() {
    for (candle, problem) in [
        (
            r#"["yesterday",1,3,0.5,2,10]"#,
            "$.X[1][0] (line 2, byte 57): `yesterday` is no time: write 2026-11-20T09:15:00+05:30",
        ),
        (r#"["2026-11-19",1,3,0.5,"two",10]"#, "$.X[1][4] (line 2, byte 78): close: `two` is no number"),
        (r#"["2026-11-19",1,NaN,0.5,2,10]"#, "$.X[1] (line 2, byte 85): a candle with nothing as its high"),
        (r#"["2026-11-19",1,3]"#, "$.X[1] (line 2, byte 74): a candle without its low"),
        (r#"["2026-11-19",1,3,4,2,10]"#, "$.X[1] (line 2, byte 81): its high 3 is below its low 4"),
        (r#"["2026-11-19",1,3,0.5,2,10.5]"#, "$.X[1] (line 2, byte 85): volume: 10.5 is no count"),
        (
            r#"["2026-11-19",1,3,0.5,2,10,0,"x",1]"#,
            "$.X[1][7] (line 2, byte 85): a candle has a time, four prices, a volume and perhaps open interest, no more",
        ),
        (
            r#"{"date": "2026-11-19", "open": 1, "high": 3, "low": 1}"#,
            "$.X[1] (line 2, byte 110): a candle without its close",
        ),
        // no JSON any more, but the next candle is found
        (
            r#"["2026-11-19",1,3,0.5,2x,10]"#,
            "$.X[1][4] (line 2, byte 79): `x` where a comma or `]` should be",
        ),
        (r#"["2026-11-19",1,,0.5,2,10]"#, "$.X[1][2] (line 2, byte 72): `,` where a value should be"),
        (
            r#"["2026-11-19",1,3,0.5,2,10"#,
            "$.X[1][6] (line 3, byte 85): a candle holds texts and numbers only: is a bracket missing?",
        ),
        (
            r#"{"date": "2026-11-19", "open": 1-, "high": 3}"#,
            "$.X[1].open (line 2, byte 87): `1-` is no number",
        ),
        ("garbage 5", "$.X[1] (line 2, byte 56): a value between candles"),
    ] {
        let text = format!("{{\"X\": [{A},\n {candle},\n {A}], \"Y\": [{A}]}}");
        let (survey, rows) = read(&text, Some(Interval::Minute), None);
        let kept: Vec<_> = rows.stored.iter().map(|row| row.0.as_str()).collect();
        assert_eq!(kept, ["X", "X", "Y"], "{candle} {:?}", rows.faults);
        assert_eq!(rows.faults, [problem], "{candle}");
        assert_eq!(survey.unwrap().counts.unread_bytes, 0);
    }
}

#[test]
fn what_can_belong_to_anybody_is_not_read() {
    let minute = Some(Interval::Minute);
    for text in [
        // the end of X's array is broken: Y's candles must not become X's
        format!(r#"{{"X": [{A}#, "Y": [{A}]}}"#),
        format!(r#"{{"X": [{A}], Y": [{A}]}}"#),
        format!(r#"{{"X": [{A}], "Y" [{A}]}}"#),
        format!(r#"{{"X": [{A}], "Y": [["2026-"#),
    ] {
        let (survey, rows) = read(&text, minute, None);
        assert_eq!(rows.stored, [row("X", A_TIME, 2.0, 10, 0)], "{text}");
        let counts = survey.unwrap().counts;
        assert!(counts.faults >= 1 && counts.unread_bytes < text.len() as u64, "{text}: {counts:?}");
    }
    let problem = |text: &str, interval| read(text, interval, None).1.faults.join("; ");
    let nobody = format!("[{A}]");
    assert!(problem(&nobody, minute).contains("a candle of no instrument"));
    let no_interval = format!(r#"{{"X": [{A}]}}"#);
    assert!(problem(&no_interval, None).contains("say it with --interval"));
    let strange = format!(r#"{{"X": {{"interval": "2minute", "candles": [{A}]}}}}"#);
    assert!(problem(&strange, minute).contains("`2minute` is no interval"));
    assert!(matches!(read("{\"a\": 1}", minute, None).0, Err(HistoryError::NoCandles { .. })));
}

#[test]
fn an_instrument_of_the_user_is_only_for_candles_without_one() {
    let minute = Some(Interval::Minute);
    let candle = |time: &str, more: &str| {
        format!(r#"{{"date": "2026-11-19T{time}", "open": 1, "high": 3, "low": 0.5, "close": 2{more}}}"#)
    };
    let (with_symbol, without) = (candle("09:15", r#", "symbol": "TCS""#), candle("09:16", ""));
    let told = |text: &str| -> Vec<String> {
        let (_, rows) = read(text, minute, Some("408065"));
        assert_eq!(rows.faults, [""; 0], "{text}");
        rows.stored.into_iter().map(|row| row.0).collect()
    };
    assert_eq!(told(&format!("[{with_symbol}, {without}]")), ["TCS", "408065"]);
    assert_eq!(told(&format!(r#"{{"candles": [{A}], "symbol": "TCS"}}"#)), ["TCS"]);
    // a token of the file's counts more than a symbol beside or within it
    assert_eq!(
        told(&format!(r#"{{"7": [{with_symbol}], "token": 8, "symbol": "X", "bars": [{A}]}}"#)),
        ["7", "8"]
    );
    assert_eq!(told(&format!("[{}]", candle("09:15", r#", "symbol": "TCS", "token": 9"#))), ["9"]);
}

#[test]
fn a_wrong_token_does_not_give_way_to_another() {
    let minute = Some(Interval::Minute);
    let date = r#""date": "2026-11-19T09:20", "open": 1, "high": 3, "low": 0.5, "close": 2"#;
    for token in ["\"abc\"", "1.5", "-1", "99999999999"] {
        let text = format!(
            r#"{{"X": [{{"instrument_token": {token}, {date}}}, {{{date}, "token": {token}}}, {A}]}}"#
        );
        let (survey, rows) = read(&text, minute, Some("408065"));
        assert_eq!(rows.stored, [row("X", A_TIME, 2.0, 10, 0)], "{text}");
        assert_eq!(survey.unwrap().counts.faults, 2, "{text}: {:?}", rows.faults);
        assert!(
            rows.faults.iter().all(|fault| fault.contains("is no instrument token")),
            "{:?}",
            rows.faults
        );

        for text in [
            format!(r#"{{"X": {{"instrument_token": {token}, "candles": [{A}]}}, "Y": [{A}]}}"#),
            format!(r#"{{"X": {{"candles": [{A}], "instrument_token": {token}}}, "Y": [{A}]}}"#),
        ] {
            let (_, rows) = read(&text, minute, None);
            assert_eq!(rows.stored, [row("Y", A_TIME, 2.0, 10, 0)], "{text}");
            let faults = rows.faults.join("; ");
            assert!(
                faults.contains("is no instrument token") && faults.contains("of no instrument"),
                "{faults}"
            );
        }
    }
}

#[test]
fn a_fault_does_not_quote_a_megabyte() {
    let long = "9".repeat(900_000);
    for text in [
        format!(r#"{{"X": [{A}, ["2026-11-19",1,3,0.5,{long}-,10]]}}"#),
        format!(r#"{{"X": [{A}, {{"token": "{long}", "date": "2026-11-19", "open": 1}}]}}"#),
        format!(r#"{{"X": [{A}], "Y": {{"interval": "{long}", "candles": [{A}]}}}}"#),
        format!(r#"{{"X": [{A}], "N:{long}": [5, {A}]}}"#),
    ] {
        let (_, rows) = read(&text, Some(Interval::Minute), None);
        assert!(!rows.faults.is_empty(), "{}", &text[..80]);
        for fault in rows.faults {
            assert!(fault.len() < 500, "{} bytes: {}", fault.len(), &fault[..500]);
        }
    }
}

#[test]
fn a_minute_without_a_trade_is_no_fault() {
    let text = format!(r#"{{"X": [["2026-11-19",NaN,null,NaN,None,0], {A}]}}"#);
    let (survey, rows) = read(&text, Some(Interval::Minute), None);
    let counts = survey.unwrap().counts;
    assert_eq!((counts.empty, counts.candles, counts.faults, rows.stored.len()), (1, 1, 0, 1));
}

proptest! {
    /// Breaking one byte of a file costs what is near it: all other candles are read as they are, under their own names.
    #[test]
    fn a_broken_byte_never_gives_a_candle_another_name(at in 0.0..1.0_f64, byte: u8, objects: bool) {
        let candle = |name: usize, minute: usize| {
            let close = (name * 100 + minute) as f64;
            let time = format!("2026-11-19T09:{minute:02}:00+0530");
            if objects {
                format!(r#"{{"date": "{time}", "open": {close}, "high": {close}, "low": {close}, "close": {close}, "volume": {name}}}"#)
            } else {
                format!(r#"["{time}",{close},{close},{close},{close},{name}]"#)
            }
        };
        let series = |name: usize| (0..20).map(|minute| candle(name, minute)).collect::<Vec<_>>().join(", ");
        let text = (1..4).map(|name| format!(r#""{name}": [{}]"#, series(name))).collect::<Vec<_>>().join(", ");
        let mut text = format!("{{{text}}}").into_bytes();
        let place = (text.len() as f64 * at) as usize;
        text[place] = byte;
        let mut rows = Rows::default();
        let options = super::walk::WalkOptions {
            context: super::walk::Context::of_interval(Some(Interval::Minute)),
            ..Default::default()
        };
        let _ended = Walk::new(&*text, &mut rows, options).run();
        // volume tells the name; one candle or one name may be what the byte changed
        let strange = rows.stored.iter().filter(|row| row.0 != row.4.to_string()).count();
        prop_assert!(strange <= 1 || strange == 20, "{strange} candles under another name: {:?}", rows.faults);
    }
}
