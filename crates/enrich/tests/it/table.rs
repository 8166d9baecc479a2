use crate::{future, share};
use proptest::prelude::*;
use std::collections::HashMap;
use tickhouse_enrich::{InstrumentTable, InstrumentTableBuilder, Market, Rules, StrId};
use tickhouse_model::{Instrument, InstrumentKind, Token};

fn table_of(instruments: impl IntoIterator<Item = Instrument>) -> InstrumentTable {
    let mut builder = InstrumentTableBuilder::new();
    builder.add_all(instruments).unwrap();
    builder.finish()
}

fn index(token: u32, exchange: &str, name: &str) -> Instrument {
    Instrument {
        exchange: exchange.to_owned(),
        segment: "INDICES".to_owned(),
        instrument_type: InstrumentKind::Index,
        tick_size: 0.0,
        lot_size: 0,
        underlying: name.to_owned(),
        ..share(token, name)
    }
}

#[test]
fn an_empty_table_knows_nothing() {
    let table = InstrumentTable::empty();
    assert_eq!((table.get(Token(256_265)), table.len(), table.texts().len()), (None, 0, 1));
    assert_eq!(table.text(StrId::EMPTY), "");
    assert_eq!(table.text(StrId(7)), "", "an id of another table is no panic");
    assert_eq!(table.text(StrId(u32::MAX)), "");
}

#[test]
fn indices_have_the_names_people_use() {
    let names = [
        (256_265, "NSE", "NIFTY 50", "NIFTY"),
        (260_105, "NSE", "NIFTY BANK", "BANKNIFTY"),
        (257_801, "NSE", "NIFTY FIN SERVICE", "FINNIFTY"),
        (288_009, "NSE", "NIFTY MID SELECT", "MIDCPNIFTY"),
        (264_969, "NSE", "INDIA VIX", "INDIAVIX"),
        (265, "BSE", "SENSEX", "SENSEX"),
        (274_441, "BSE", "BANKEX", "BANKEX"),
        (999_945, "NSE", "NIFTY OF TOMORROW", "NIFTY OF TOMORROW"),
    ];
    let table = table_of(names.map(|(token, exchange, name, _)| index(token, exchange, name)));
    for (token, exchange, name, symbol) in names {
        let found = table.get(Token(token)).unwrap();
        assert_eq!(table.text(found.symbol), symbol);
        assert_eq!(table.text(found.tradingsymbol), name);
        assert_eq!(table.text(found.exchange), exchange);
        assert_eq!(table.text(found.asset_class), "INDEX");
        assert_eq!(found.market, if exchange == "NSE" { Market::NseIndices } else { Market::BseIndices });
    }
}

#[test]
fn derivatives_make_the_closing_auction_of_their_share() {
    let table = table_of([
        share(408_065, "INFY"),
        share(5_633, "ACC"),
        future(53_001_986, "INFY", "NFO"),
        // a future of MCX on a name that is also a share's says nothing about the share
        future(53_002_247, "ACC", "MCX"),
    ]);
    let market = |token| table.get(Token(token)).unwrap().market;
    assert_eq!(market(408_065), Market::NseAuction);
    assert_eq!(market(5_633), Market::Nse);
    assert_eq!(market(53_001_986), Market::NfoFutures);
    assert_eq!(market(53_002_247), Market::Mcx);
}

#[test]
fn sectors_and_hours_come_from_the_rules() {
    let table = table_of([
        share(1, "INFY"),
        share(2, "CENTRALBK-BE"),
        share(3, "NOBODYKNOWS"),
        future(4, "INFY", "NFO"),
        future(5, "CRUDEOIL", "MCX"),
        future(6, "COTTONCNDY", "MCX"),
        future(7, "MENTHAOIL", "MCX"),
    ]);
    let sectors: Vec<_> = table.iter().map(|instrument| table.text(instrument.sector)).collect();
    let it = "Information Technology";
    assert_eq!(sectors, [it, "Financial Services", "", it, "Energy", "Agri Commodities", "Agri Commodities"]);
    let markets: Vec<_> = table.iter().skip(4).map(|instrument| instrument.market).collect();
    assert_eq!(markets, [Market::Mcx, Market::McxAgriLinked, Market::McxAgri]);
}

