//! What a value is: ticks, candles, or neither and why.
//!
//! What enters: a key and a value of it. What leaves: fields of flat entries. What never happens here: I/O, recursion beyond a
//! few levels, a guess at a price.
//!
//! A record with a last price is a tick; one with open, high, low and close and no last price is a candle, which becomes
//! an entry whose `packet_type` names the interval and whose `last_price` is the close. Records may lie in lists, in objects by
//! token or symbol, and in JSON text inside of either. What the record does not say of its instrument and interval its key may.

use crate::names::Names;
use crate::rules::{Named, Rules};
use serde_json::{Map, Value};
use tickhouse_model::Timestamp;
use tickhouse_stream::{FlatError, FlatTick};

/// Levels of lists and objects around a record.
const DEPTH: usize = 6;
/// Names of the levels of Kite's `depth`, and the columns they become.
const SIDES: [(&str, &str); 2] = [("buy", "bid"), ("sell", "ask")];

/// A record as the fields of a flat entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognised {
    /// The hour of its time: days since 1970-01-01 in India times 24 plus the hour.
    pub hour: u32,
    /// Fields and values, alternating.
    pub fields: Vec<String>,
}

/// Why something was not imported: few different texts, because they are counted.
pub type Skip = String;

/// Tells records from other values.
#[derive(Debug)]
pub struct Recogniser<'a> {
    rules: &'a Rules,
    names: &'a Names,
}

/// What is known of a record before it is looked at.
#[derive(Clone, Debug, Default)]
pub struct Context {
    token: Option<String>,
    symbol: Option<String>,
    exchange: Option<String>,
    interval: Option<String>,
    /// Unix time of a sorted set's score or of a stream's entry, as text.
    pub at: Option<String>,
}

impl<'a> Recogniser<'a> {
    /// With these rules and instruments.
    pub const fn new(rules: &'a Rules, names: &'a Names) -> Self {
        Self { rules, names }
    }

    /// What a key tells.
    ///
    /// # Errors
    /// When a rule says to skip it.
    pub fn context_of(&self, key: &str) -> Result<Context, Skip> {
        let mut context = Context::default();
        for pattern in &self.rules.keys {
            let Some(found) = pattern.matches(key) else { continue };
            if pattern.skip {
                return Err("left out by a rule".to_owned());
            }
            for (named, text) in found {
                self.note(&mut context, named, text);
            }
            return Ok(context);
        }
        self.note_words(&mut context, key);
        Ok(context)
    }

    fn note(&self, context: &mut Context, named: Named, text: &str) {
        let slot = match named {
            Named::Token => &mut context.token,
            Named::Symbol => &mut context.symbol,
            Named::Exchange => &mut context.exchange,
            Named::Interval => {
                let word = self.rules.intervals.get(&text.to_lowercase()).map_or(text, String::as_str);
                context.interval.get_or_insert_with(|| word.to_owned());
                return;
            }
        };
        slot.get_or_insert_with(|| text.to_owned());
    }

    /// Words of a key that can only be one thing: an exchange, an interval, a known token or symbol.
    fn note_words(&self, context: &mut Context, key: &str) {
        let parts: Vec<&str> = key.split([':', '|', '/']).collect();
        let words = || parts.iter().flat_map(|part| std::iter::once(*part).chain(part.split('_')));
        if let Some(exchange) = words().find(|word| self.rules.exchanges.contains(*word)) {
            self.note(context, Named::Exchange, exchange);
        }
        let exchange = context.exchange.clone().unwrap_or_default();
        for word in words().filter(|word| !word.is_empty() && *word != exchange) {
            if self.rules.intervals.contains_key(&word.to_lowercase()) {
                self.note(context, Named::Interval, word);
            } else if word.parse().is_ok_and(|token| self.names.knows(token)) {
                self.note(context, Named::Token, word);
            } else if self.names.token(&exchange, word).is_some() {
                self.note(context, Named::Symbol, word);
            }
        }
    }

