//! From JSON to candles: what each key and array means.

use super::fields::{ARRAY, Field, Fields, Values};
use super::{EXCHANGES, FileCandle, Name};
use crate::Interval;
use crate::json::{Fault, JsonError, JsonReader, Kind, Scalar, shortened};
use rustc_hash::FxHashMap;
use std::io::Read;
use std::sync::Arc;

/// Objects whose instrument or interval stands behind their candles: more than this are not remembered.
const MOST_LATE: usize = 1_000_000;

/// What the surroundings of a candle say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    token: Option<u32>,
    /// The token is the user's, for what the file does not name: any name of the file's counts more.
    assumed: bool,
    exchange: Option<Arc<str>>,
    symbol: Option<Arc<str>>,
    interval: Option<Interval>,
}

impl Context {
    /// The instrument that is known beforehand.
    pub(crate) fn of(name: &Name, interval: Option<Interval>) -> Self {
        let empty = Self { interval, ..Self::default() };
        match name {
            Name::Token(token) => Self { token: Some(*token), assumed: true, ..empty },
            Name::Symbol { exchange, symbol } => Self {
                exchange: (!exchange.is_empty()).then(|| exchange.as_ref().into()),
                symbol: Some(symbol.as_ref().into()),
                ..empty
            },
        }
    }

    /// Nothing is known but perhaps the interval.
    pub(crate) fn of_interval(interval: Option<Interval>) -> Self {
        Self { interval, ..Self::default() }
    }

    fn name(&self) -> Option<Name> {
        if let Some(token) = self.token {
            return Some(Name::Token(token));
        }
        let exchange = self.exchange.as_deref().unwrap_or_default().into();
        self.symbol.as_deref().map(|symbol| Name::Symbol { exchange, symbol: symbol.into() })
    }

    /// Another instrument than before, of which only this is known.
    fn rename(&mut self, token: Option<u32>, symbol: Option<Arc<str>>) {
        (self.token, self.symbol, self.assumed) = (token, symbol, false);
    }

    /// What a key means for the objects and arrays behind it.
    fn enter(&mut self, key: &str) {
        if is_container(key) {
            return;
        }
        if EXCHANGES.contains(&key) {
            self.rename(None, None);
            self.exchange = Some(key.into());
        } else if let Some(interval) = Interval::of_word(key).filter(|_| key.parse::<u32>().is_err()) {
            self.interval = Some(interval);
        } else {
            match Name::of_text(key) {
                Name::Token(token) => self.rename(Some(token), None),
                Name::Symbol { exchange, symbol } => {
                    self.rename(None, Some(symbol.as_ref().into()));
                    if !exchange.is_empty() {
                        self.exchange = Some(exchange.as_ref().into());
                    }
                }
            }
        }
    }