#[test]
fn rules_of_ones_own_win_and_what_the_source_says_wins_over_them() {
    let mut rules = Rules::builtin().clone();
    rules
        .merge_toml("mine.toml", "[asset_classes]\nFUT = 'derivative'\n[sectors]\n'Software' = ['INFY']")
        .unwrap();
    assert!(rules.merge_toml("mine.toml", "[sector]").is_err());
    let mut builder = InstrumentTableBuilder::with_rules(rules);
    builder.add(share(1, "INFY")).unwrap();
    builder.add(Instrument { sector: "IT".to_owned(), ..share(2, "INFY") }).unwrap();
    builder.add(future(3, "INFY", "NFO")).unwrap();
    let table = builder.finish();
    let said: Vec<_> =
        table.iter().map(|found| (table.text(found.sector), table.text(found.asset_class))).collect();
    assert_eq!(said, [("Software", "EQ"), ("IT", "EQ"), ("Software", "derivative")]);
}

#[test]
fn strings_of_few_values_have_the_lowest_ids() {
    let mut shares: Vec<_> = (0..500).map(|n| share(n << 8 | 1, &format!("SHARE{n}"))).collect();
    shares.push(future(77 << 8 | 2, "SHARE9", "NFO"));
    let table = table_of(shares);
    for instrument in table.iter() {
        let few = [
            instrument.exchange,
            instrument.segment,
            instrument.sector,
            instrument.asset_class,
            instrument.instrument_type,
        ];
        assert!(few.into_iter().all(|id| id < instrument.tradingsymbol && id.index() < 8), "{instrument:?}");
    }
}

#[test]
fn strings_that_only_a_replaced_row_used_are_gone() {
    let mut builder = InstrumentTableBuilder::new();
    assert!(!builder.add(share(1, "FIRST")).unwrap());
    assert!(builder.add(share(1, "SECOND")).unwrap());
    let table = builder.finish();
    let texts: Vec<_> = table.texts().iter().collect();
    assert!(texts.contains(&"SECOND") && !texts.iter().any(|text| text.contains("FIRST")), "{texts:?}");
}

#[test]
fn texts_without_end_are_cut_at_a_character() {
    let table = table_of([share(1, &"é".repeat(1_000))]);
    let symbol = table.text(table.get(Token(1)).unwrap().symbol);
    assert_eq!((symbol.len(), symbol.chars().all(|c| c == 'é')), (254, true));
}

prop_compose! {
    fn any_instrument()(
        token in 0_u32..200,
        names in prop::array::uniform7("[A-Z0-9 &é-]{0,6}"),
        kind in 0..6_usize,
        expiry in prop::option::of(1..=i32::from(u16::MAX)),
        strike in 0_f64..1e6,
        tick_size in prop::sample::select(vec![0.0, 0.01, 0.05, 1.0]),
        lot_size in any::<u32>(),
    ) -> Instrument {
        let [symbol, tradingsymbol, underlying, exchange, segment, sector, asset_class] = names;
        let kinds = [
            InstrumentKind::Equity, InstrumentKind::Future, InstrumentKind::Call, InstrumentKind::Put,
            InstrumentKind::Index, InstrumentKind::Other,
        ];
        Instrument {
            token: Token(token), symbol, tradingsymbol, underlying, exchange, segment, sector, asset_class, expiry,
            instrument_type: kinds[kind], strike, tick_size, lot_size,
        }
    }
}