    /// Finds the records in a text: JSON.
    pub fn text(&self, text: &[u8], context: &Context, found: &mut dyn FnMut(Result<Recognised, Skip>)) {
        match serde_json::from_slice(text) {
            Ok(value) => self.value(&value, context, 0, found),
            Err(_) => found(Err("no JSON".to_owned())),
        }
    }

    /// Finds the records in fields and values: a record itself, or records by field.
    pub fn fields(
        &self,
        fields: &[(Vec<u8>, Vec<u8>)],
        context: &Context,
        found: &mut dyn FnMut(Result<Recognised, Skip>),
    ) {
        let mut object = Map::new();
        for (field, value) in fields {
            let value = String::from_utf8_lossy(value).into_owned();
            object.insert(String::from_utf8_lossy(field).into_owned(), Value::String(value));
        }
        self.value(&Value::Object(object), context, 0, found);
    }

    fn value(
        &self,
        value: &Value,
        context: &Context,
        depth: usize,
        found: &mut dyn FnMut(Result<Recognised, Skip>),
    ) {
        if depth > DEPTH {
            return found(Err("nested too deeply".to_owned()));
        }
        match value {
            Value::Object(object) => self.object(object, context, depth, found),
            Value::Array(items) if is_candle_array(items) => found(self.candle_array(items, context)),
            Value::Array(items) if items.is_empty() => found(Err("empty".to_owned())),
            Value::Array(items) => items.iter().for_each(|item| self.value(item, context, depth + 1, found)),
            Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
                match serde_json::from_str(text) {
                    Ok(inner) => self.value(&inner, context, depth + 1, found),
                    Err(_) => found(Err("no JSON".to_owned())),
                }
            }
            _ => found(Err("neither tick nor candle".to_owned())),
        }
    }

    fn object(
        &self,
        object: &Map<String, Value>,
        context: &Context,
        depth: usize,
        found: &mut dyn FnMut(Result<Recognised, Skip>),
    ) {
        let columns = self.columns(object);
        let has = |name: &str| columns.iter().any(|(column, _)| column == name);
        let candle = ["open_price", "high_price", "low_price", "close_price"].iter().all(|name| has(name));
        if has("last_price") || candle {
            return found(self.record(object, columns, context));
        }
        let mut context = context.clone();
        for (column, value) in &columns {
            let named = match column.as_str() {
                "instrument_token" => Named::Token,
                "tradingsymbol" | "symbol" => Named::Symbol,
                "exchange" => Named::Exchange,
                "interval" => Named::Interval,
                _ => continue,
            };
            self.note(&mut context, named, value);
        }
        let inner = |value: &Value| match value {
            Value::Object(_) | Value::Array(_) => true,
            Value::String(text) => text.trim_start().starts_with(['{', '[']),
            _ => false,
        };
        let mut any = false;
        for (name, value) in object.iter().filter(|(_, value)| inner(value)) {
            any = true;
            let contained = self.rules.containers.contains(&name.to_lowercase());
            let context = if contained { context.clone() } else { self.inner_context(&context, name) };
            self.value(value, &context, depth + 1, found);
        }
        if !any {
            found(Err("neither tick nor candle".to_owned()));
        }
    }

    /// The context of a record that lies in another under this name: what the name says of the instrument counts more than what
    /// was said outside, also when nobody knows such an instrument.
    fn inner_context(&self, outer: &Context, name: &str) -> Context {
        let mut inner = Context { exchange: outer.exchange.clone(), ..Context::default() };
        self.note_words(&mut inner, name);
        let is_symbol = |word: &str| {
            word.len() > 1
                && word.contains(|c: char| c.is_ascii_uppercase())
                && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "&-: ".contains(c))
        };
        let unnamed = outer.symbol.is_none() && outer.token.is_none();
        if inner.symbol.is_none() && inner.token.is_none() {
            if is_symbol(name) {
                inner.symbol = Some(name.to_owned());
            } else if unnamed && (3..10).contains(&name.len()) && whole(name).is_some() {
                inner.token = Some(name.to_owned());
            } else {
                inner.symbol.clone_from(&outer.symbol);
                inner.token.clone_from(&outer.token);
            }
        }
        inner.interval = inner.interval.or_else(|| outer.interval.clone());
        inner.at.clone_from(&outer.at);
        inner
    }

    /// The columns of an object, each once, by its most preferred name.
    fn columns(&self, object: &Map<String, Value>) -> Vec<(String, String)> {
        let mut best: Vec<(&str, usize, String)> = Vec::new();
        for (name, value) in object {
            let Some((column, preference)) = self.rules.columns.get(&name.to_lowercase()) else { continue };
            let Some(text) = scalar(value) else { continue };
            match best.iter_mut().find(|(known, ..)| known == column) {
                Some((_, known, slot)) if *preference < *known => (*known, *slot) = (*preference, text),
                Some(_) => {}
                None => best.push((column, *preference, text)),
            }
        }
        best.into_iter().map(|(column, _, text)| (column.to_owned(), text)).collect()
    }

    fn candle_array(&self, items: &[Value], context: &Context) -> Result<Recognised, Skip> {
        let names =
            ["timestamp", "open_price", "high_price", "low_price", "close_price", "volume", "open_interest"];
        let columns = names
            .iter()
            .zip(items)
            .filter_map(|(name, value)| Some(((*name).to_owned(), scalar(value)?)))
            .collect();
        self.record(&Map::new(), columns, context)
    }

    fn record(
        &self,
        object: &Map<String, Value>,
        mut columns: Vec<(String, String)>,
        context: &Context,
    ) -> Result<Recognised, Skip> {
        let take = |columns: &mut Vec<(String, String)>, name: &str| {
            let at = columns.iter().position(|(column, _)| column == name)?;
            Some(columns.swap_remove(at).1).filter(|text| !is_nothing(text))
        };
        if let Some(Value::Object(day)) = object.get("ohlc") {
            for (column, text) in self.columns(day) {
                if !columns.iter().any(|(known, _)| *known == column) {
                    columns.push((column, text));
                }
            }
        }
        let token = self.token(&mut columns, context, take)?;
        let interval = take(&mut columns, "interval")
            .map(|text| self.rules.intervals.get(&text.to_lowercase()).cloned().unwrap_or(text));
        let is_tick = columns.iter().any(|(column, _)| column == "last_price");
        if !is_tick {
            let close =
                columns.iter().find(|(column, _)| column == "close_price").map(|(_, text)| text.clone());
            columns.push(("last_price".to_owned(), close.unwrap_or_default()));
            columns.retain(|(column, _)| column != "packet_type");
            let interval =
                interval.or_else(|| context.interval.clone()).unwrap_or_else(|| "candle".to_owned());
            columns.push(("packet_type".to_owned(), interval));
        }
        columns.push(("instrument_token".to_owned(), token.to_string()));
        columns.extend(depth_columns(object));
        if !columns.iter().any(|(column, text)| column == "timestamp" && !is_nothing(text)) {
            columns.retain(|(column, _)| column != "timestamp");
            let other = |name: &str| {
                columns
                    .iter()
                    .find(|(column, text)| column == name && !is_nothing(text))
                    .map(|(_, text)| text.clone())
            };
            let at = other("exchange_timestamp")
                .or_else(|| context.at.clone())
                .or_else(|| other("last_trade_time"));
            columns.push(("timestamp".to_owned(), at.ok_or("no time")?));
        }
        finish(columns)
    }

    /// The token: as it stands, or of the symbol.
    fn token(
        &self,
        columns: &mut Vec<(String, String)>,
        context: &Context,
        take: impl Fn(&mut Vec<(String, String)>, &str) -> Option<String>,
    ) -> Result<u32, Skip> {
        let exchange = take(columns, "exchange").or_else(|| context.exchange.clone()).unwrap_or_default();
        let own = take(columns, "tradingsymbol");
        let symbol = take(columns, "symbol");
        if let Some(text) = take(columns, "instrument_token") {
            if let Some(token) = whole(&text) {
                return Ok(token);
            }
            // some call a symbol that way
            if let Some(token) = self.names.token(&exchange, &text) {
                return Ok(token);
            }
        }
        if own.is_none()
            && symbol.is_none()
            && let Some(token) = context.token.as_deref().and_then(whole)
        {
            return Ok(token);
        }
        // its own word or its key's, never one for the other
        let key = if own.is_none() && symbol.is_none() { context.symbol.clone() } else { None };
        let symbols = [own, symbol, key];
        if symbols.iter().all(Option::is_none) {
            return Err("names no instrument".to_owned());
        }
        let found = symbols.iter().flatten().find_map(|symbol| self.names.token(&exchange, symbol));
        found.ok_or_else(|| "its symbol is not among the instruments".to_owned())
    }
}