    /// A value beside or in a candle that says whose it is. The error says what is wrong with it.
    fn tell(&mut self, key: &str, value: Scalar<'_>) -> Result<(), String> {
        match (key, value) {
            ("instrument_token" | "token", Scalar::Number(number)) => {
                if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
                    // a wrong one must not give way to that of the surroundings
                    self.rename(None, None);
                    return Err(format!("{number} is no instrument token"));
                }
                (self.token, self.assumed) = (Some(number as u32), false);
            }
            ("instrument_token" | "token", Scalar::Text(text)) => {
                let Ok(token) = text.trim().parse() else {
                    self.rename(None, None);
                    return Err(format!("`{}` is no instrument token", shortened(text)));
                };
                (self.token, self.assumed) = (Some(token), false);
            }
            ("tradingsymbol" | "trading_symbol" | "symbol", Scalar::Text(text)) if !text.is_empty() => {
                if let Name::Symbol { exchange, symbol } = Name::of_text(text) {
                    let token = self.token.filter(|_| !self.assumed);
                    self.rename(token, Some(symbol.as_ref().into()));
                    if !exchange.is_empty() {
                        self.exchange = Some(exchange.as_ref().into());
                    }
                }
            }
            ("exchange", Scalar::Text(text)) if !text.is_empty() => self.exchange = Some(text.into()),
            ("interval" | "timeframe" | "resolution", Scalar::Text(text)) => {
                // an unknown one must not give way to a default
                self.interval = Interval::of_word(text);
                let known = self.interval.map(drop);
                return known.ok_or_else(|| format!("`{}` is no interval of Kite's", shortened(text)));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Keys that only hold what is behind them.
fn is_container(key: &str) -> bool {
    matches!(
        key,
        "data"
            | "candles"
            | "ohlc"
            | "ohlc_data"
            | "ohlcv"
            | "historical"
            | "historical_data"
            | "history"
            | "records"
            | "instruments"
            | "results"
            | "result"
            | "bars"
            | "rows"
            | "response"
    )
}

/// Keys whose objects describe the file and hold no candles.
fn is_description(key: &str) -> bool {
    matches!(
        key,
        "metadata"
            | "meta"
            | "info"
            | "summary"
            | "stats"
            | "statistics"
            | "errors"
            | "failed"
            | "skipped"
            | "symbols"
            | "tokens"
            | "columns"
            | "exchanges"
            | "intervals"
    )
}

/// What a walk is given.
#[derive(Debug, Default)]
pub(crate) struct WalkOptions {
    /// What is known of candles of which the file says nothing.
    pub(crate) context: Context,
    /// Objects, by their offset, that tell behind their candles whose they are.
    pub(crate) late: FxHashMap<u64, Context>,
    /// Whether `late` is filled (the first pass) or used.
    pub(crate) learn: bool,
}

/// What a walk tells: all of it in the order of the file.
pub(crate) trait Sink {
    /// The number of this name.
    fn name(&mut self, name: &Name) -> u32;
    /// A candle. False ends the walk.
    fn candle(&mut self, candle: FileCandle) -> bool;
    /// A candle without any price.
    fn empty(&mut self);
    /// Something that was passed over. False ends the walk.
    fn fault(&mut self, fault: Fault) -> bool;
}

/// One pass over a file.
pub(crate) struct Walk<'a, R, S> {
    reader: JsonReader<R>,
    sink: &'a mut S,
    options: WalkOptions,
    /// The context of the last candle and its number.
    last: Option<(Context, u32)>,
    /// The key that is being dealt with.
    key: String,
}

/// Why a walk ends before the end of the file.
#[derive(Debug)]
pub(crate) enum Stop {
    /// From this byte nothing could be read: the fault was told.
    Lost(u64),
    /// The sink wanted no more.
    Asked,
    Io(std::io::Error),
}

impl<'a, R: Read, S: Sink> Walk<'a, R, S> {
    pub(crate) fn new(inner: R, sink: &'a mut S, options: WalkOptions) -> Self {
        Self { reader: JsonReader::new(inner), sink, options, last: None, key: String::new() }
    }

    /// Walks to the end. Gives the options back, with what was learned.
    pub(crate) fn run(mut self) -> (Result<(), Stop>, WalkOptions) {
        let context = self.options.context.clone();
        let walked = self.value(&context).and_then(|()| self.reader.finish());
        let ended = match walked {
            Ok(()) => Ok(()),
            Err(JsonError::Stopped) => Err(Stop::Asked),
            Err(JsonError::Io(error)) => Err(Stop::Io(error)),
            Err(JsonError::Broken(fault)) => {
                let byte = fault.byte;
                self.sink.fault(fault);
                Err(Stop::Lost(byte))
            }
        };
        (ended, self.options)
    }

    fn value(&mut self, context: &Context) -> Result<(), JsonError> {
        match self.reader.kind()? {
            Kind::Object => self.object(context),
            Kind::Array => self.array(context),
            Kind::Scalar => Err(JsonError::Broken(self.reader.fault("a value where candles should be"))),
        }
    }

    fn array(&mut self, context: &Context) -> Result<(), JsonError> {
        self.reader.begin()?;
        let depth = self.reader.depth();
        // below `depth` the array has ended
        while self.reader.depth() >= depth {
            if let Err(error) = self.element(context) {
                self.mend(error, depth)?;
            }
        }
        Ok(())
    }

    /// The next element of the innermost array, or its end.
    fn element(&mut self, context: &Context) -> Result<(), JsonError> {
        if !self.reader.next_element()? {
            return Ok(());
        }
        if self.reader.kind()? != Kind::Scalar {
            return self.value(context);
        }
        if !self.reader.is_first() {
            return Err(JsonError::Broken(self.reader.fault("a value between candles")));
        }
        self.reader.set_candle(true);
        self.row(context)
    }

    /// Goes on behind what is broken in the array at `depth`, or gives the error back when there is no going on.
    fn mend(&mut self, error: JsonError, depth: usize) -> Result<(), JsonError> {
        let JsonError::Broken(fault) = error else { return Err(error) };
        // a candle of this array, or what stands between its candles; where the array is a candle, whoever holds it mends
        let mendable = if self.reader.in_candle() { depth + 1 } else { depth };
        if self.reader.depth() != mendable {
            return Err(JsonError::Broken(fault));
        }
        self.tell_fault(fault)?;
        if self.reader.recover()? {
            return Ok(());
        }
        let lost = "from here it can't be told whose candles follow: the rest of the file is not read";
        Err(JsonError::Broken(self.reader.fault(lost)))
    }

    fn tell_fault(&mut self, fault: Fault) -> Result<(), JsonError> {
        if self.sink.fault(fault) { Ok(()) } else { Err(JsonError::Stopped) }
    }

    /// An array that is a candle; its first element is next.
    fn row(&mut self, context: &Context) -> Result<(), JsonError> {
        let outside = self.reader.depth() - 1;
        let mut fields = Fields::default();
        let mut places = ARRAY.iter();
        loop {
            if self.reader.kind()? != Kind::Scalar {
                // most likely the next candle, and this one's end is missing
                let problem = "a candle holds texts and numbers only: is a bracket missing?";
                return Err(JsonError::Broken(self.reader.fault(problem)));
            }
            let place = self.reader.mark();
            let problem = if let Some(field) = places.next() {
                match fields.set(*field, self.reader.scalar()?) {
                    Ok(()) if self.reader.next_element()? => continue,
                    Ok(()) => return self.finish(&fields, context),
                    Err(problem) => problem,
                }
            } else {
                self.reader.skip()?;
                "a candle has a time, four prices, a volume and perhaps open interest, no more".to_owned()
            };
            let fault = self.reader.fault_at(place, problem);
            self.tell_fault(fault)?;
            return self.reader.leave(outside);
        }
    }

    fn object(&mut self, outer: &Context) -> Result<(), JsonError> {
        self.reader.kind()?;
        let place = self.reader.offset();
        let mut context = match self.options.late.get(&place) {
            Some(late) if !self.options.learn => late.clone(),
            _ => outer.clone(),
        };
        self.reader.begin()?;
        let mut object = Object::default();
        while self.reader.next_key()? {
            if self.reader.kind()? == Kind::Scalar {
                self.reader.set_candle(object.before_children.is_none());
                self.member(&mut context, &mut object)?;
            } else if is_description(self.reader.key()) {
                self.description(&mut context)?;
            } else {
                self.reader.set_candle(false);
                object.before_children.get_or_insert_with(|| context.clone());
                object.mistold.take().map_or(Ok(()), |fault| self.tell_fault(fault))?;
                let mut inner = context.clone();
                inner.enter(self.reader.key());
                self.value(&inner)?;
            }
        }
        let Object { fields, wrong, mistold, before_children, .. } = object;
        if let Some(before) = &before_children
            && *before != context
            && self.options.learn
            && self.options.late.len() < MOST_LATE
        {
            self.options.late.insert(place, context.clone());
        }
        // fields of a candle mean nothing of what holds candles
        let holds_candles = before_children.is_some();
        match mistold.or(wrong.filter(|_| !holds_candles)) {
            Some(fault) => self.tell_fault(fault),
            None if !holds_candles && fields.is_candle() => self.finish(&fields, &context),
            None => Ok(()),
        }
    }

    /// A value of an object: of the candle that it is, or about the candles in it.
    fn member(&mut self, context: &mut Context, object: &mut Object) -> Result<(), JsonError> {
        let place = self.reader.mark();
        if let Some(field) = Field::of_key(self.reader.key()) {
            if let Err(problem) = object.fields.set(field, self.reader.scalar()?) {
                object.wrong.get_or_insert_with(|| self.reader.fault_at(place, problem));
            }
            return Ok(());
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.push_str(self.reader.key());
        let value = self.reader.scalar()?;
        // a trading symbol says more than a symbol beside it
        let trading = key.starts_with("trading");
        let told =
            if key == "symbol" && object.has_tradingsymbol { Ok(()) } else { context.tell(&key, value) };
        object.has_tradingsymbol |= trading;
        self.key = key;
        if let Err(problem) = told {
            object.mistold.get_or_insert_with(|| self.reader.fault_at(place, problem));
        }
        Ok(())
    }

    /// An object that describes the file: it may tell an interval or an exchange.
    fn description(&mut self, context: &mut Context) -> Result<(), JsonError> {
        if self.reader.kind()? != Kind::Object {
            return self.reader.skip();
        }
        self.reader.begin()?;
        while self.reader.next_key()? {
            let tells = matches!(self.reader.key(), "interval" | "timeframe" | "resolution" | "exchange");
            if tells && self.reader.kind()? == Kind::Scalar {
                let mut object = Object::default();
                self.member(context, &mut object)?;
                object.mistold.map_or(Ok(()), |fault| self.tell_fault(fault))?;
            } else {
                self.reader.skip()?;
            }
        }
        Ok(())
    }

    /// A candle that was read to its end.
    fn finish(&mut self, fields: &Fields, context: &Context) -> Result<(), JsonError> {
        let problem = match fields.finish() {
            Ok(Some(values)) => match self.candle(context, values) {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(JsonError::Stopped),
                Err(problem) => problem.to_owned(),
            },
            Ok(None) => {
                self.sink.empty();
                return Ok(());
            }
            Err(problem) => problem,
        };
        let fault = self.reader.fault(problem);
        self.tell_fault(fault)
    }

    fn candle(&mut self, context: &Context, values: Values) -> Result<bool, &'static str> {
        let interval = context.interval.ok_or("a candle of no interval: say it with --interval")?;
        let known = self.last.as_ref().filter(|(last, _)| last == context).map(|(_, name)| *name);
        let name = if let Some(name) = known {
            name
        } else {
            let name = context.name().ok_or(
                "a candle of no instrument: nothing around it is a token or a symbol (say it with --instrument)",
            )?;
            let number = self.sink.name(&name);
            self.last = Some((context.clone(), number));
            number
        };
        let (timestamp, [open, high, low, close], [volume, open_interest]) = values;
        Ok(self.sink.candle(FileCandle {
            name,
            interval,
            timestamp,
            open,
            high,
            low,
            close,
            volume,
            open_interest,
        }))
    }
}

/// What is known of an object while it is read.
#[derive(Default)]
struct Object {
    fields: Fields,
    /// The first value that a candle can't have.
    wrong: Option<Fault>,
    /// The first value that says whose it is or how long it lasts and can't be. Such a candle is left out; what holds candles
    /// does not lend them what it was lent.
    mistold: Option<Fault>,
    has_tradingsymbol: bool,
    /// What was known before the first object or array in it.
    before_children: Option<Context>,
}
