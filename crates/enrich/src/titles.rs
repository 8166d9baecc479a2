//! Companies in headlines.
//!
//! What enters: a title. What leaves: the trading symbols of the shares that it names, in the order in which it does. What
//! never happens here: I/O, guessing at part of a word. The words that need care stand in `data/titles.toml`.
//!
//! A symbol counts where it stands in capitals as a word of its own, unless the whole title is in capitals; a name where its
//! words stand one after the other, each with a capital, whatever ends the master gives it (`LTD`, `LIMITED`). The longest
//! wins: `Vodafone Idea` is not `IDEA` a second time. Symbols and one-word names that are ordinary words (`IDEA`, `SAIL`,
//! `BSE`) need a sign that the company is meant.

use crate::table::InstrumentTable;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use tickhouse_model::InstrumentKind;

/// Shorter words are no names by themselves.
const NAME_LETTERS: usize = 4;
/// What headlines write small inside a name.
const SMALL_WORDS: [&str; 4] = ["of", "the", "for", "in"];
/// Series of shares in Kite's symbols (`XYZ-BE`); every other short ending is a bond's or a gilt's.
const SHARE_SERIES: [&str; 4] = ["BE", "BZ", "SM", "ST"];

#[derive(Debug, Deserialize)]
struct Words {
    suffixes: FxHashSet<String>,
    common: FxHashSet<String>,
    context: FxHashSet<String>,
    aliases: BTreeMap<String, String>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    toml::from_str(include_str!("../data/titles.toml"))
        .expect("the file is part of the program: a test reads it")
});

/// What a phrase is, and so what it takes to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Symbol,
    Name,
    Alias,
}

#[derive(Clone, Debug)]
struct Phrase {
    /// In capitals, without the first.
    rest: Vec<Box<str>>,
    kind: Kind,
    /// Whether it must stand in capitals: an abbreviation.
    capitals: bool,
    common: bool,
    symbol: u32,
}

/// Finds the shares of one table in titles.
#[derive(Debug, Default)]
pub struct TitleSymbols {
    /// By the first word in capitals; the longest first.
    phrases: FxHashMap<Box<str>, Vec<Phrase>>,
    symbols: Vec<Box<str>>,
}

/// A word of a title.
#[derive(Debug)]
struct Word<'a> {
    text: &'a str,
    capitals: String,
    /// Something like `$`, `NSE:` or `(` before it, or `.NS` or `)` behind it: a ticker.
    ticker: bool,
}

impl TitleSymbols {
    /// The shares of a table: those of NSE, and those of BSE whose names have several words.
    pub fn new(table: &InstrumentTable) -> Self {
        let mut found = Self::default();
        let mut ids: FxHashMap<Box<str>, u32> = FxHashMap::default();
        for exchange in ["NSE", "BSE"] {
            for share in table.iter().filter(|one| one.kind == InstrumentKind::Equity) {
                if table.text(share.exchange) == exchange
                    && let Some(symbol) = share_symbol(table.text(share.tradingsymbol))
                {
                    found.add_share(&mut ids, symbol, table.text(share.underlying), exchange == "NSE");
                }
            }
        }
        for (alias, symbol) in &WORDS.aliases {
            if let Some(id) = ids.get(symbol.as_str()) {
                let capitals = !alias.contains(char::is_lowercase);
                found.add(alias, Kind::Alias, capitals, *id);
            }
        }
        for phrases in found.phrases.values_mut() {
            // a stable sort: of equal ones the first that was added stays first
            phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.rest.len()));
        }
        found
    }

    fn add_share(&mut self, ids: &mut FxHashMap<Box<str>, u32>, symbol: &str, name: &str, every_word: bool) {
        let id = *ids.entry(symbol.into()).or_insert_with(|| {
            self.symbols.push(symbol.into());
            self.symbols.len() as u32 - 1
        });
        if every_word {
            self.add(symbol, Kind::Symbol, true, id);
        }
        let mut words = words_of(name);
        while words.len() > 1 && words.last().is_some_and(|word| WORDS.suffixes.contains(&word.capitals)) {
            words.pop();
        }
        let single = words.len() < 2;
        if single && (!every_word || words.iter().any(|word| word.capitals.chars().count() < NAME_LETTERS)) {
            return;
        }
        let name: Vec<&str> = words.iter().map(|word| word.capitals.as_str()).collect();
        self.add(&name.join(" "), Kind::Name, false, id);
    }

    fn add(&mut self, text: &str, kind: Kind, capitals: bool, symbol: u32) {
        let mut words = words_of(text).into_iter().map(|word| word.capitals.into_boxed_str());
        let Some(first) = words.next().filter(|word| word.contains(char::is_alphabetic)) else { return };
        let rest: Vec<_> = words.collect();
        let common = kind != Kind::Alias && rest.is_empty() && WORDS.common.contains(&*first);
        let phrases = self.phrases.entry(first).or_default();
        // two shares of one name: the first is NSE's
        if !phrases.iter().any(|phrase| phrase.rest == rest && phrase.kind == kind) {
            phrases.push(Phrase { rest, kind, capitals, common, symbol });
        }
    }

    /// The trading symbols of the shares that a title names, each once, in the order of the title.
    pub fn find(&self, title: &str) -> Vec<String> {
        let words = words_of(title);
        let shouted = is_shouted(&words);
        let mut found: Vec<u32> = Vec::new();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let phrases = self.phrases.get(word.capitals.as_str()).map_or(&[][..], Vec::as_slice);
            let hit = phrases.iter().find(|phrase| counts(phrase, &words, at, shouted));
            let Some(phrase) = hit else {
                at += 1;
                continue;
            };
            if !found.contains(&phrase.symbol) {
                found.push(phrase.symbol);
            }
            at += 1 + phrase.rest.len();
        }
        found.into_iter().map(|id| self.symbols[id as usize].to_string()).collect()
    }
}