proptest! {
    /// The oracle is a map of whole instruments, completed by the same rules.
    #[test]
    fn gives_back_what_was_added_last(instruments in prop::collection::vec(any_instrument(), 0..300)) {
        let mut expected = HashMap::new();
        for instrument in &instruments {
            let mut instrument = instrument.clone();
            Rules::builtin().complete(&mut instrument);
            expected.insert(instrument.token, instrument);
        }
        let table = table_of(instruments);
        prop_assert_eq!(table.len(), expected.len());
        for token in (0..250).map(Token) {
            let found = table.get(token).map(|found| table.instrument(&found));
            prop_assert_eq!(found.as_ref(), expected.get(&token));
        }
        prop_assert!(table.iter().is_sorted_by_key(|found| found.token));
        let texts: Vec<_> = table.texts().iter().collect();
        let distinct: std::collections::HashSet<_> = texts.iter().collect();
        prop_assert_eq!(distinct.len(), texts.len());
    }
}

#[test]
fn a_token_means_what_it_meant_on_the_day() {
    let mut builder = InstrumentTableBuilder::new();
    let (november, december) = (future(258, "NIFTY", "NFO"), future(258, "NIFTY", "NFO"));
    let november = Instrument { tradingsymbol: "NOV".to_owned(), expiry: Some(20_783), ..november };
    let december = Instrument { tradingsymbol: "DEC".to_owned(), expiry: Some(20_818), ..december };
    builder.add_version(december, 20_786, u16::MAX).unwrap();
    builder.add_version(november, 0, 20_785).unwrap();
    builder.add(share(513, "SBIN")).unwrap();
    let table = builder.finish();
    let on = |day| table.get_on(Token(258), day).map(|it| table.text(it.tradingsymbol));
    assert_eq!([on(1), on(20_783)], [Some("NOV"); 2]);
    assert_eq!([on(20_784), on(20_785)], [None; 2], "expired, whatever its source says");
    assert_eq!([on(20_786), on(20_818)], [Some("DEC"); 2]);
    assert_eq!(on(20_819), None);
    assert_eq!(table.text(table.get(Token(258)).unwrap().tradingsymbol), "DEC");
    assert_eq!(table.len(), 3);
    assert!((1..u16::MAX).step_by(1_000).all(|day| table.get_on(Token(513), day).is_some()));
    assert_eq!(table.get_on(Token(769), 20_783), None);
}

proptest! {
    #[test]
    fn days_are_looked_up_as_a_list_would_be(
        versions in prop::collection::vec((1..6_u32, 1..40_u16, 0..9_u16), 0..30),
        asked in prop::collection::vec((0..7_u32, 0..50_u16), 50),
    ) {
        let mut builder = InstrumentTableBuilder::new();
        let mut list: Vec<(u32, u16, u16, String)> = Vec::new();
        for (number, (token, from, days)) in versions.into_iter().enumerate() {
            let to = from + days;
            if list.iter().all(|(other, first, last, _)| *other != token || to < *first || *last < from) {
                let name = format!("V{number}");
                builder.add_version(share(token, &name), from, to).unwrap();
                list.push((token, from, to, name));
            }
        }
        let table = builder.finish();
        for (token, day) in asked {
            let expected = list.iter().find(|(other, from, to, _)| *other == token && (*from..=*to).contains(&day));
            let found = table.get_on(Token(token), day).map(|it| table.text(it.tradingsymbol));
            prop_assert_eq!(found, expected.map(|(.., name)| name.as_str()));
        }
    }
}

#[test]
fn a_file_of_either_kind_is_known_by_its_beginning() {
    use tickhouse_enrich::MasterFormat;
    let csv = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
               instrument_type,segment,exchange\n408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE\n";
    for (text, format) in
        [(csv, MasterFormat::KiteCsv), (" {\"408065\": {\"symbol\": \"INFY\"}}", MasterFormat::TokenLookup)]
    {
        let mut builder = InstrumentTableBuilder::new();
        let (found, report) = builder.read(text.as_bytes()).unwrap();
        assert_eq!((found, report.added), (format, 1));
    }
    assert!(InstrumentTableBuilder::new().read(&b"\x89PNG"[..]).is_err());
}
