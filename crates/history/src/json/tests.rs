use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// Gives one byte at a time, so that every value lies across a border.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
        buffer[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

fn value<R: Read>(reader: &mut JsonReader<R>) -> Result<Value, JsonError> {
    match reader.kind()? {
        Kind::Scalar => Ok(match reader.scalar()? {
            Scalar::Text(text) => Value::from(text),
            Scalar::Number(number) => Value::from(number),
            Scalar::Bool(value) => Value::from(value),
            Scalar::Nothing => Value::Null,
        }),
        Kind::Array => {
            let mut items = Vec::new();
            reader.begin()?;
            while reader.next_element()? {
                items.push(value(reader)?);
            }
            Ok(items.into())
        }
        Kind::Object => {
            let mut items = serde_json::Map::new();
            reader.begin()?;
            while reader.next_key()? {
                let key = reader.key().to_owned();
                items.insert(key, value(reader)?);
            }
            Ok(items.into())
        }
    }
}

fn read(text: &str) -> Result<Value, JsonError> {
    let mut reader = JsonReader::new(text.as_bytes());
    let read = value(&mut reader)?;
    reader.finish()?;
    Ok(read)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has none", |number| number.is_finite()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn reads_what_serde_json_writes(json in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
        prop_assert_eq!(&read(&text).unwrap(), &json);
        prop_assert_eq!(&value(&mut JsonReader::new(Dripping(text.as_bytes()))).unwrap(), &json);
        let mut reader = JsonReader::new(text.as_bytes());
        reader.skip().unwrap();
        reader.finish().unwrap();
    }

    #[test]
    fn any_bytes_are_read_to_their_end_or_their_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = JsonReader::new(&*bytes);
        let _outcome = value(&mut reader);
        let _outcome = reader.recover();
        prop_assert!(reader.offset() <= bytes.len() as u64);
    }

    #[test]
    fn what_is_cut_off_is_noticed(json in any_json(), keep in 0.0..1.0_f64) {
        let text = format!("[{json}]");
        let mut cut = (text.len() as f64 * keep) as usize;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        prop_assert!(matches!(read(&text[..cut]), Err(JsonError::Broken(_))), "{}", &text[..cut]);
    }
}

#[test]
fn python_has_no_numbers_too() {
    let json = read("[NaN, None, null, Infinity, -Infinity, 1e999, True, -1.5e2]").unwrap();
    assert_eq!(json, serde_json::json!([null, null, null, null, null, null, true, -150.0]));
}

#[test]
fn faults_have_their_place() {
    for (text, expected) in [
        ("{\"a\":\n [1, 2 3]}", "$.a[1] (line 2, byte 13): `3` where a comma or `]` should be"),
        ("{\"N:A\": {\"b\": nope}}", "$[\"N:A\"].b (line 1, byte 14): `nope` is no value"),
        ("[[1], [1.2.3]]", "$[1][0] (line 1, byte 7): `1.2.3` is no number"),
        ("[1,]", "$[1] (line 1, byte 3): `]` where a value should be"),
        ("[1", "$[0] (line 1, byte 2): the file ends here: it is cut off"),
        ("", "$ (line 1, byte 0): the file ends where a value should be: it is cut off"),
        ("{} {}", "$ (line 1, byte 3): `{` behind the end of the document"),
        ("{'a': 1}", "$ (line 1, byte 1): a key in quotes should be here"),
        (
            "[\"a\nb\"]",
            "$[0] (line 1, byte 1): a line end or control character inside a text: a quote is missing",
        ),
    ] {
        let Err(JsonError::Broken(fault)) = read(text) else { panic!("{text} was read") };
        assert_eq!(fault.to_string(), expected, "{text}");
    }
    assert!(matches!(read(&"[".repeat(1_000)), Err(JsonError::Broken(_))));
}

#[test]
fn a_long_text_is_refused_and_not_kept() {
    let text = format!("[\"{}\"]", "x".repeat(LONGEST * 2));
    let Err(JsonError::Broken(fault)) = read(&text) else { panic!("read") };
    assert!(fault.problem.contains("longer than"), "{fault}");
}