/// The symbol of a share without its series; `None` for bonds and gilts.
fn share_symbol(tradingsymbol: &str) -> Option<&str> {
    match tradingsymbol.rsplit_once('-') {
        Some((symbol, series)) if SHARE_SERIES.contains(&series) => Some(symbol),
        Some((_, series)) if series.len() == 2 => None,
        _ => (!tradingsymbol.is_empty()).then_some(tradingsymbol),
    }
}

/// Whether a phrase stands at a place of a title and is meant there.
fn counts(phrase: &Phrase, words: &[Word<'_>], at: usize, shouted: bool) -> bool {
    let Some(here) = words.get(at..=at + phrase.rest.len()) else { return false };
    let last = phrase.rest.len();
    let equal = here.iter().skip(1).zip(&phrase.rest).enumerate().all(|(place, (word, wanted))| {
        // the master cuts names: TATA CONSULTANCY SERV
        let cut = phrase.kind == Kind::Name && place + 1 == last && wanted.len() >= NAME_LETTERS;
        word.capitals == **wanted || (cut && word.capitals.starts_with(&**wanted))
    });
    if !equal {
        return false;
    }
    let ticker = here.iter().any(|word| word.ticker);
    let in_capitals = here.iter().all(|word| !word.text.contains(char::is_lowercase));
    let capitalised = here
        .iter()
        .all(|word| !word.text.starts_with(char::is_lowercase) || SMALL_WORDS.contains(&word.text));
    let meant = !phrase.common
        || ticker
        || words.get(at + last + 1).is_some_and(|next| WORDS.context.contains(&next.capitals));
    match phrase.kind {
        Kind::Symbol => {
            in_capitals && meant && (!shouted || ticker || !phrase.rest.is_empty() || phrase.common)
        }
        Kind::Name | Kind::Alias => capitalised && meant && (in_capitals || !phrase.capitals),
    }
}

/// Whether capitals mean nothing in this title.
fn is_shouted(words: &[Word<'_>]) -> bool {
    let letters = words.iter().filter(|word| word.text.chars().filter(|c| c.is_alphabetic()).count() > 1);
    let (all, capitals) = letters.fold((0_usize, 0_usize), |(all, capitals), word| {
        (all + 1, capitals + usize::from(!word.text.contains(char::is_lowercase)))
    });
    all > 3 && capitals * 4 > all * 3
}

/// Words of a title: letters, digits and what `M&M` has between. Lone `&`, `and` and the ends of genitives are left out.
fn words_of(title: &str) -> Vec<Word<'_>> {
    let part = |c: char| c.is_alphanumeric() || c == '&';
    let mut words = Vec::new();
    let mut rest = 0;
    while let Some(begin) = title[rest..].find(part).map(|at| rest + at) {
        let end = title[begin..].find(|c| !part(c)).map_or(title.len(), |at| begin + at);
        let (text, before, behind) = (&title[begin..end], &title[..begin], &title[end..]);
        rest = end;
        let genitive = text == "s" && before.ends_with(['\'', '\u{2019}']);
        if genitive || text == "&" || text.eq_ignore_ascii_case("and") {
            continue;
        }
        let exchange = [": ", ":"].iter().any(|colon| {
            ["NSE", "BSE"]
                .iter()
                .any(|name| before.strip_suffix(colon).is_some_and(|head| head.ends_with(name)))
        });
        let bracketed = before.ends_with('(') && behind.starts_with(')');
        let suffixed = [".NS", ".BO"].iter().any(|suffix| {
            behind.strip_prefix(suffix).is_some_and(|next| !next.starts_with(char::is_alphanumeric))
        });
        let ticker = exchange || bracketed || suffixed || before.ends_with(['$', '#']);
        words.push(Word { text, capitals: text.to_uppercase(), ticker });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstrumentTableBuilder;
    use proptest::prelude::*;

    /// Rows as Kite's master has them, cut names and abbreviations included.
    const SHARES: &[(&str, &str, &str)] = &[
        ("RELIANCE", "RELIANCE INDUSTRIES", "NSE"),
        ("INFY", "INFOSYS", "NSE"),
        ("TCS", "TATA CONSULTANCY SERV LT", "NSE"),
        ("HDFCBANK", "HDFC BANK", "NSE"),
        ("SBIN", "STATE BANK OF INDIA", "NSE"),
        ("LT", "LARSEN & TOUBRO LTD.", "NSE"),
        ("M&M", "MAHINDRA & MAHINDRA", "NSE"),
        ("M&MFIN", "M&M FINANCIAL SERVICES", "NSE"),
        ("IDEA", "VODAFONE IDEA", "NSE"),
        ("GAIL", "GAIL (INDIA)", "NSE"),
        ("SAIL", "STEEL AUTHORITY OF INDIA", "NSE"),
        ("BSE", "BSE", "NSE"),
        ("TITAN", "TITAN COMPANY", "NSE"),
        ("ETERNAL", "ETERNAL", "NSE"),
        ("BAJAJ-AUTO", "BAJAJ AUTO", "NSE"),
        ("BAJFINANCE", "BAJAJ FINANCE", "NSE"),
        ("BAJAJFINSV", "BAJAJ FINSERV LTD.", "NSE"),
        ("TATAMOTORS", "TATA MOTORS", "NSE"),
        ("TATASTEEL", "TATA STEEL", "NSE"),
        ("OIL", "OIL INDIA", "NSE"),
        ("COALINDIA", "COAL INDIA", "NSE"),
        ("BHARTIARTL", "BHARTI AIRTEL", "NSE"),
        ("ITC", "ITC", "NSE"),
        ("SUZLON-BE", "SUZLON ENERGY", "NSE"),
        ("SGBAUG28V-GB", "2.5% GOLDBONDS 2028 SR-V", "NSE"),
        ("PATEL", "PATEL", "BSE"),
        ("FOCUSBS", "FOCUS BUSINESS SOLUTION", "BSE"),
    ];

    fn finder() -> TitleSymbols {
        let head = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
                    instrument_type,segment,exchange\n256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE\n";
        let row = |(number, (symbol, name, exchange)): (usize, &(&str, &str, &str))| {
            let token = (number + 1) * 256 + 1;
            format!("{token},1,{symbol},{name},0,,0,0.05,1,EQ,{exchange},{exchange}\n")
        };
        let rows: Vec<String> = SHARES.iter().enumerate().map(row).collect();
        let csv = format!("{head}{}", rows.concat());
        let mut builder = InstrumentTableBuilder::new();
        builder.read_kite_csv(csv.as_bytes()).unwrap();
        TitleSymbols::new(&builder.finish())
    }

    /// By hand: a title and what a reader would say it is about.
    const TITLES: &[(&str, &[&str])] = &[
        ("Infosys wins $2 billion deal from European bank", &["INFY"]),
        ("TCS, Infosys and HDFC Bank lead gains as Nifty hits record", &["TCS", "INFY", "HDFCBANK"]),
        ("Tata Consultancy Services to hire 40,000 freshers", &["TCS"]),
        ("INFY Q2 results: profit rises 8%", &["INFY"]),
        ("Reliance Industries' retail arm files for IPO", &["RELIANCE"]),
        ("RIL, L&T in talks over green hydrogen", &["RELIANCE", "LT"]),
        ("Larsen & Toubro bags order; Larsen and Toubro shares up", &["LT"]),
        ("M&M launches new SUV", &["M&M"]),
        ("M&M Financial Services raises rates", &["M&MFIN"]),
        ("Mahindra & Mahindra to split farm unit", &["M&M"]),
        ("State Bank of India cuts lending rate; SBI chief speaks", &["SBIN"]),
        // words that are symbols
        ("Good idea: why SIPs beat timing the market", &[]),
        ("The big IDEA behind the new budget", &[]),
        ("Vodafone Idea to raise funds", &["IDEA"]),
        ("IDEA shares jump 10% on tariff hopes", &["IDEA"]),
        ("Telecom rally: buy Airtel, avoid $IDEA", &["BHARTIARTL", "IDEA"]),
        ("Stocks to watch (NSE: SAIL) today", &["SAIL"]),
        ("Exporters set SAIL for new shores", &[]),
        ("Smooth sail ahead for metals", &[]),
        ("Steel Authority of India to expand Bokaro", &["SAIL"]),
        ("GAIL shares slip after tariff order", &["GAIL"]),
        ("GAIL (India) signs LNG deal", &["GAIL"]),
        ("Abigail Smith joins board", &[]),
        // the exchange is not the company
        ("BSE Sensex closes above 90,000", &[]),
        ("BSE, NSE to hold special session on Saturday", &[]),
        ("BSE Ltd Q1 profit doubles", &["BSE"]),
        ("BSE shares hit all-time high", &["BSE"]),
        ("Sensex and Nifty end flat", &[]),
        // one-word names that are words
        ("Titan of industry passes away", &[]),
        ("Titan shares fall on gold duty", &["TITAN"]),
        ("Eternal struggle of small investors", &[]),
        ("Zomato parent Eternal Q1: revenue up", &["ETERNAL"]),
        ("Oil prices surge as OPEC meets", &[]),
        ("Oil India finds gas in Assam; OIL shares up 3%", &["OIL"]),
        ("OIL RISES ON SUPPLY WORRIES", &[]),
        // capitals everywhere
        ("ITC AND TCS LEAD MARKET GAINS TODAY", &[]),
        ("INFOSYS WINS LARGE DEAL FROM TATA MOTORS", &["INFY", "TATAMOTORS"]),
        // neighbours
        (
            "Bajaj Finance, Bajaj Finserv and Bajaj Auto results today",
            &["BAJFINANCE", "BAJAJFINSV", "BAJAJ-AUTO"],
        ),
        ("BAJAJ-AUTO.NS hits 52-week high", &["BAJAJ-AUTO"]),
        ("Tata group plans chip plant", &[]),
        ("Tata Steel\u{2019}s UK unit and Coal India's output", &["TATASTEEL", "COALINDIA"]),
        ("Suzlon Energy wins order", &["SUZLON"]),
        ("Patel sworn in as minister", &[]),
        ("ITCHING for reform", &[]),
        ("italics: itc, tcs and infy in lower case", &[]),
        ("", &[]),
    ];

    #[test]
    fn titles_name_what_a_reader_would_say() {
        let finder = finder();
        let wrong: Vec<_> = TITLES
            .iter()
            .map(|(title, expected)| (*title, finder.find(title), *expected))
            .filter(|(_, found, expected)| found != expected)
            .collect();
        assert!(wrong.is_empty(), "title, found, expected: {wrong:#?}");
    }

    proptest! {
        #[test]
        fn any_title_is_read(title in any::<String>()) {
            let finder = finder();
            for symbol in finder.find(&title) {
                prop_assert!(SHARES.iter().any(|(known, ..)| known.starts_with(&symbol)));
            }
        }
    }
}