/// A whole number above 0, also written as a float.
fn whole(text: &str) -> Option<u32> {
    let text = text.trim();
    let text = text.strip_suffix(".0").unwrap_or(text);
    text.parse().ok().filter(|token| *token > 0)
}

/// Kite's candles: a time, four prices, a volume, perhaps the open interest.
fn is_candle_array(items: &[Value]) -> bool {
    let time = |value: &Value| matches!(value, Value::String(_) | Value::Number(_));
    let number = |value: &Value| scalar(value).is_some_and(|text| text.parse::<f64>().is_ok());
    (6..=7).contains(&items.len()) && time(&items[0]) && items[1..5].iter().all(number)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some(String::new()),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_nothing(text: &str) -> bool {
    matches!(text.trim(), "" | "None" | "nan" | "NaN" | "null" | "NaT")
}

/// `depth: {buy: [{price, quantity, orders}, …], sell: […]}` as columns; and columns of the depth that the object has itself.
fn depth_columns(object: &Map<String, Value>) -> Vec<(String, String)> {
    let mut columns = Vec::new();
    let parsed;
    let depth = match object.get("depth") {
        Some(Value::String(text)) => {
            parsed = serde_json::from_str::<Value>(text).unwrap_or_default();
            &parsed
        }
        Some(value) => value,
        None => &Value::Null,
    };
    for (from, to) in SIDES {
        let levels = depth.get(from).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (place, level) in levels.iter().take(5).enumerate() {
            for part in ["price", "quantity", "orders"] {
                if let Some(text) = level.get(part).and_then(scalar) {
                    columns.push((format!("{to}_{}_{part}", place + 1), text));
                }
            }
        }
        let prefix = format!("{to}_");
        let own = object.iter().filter(|(name, _)| name.starts_with(&prefix));
        columns.extend(own.filter_map(|(name, value)| Some((name.clone(), scalar(value)?))));
    }
    columns
}

/// Checks the columns as the loader will, and finds the hour.
fn finish(mut columns: Vec<(String, String)>) -> Result<Recognised, Skip> {
    let entry = FlatTick::from_fields(columns.iter().map(|(column, text)| (column, text)));
    let tick = match entry {
        Ok(entry) => entry.tick,
        Err(FlatError::Value { field, .. }) => return Err(format!("bad value of {field}")),
        Err(error) => return Err(error.to_string()),
    };
    if !tick.timestamp.is_some() {
        return Err("no time".to_owned());
    }
    columns.sort_unstable();
    for (column, text) in &mut columns {
        if column == "timestamp" {
            *text = exact(tick.timestamp, text);
        }
    }
    let ist = tick.timestamp.ist();
    let days = u32::try_from(ist.days_since_epoch).map_err(|_| "a time before 1970")?;
    if days > u32::from(u16::MAX) {
        return Err("a time after 2149".to_owned());
    }
    let fields = columns.into_iter().flat_map(|(column, text)| [column, text]).collect();
    Ok(Recognised { hour: days * 24 + u32::from(ist.hour()), fields })
}

/// Nanoseconds, which no reader takes for another form; times before 1973 as they were.
fn exact(at: Timestamp, text: &str) -> String {
    if at.as_nanos() >= 100_000_000_000_000_000 { at.as_nanos().to_string() } else { text.to_owned() }
}
