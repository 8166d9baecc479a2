use super::*;
use tickhouse_model::Timestamp;

fn question(instruments: &[&str]) -> Question {
    let at = |text| Timestamp::from_text(text).unwrap();
    Question {
        window: Window::new(at("2026-11-20 09:15"), at("2026-11-20 10:15")).unwrap(),
        instruments: instruments.iter().map(ToString::to_string).collect(),
        exchange: None,
        session: None,
        limit: None,
    }
}

#[test]
fn every_placeholder_is_a_parameter_and_every_parameter_a_placeholder() {
    for query in NAMED {
        let mut all = vec![query.sql];
        all.extend(query.sql_of_all);
        for sql in all {
            let mut found: Vec<&str> = Vec::new();
            let mut rest = sql;
            while let Some(at) = rest.find('{') {
                let end = at + rest[at..].find('}').unwrap();
                found.push(&rest[at + 1..end]);
                rest = &rest[end..];
            }
            let known: Vec<String> =
                query.parameters().map(|it| format!("{}:{}", it.name, it.kind)).collect();
            for placeholder in &found {
                assert!(known.iter().any(|it| it == placeholder), "{}: {placeholder}", query.name);
            }
            for it in &known {
                assert!(found.contains(&it.as_str()), "{} takes {it} and does not use it", query.name);
            }
        }
    }
}

#[test]
fn names_are_unique_and_said_plainly() {
    let names: BTreeSet<&str> = NAMED.iter().map(|query| query.name).collect();
    assert_eq!(names.len(), NAMED.len());
    for query in NAMED {
        assert_eq!(NamedQuery::find(query.name), Some(query));
        assert!(query.sql.starts_with("-- "), "{} begins with what it means", query.name);
    }
    assert_eq!(NamedQuery::find("latst"), None);
}

#[test]
fn names_of_instruments_become_symbols_tokens_and_an_exchange() {
    let of = |names: &[&str]| {
        let statement = NamedQuery::find("range").unwrap().statement(&question(names))?;
        let value = |wanted: &str| {
            statement
                .parameters()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value.to_owned())
                .unwrap()
        };
        Ok((value("symbols"), value("tokens"), value("exchange")))
    };
    let text = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(of(&["NIFTY", "256265"]), text("['NIFTY']", "[256265]", ""));
    assert_eq!(of(&["nse:infy", "NSE:TCS"]), text("['INFY','TCS','infy']", "[]", "NSE"));
    assert!(matches!(
        of(&["NSE:INFY", "BSE:TCS"]),
        Err::<(String, String, String), _>(NamedError::TwoExchanges { .. })
    ));
    assert!(matches!(of(&["NSE:INFY", "TCS"]), Err(NamedError::TwoExchanges { .. })));
    assert_eq!(of(&[]), Err(NamedError::NeedsInstrument { query: "range" }));
}

#[test]
fn what_a_query_can_not_take_is_refused() {
    let quality = NamedQuery::find("quality").unwrap();
    let refused = quality.statement(&question(&["NIFTY"]));
    assert_eq!(refused, Err(NamedError::NotTaken { query: "quality", what: "instruments" }));
    let limited = Question { limit: Some(3), ..question(&[]) };
    assert!(quality.statement(&limited).is_err());
}

#[test]
fn a_script_says_its_parameters_first() {
    let query = NamedQuery::find("depth").unwrap();
    let statement = query.statement(&question(&["O'NEIL\\"])).unwrap();
    let script = query.client_script(&statement);
    assert!(
        script.starts_with("SET param_date = '2026-11-20'; -- India's day\nSET param_symbols = "),
        "{script}"
    );
    let grafana = query.grafana_sql(&statement);
    assert!(!grafana.contains(":Array(String)}") && grafana.contains("$__toTime"), "{grafana}");
}

#[test]
fn only_lists_of_the_first_so_many_have_a_limit_of_their_own() {
    let limit = |name: &str, instruments: &[&str]| {
        let asked = question(instruments);
        NamedQuery::find(name).unwrap().usual_limit(&asked)
    };
    assert_eq!(
        [limit("gainers", &[]), limit("volume", &[]), limit("ohlc", &[])],
        [Some(10), Some(20), Some(100)]
    );
    for name in ["ohlc", "range", "oi", "volume-by-minute"] {
        assert_eq!(limit(name, &["INFY"]), None, "{name}");
    }
}
