//! A tick dictionary, straight from Python's objects.
//!
//! What enters: dictionaries as pykiteconnect makes them, of any version, with numbers of any kind. What leaves: a
//! [`PushedTick`], or the first value that is none, with its path. What never happens here: a key that is passed over
//! silently, a copy by way of text.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use tickhouse_model::{DEPTH_LEVELS, Mode};
use tickhouse_push::{PushedDepth, PushedLevel, PushedOhlc, PushedTick, PushedTime};

/// A value that is not what it should be.
#[derive(Debug)]
pub(crate) struct Fault {
    /// As in `depth.buy[2].price`; empty for the tick itself.
    pub(crate) path: String,
    pub(crate) reason: String,
}

type Read<T> = Result<T, Fault>;

fn fault<T>(path: impl Into<String>, reason: impl Into<String>) -> Read<T> {
    Err(Fault { path: path.into(), reason: reason.into() })
}

/// A dictionary whose keys are taken one after the other; what is left at the end is a key too many.
struct Fields<'a, 'py> {
    dictionary: &'a Bound<'py, PyDict>,
    taken: usize,
}

impl<'a, 'py> Fields<'a, 'py> {
    const fn of(dictionary: &'a Bound<'py, PyDict>) -> Self {
        Self { dictionary, taken: 0 }
    }

    /// `None` for a value of `None` too.
    fn take(&mut self, key: &Bound<'py, PyString>) -> Option<Bound<'py, PyAny>> {
        // an error is one of hashing or comparing, which texts don't have
        let value = self.dictionary.get_item(key).ok().flatten()?;
        self.taken += 1;
        (!value.is_none()).then_some(value)
    }

    fn is_empty(&self) -> bool {
        self.taken == self.dictionary.len()
    }
}

/// Takes fields of a dictionary by their names, and says at which path one is wrong.
macro_rules! field {
    ($fields:ident, $name:literal, $read:path) => {
        match $fields.take(intern!($fields.dictionary.py(), $name)) {
            Some(value) => Some($read(&value).map_err(|reason| Fault { path: $name.to_owned(), reason })?),
            None => None,
        }
    };
}

/// Reads a tick.
pub(crate) fn read(value: &Bound<'_, PyAny>) -> Read<PushedTick> {
    let Ok(dictionary) = value.cast::<PyDict>() else {
        return fault("", format!("a tick is a dictionary, this is {}", kind(value)));
    };
    let mut fields = Fields::of(dictionary);
    let Some(token) = field!(fields, "instrument_token", token) else { return missing("instrument_token") };
    let Some(mode) = field!(fields, "mode", mode) else { return missing("mode") };
    let Some(last_price) = field!(fields, "last_price", number) else { return missing("last_price") };
    let mut tick = PushedTick::new(token, mode, last_price);
    tick.tradable = field!(fields, "tradable", truth);
    if fields.is_empty() {
        return Ok(tick);
    }
    tick.last_traded_quantity = field!(fields, "last_traded_quantity", whole);
    tick.average_traded_price = field!(fields, "average_traded_price", number);
    tick.volume_traded = field!(fields, "volume_traded", whole);
    tick.total_buy_quantity = field!(fields, "total_buy_quantity", whole);
    tick.total_sell_quantity = field!(fields, "total_sell_quantity", whole);
    // what clients compute; not part of a packet
    tick.change = field!(fields, "change", number);
    tick.last_trade_time = field!(fields, "last_trade_time", time).unwrap_or_default();
    tick.oi = field!(fields, "oi", whole);
    tick.oi_day_high = field!(fields, "oi_day_high", whole);
    tick.oi_day_low = field!(fields, "oi_day_low", whole);
    tick.exchange_timestamp = field!(fields, "exchange_timestamp", time).unwrap_or_default();
    if let Some(prices) = fields.take(intern!(value.py(), "ohlc")) {
        tick.ohlc = Some(ohlc(&prices).map_err(below("ohlc"))?);
    }
    if let Some(book) = fields.take(intern!(value.py(), "depth")) {
        tick.depth = Some(depth(&book).map_err(below("depth"))?);
    }
    if !fields.is_empty() {
        old_names(&mut fields, &mut tick)?;
    }
    Ok(tick)
}

/// Names of pykiteconnect before 4.0; then what is left is a stranger.
fn old_names(fields: &mut Fields<'_, '_>, tick: &mut PushedTick) -> Read<()> {
    macro_rules! renamed {
        ($old:literal, $read:path, $new:literal, $place:expr, $is_set:expr) => {
            if let Some(value) = field!(fields, $old, $read) {
                if $is_set {
                    return fault($old, concat!("is the old name of ", $new, ", which is there too"));
                }
                $place = value.into();
            }
        };
    }
    let quantity = &mut tick.last_traded_quantity;
    renamed!("last_quantity", whole, "last_traded_quantity", *quantity, quantity.is_some());
    let average = &mut tick.average_traded_price;
    renamed!("average_price", number, "average_traded_price", *average, average.is_some());
    let volume = &mut tick.volume_traded;
    renamed!("volume", whole, "volume_traded", *volume, volume.is_some());
    let buy = &mut tick.total_buy_quantity;
    renamed!("buy_quantity", whole, "total_buy_quantity", *buy, buy.is_some());
    let sell = &mut tick.total_sell_quantity;
    renamed!("sell_quantity", whole, "total_sell_quantity", *sell, sell.is_some());
    let at = &mut tick.exchange_timestamp;
    renamed!("timestamp", time, "exchange_timestamp", *at, *at != PushedTime::None);
    if fields.is_empty() { Ok(()) } else { Err(stranger(fields.dictionary, KEYS)) }
}

const KEYS: &[&str] = &[
    "instrument_token",
    "mode",
    "last_price",
    "tradable",
    "last_traded_quantity",
    "average_traded_price",
    "volume_traded",
    "total_buy_quantity",
    "total_sell_quantity",
    "change",
    "last_trade_time",
    "oi",
    "oi_day_high",
    "oi_day_low",
    "exchange_timestamp",
    "ohlc",
    "depth",
    "last_quantity",
    "average_price",
    "volume",
    "buy_quantity",
    "sell_quantity",
    "timestamp",
];

fn missing<T>(name: &str) -> Read<T> {
    fault(name, "is missing")
}

/// The key that is not one of these.
fn stranger(dictionary: &Bound<'_, PyDict>, known: &[&str]) -> Fault {
    let names = dictionary.keys().into_iter().map(|key| shortened(&key.to_string()));
    let path = names.into_iter().find(|name| !known.contains(&name.as_str())).unwrap_or_default();
    Fault {
        path,
        reason: "is no field of a tick: push the dictionary before you add your own fields to it".to_owned(),
    }
}

/// A fault of a value within another, with the whole path.
fn below(outer: &str) -> impl Fn(Fault) -> Fault + '_ {
    move |Fault { path, reason }| {
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        Fault { path: format!("{outer}{dot}{path}"), reason }
    }
}

fn dictionary<'a, 'py>(value: &'a Bound<'py, PyAny>) -> Read<&'a Bound<'py, PyDict>> {
    value.cast::<PyDict>().or_else(|_| fault("", format!("must be a dictionary, this is {}", kind(value))))
}

fn ohlc(value: &Bound<'_, PyAny>) -> Read<PushedOhlc> {
    let mut fields = Fields::of(dictionary(value)?);
    let Some(open) = field!(fields, "open", number) else { return missing("open") };
    let Some(high) = field!(fields, "high", number) else { return missing("high") };
    let Some(low) = field!(fields, "low", number) else { return missing("low") };
    let Some(close) = field!(fields, "close", number) else { return missing("close") };
    if fields.is_empty() {
        return Ok(PushedOhlc { open, high, low, close });
    }
    Err(stranger(fields.dictionary, &["open", "high", "low", "close"]))
}

fn depth(value: &Bound<'_, PyAny>) -> Read<PushedDepth> {
    let py = value.py();
    let mut fields = Fields::of(dictionary(value)?);
    let Some(buy) = fields.take(intern!(py, "buy")) else { return missing("buy") };
    let Some(sell) = fields.take(intern!(py, "sell")) else { return missing("sell") };
    if !fields.is_empty() {
        return Err(stranger(fields.dictionary, &["buy", "sell"]));
    }
    let buy = side(&buy).map_err(below("buy"))?;
    Ok(PushedDepth { buy, sell: side(&sell).map_err(below("sell"))? })
}

/// Up to five levels; the others are empty.
fn side(value: &Bound<'_, PyAny>) -> Read<[PushedLevel; DEPTH_LEVELS]> {
    let no_list =
        || Fault { path: String::new(), reason: format!("must be a list, this is {}", kind(value)) };
    let copied;
    let list = if let Ok(list) = value.cast::<PyList>() {
        list
    } else {
        copied = value.cast::<PyTuple>().map_err(|_| no_list())?.to_list();
        &copied
    };
    if list.len() > DEPTH_LEVELS {
        return fault("", format!("has {} levels, a packet holds {DEPTH_LEVELS}", list.len()));
    }
    let mut levels = [PushedLevel::default(); DEPTH_LEVELS];
    for (index, (place, entry)) in levels.iter_mut().zip(list.iter()).enumerate() {
        *place = level(&entry).map_err(|Fault { path, reason }| {
            let dot = if path.is_empty() { "" } else { "." };
            Fault { path: format!("[{index}]{dot}{path}"), reason }
        })?;
    }
    Ok(levels)
}

fn level(value: &Bound<'_, PyAny>) -> Read<PushedLevel> {
    let mut fields = Fields::of(dictionary(value)?);
    let Some(quantity) = field!(fields, "quantity", whole) else { return missing("quantity") };
    let Some(price) = field!(fields, "price", number) else { return missing("price") };
    let Some(orders) = field!(fields, "orders", whole) else { return missing("orders") };
    if fields.is_empty() {
        return Ok(PushedLevel { quantity, price, orders });
    }
    Err(stranger(fields.dictionary, &["quantity", "price", "orders"]))
}

fn token(value: &Bound<'_, PyAny>) -> Result<u32, String> {
    let number = whole(value)?;
    u32::try_from(number).map_err(|_| format!("{number} is no instrument token, 0 to {}", u32::MAX))
}

fn mode(value: &Bound<'_, PyAny>) -> Result<Mode, String> {
    let py = value.py();
    // constants of a program are one object each, so this mostly is a comparison of addresses
    if value.is(intern!(py, "full")) {
        return Ok(Mode::Full);
    }
    let text = value.cast::<PyString>().map_err(|_| format!("must be a text, this is {}", kind(value)))?;
    match text.to_string_lossy().as_ref() {
        "ltp" => Ok(Mode::Ltp),
        "quote" => Ok(Mode::Quote),
        "full" => Ok(Mode::Full),
        other => Err(format!("`{}` is no mode: ltp, quote or full", shortened(other))),
    }
}

fn truth(value: &Bound<'_, PyAny>) -> Result<bool, String> {
    let truth =
        value.cast::<PyBool>().map_err(|_| format!("must be True or False, this is {}", kind(value)))?;
    Ok(truth.is_true())
}

/// A price. Numbers of other libraries (`numpy.float64`, `Decimal`) count as what they convert to.
fn number(value: &Bound<'_, PyAny>) -> Result<f64, String> {
    let number = match value.cast_exact::<PyFloat>() {
        Ok(float) => float.value(),
        Err(_) if value.is_instance_of::<PyBool>() || value.is_instance_of::<PyString>() => {
            return Err(format!("must be a number, this is {}", kind(value)));
        }
        Err(_) => value.extract().map_err(|_| format!("must be a number, this is {}", kind(value)))?,
    };
    if number.is_finite() { Ok(number) } else { Err(format!("{number} is no price")) }
}

/// A whole number, as one or as a float without a fraction (pandas makes 75.0 of 75).
fn whole(value: &Bound<'_, PyAny>) -> Result<i64, String> {
    if !value.is_exact_instance_of::<PyInt>() {
        if value.is_instance_of::<PyBool>() {
            return Err("must be a whole number, this is bool".to_owned());
        }
        if let Ok(float) = value.cast::<PyFloat>() {
            let number = float.value();
            // exact below 2^53
            let fits = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
            return if fits { Ok(number as i64) } else { Err(format!("{number} is no whole number")) };
        }
    }
    value.extract().map_err(|_| {
        if value.is_instance_of::<PyInt>() {
            "is beyond 64 bits".to_owned()
        } else {
            format!("must be a whole number, this is {}", kind(value))
        }
    })
}

/// A time: a `datetime`, whose own `timestamp()` undoes what `fromtimestamp()` did on this host, even in the hour that clocks
/// show twice; or seconds since 1970.
fn time(value: &Bound<'_, PyAny>) -> Result<PushedTime, String> {
    const EXPECTED: &str = "must be None, a datetime, or whole seconds since 1970";
    let py = value.py();
    let seconds = if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
        number(value).map_err(|reason| format!("{EXPECTED}: {reason}"))?
    } else {
        let converted = value.call_method0(intern!(py, "timestamp"));
        let converted = converted.and_then(|seconds| seconds.extract::<f64>());
        converted.map_err(|_| format!("{EXPECTED}, this is {}", kind(value)))?
    };
    // as over HTTP: what is too large for Kite's seconds are milliseconds
    let seconds = if seconds > f64::from(u32::MAX) { seconds / 1e3 } else { seconds };
    if seconds.fract() != 0.0 {
        return Err("Kite's times are whole seconds: this has a fraction".to_owned());
    }
    if !(0.0..=f64::from(u32::MAX)).contains(&seconds) {
        return Err(format!("{seconds} s since 1970 is not within 0 to {}", u32::MAX));
    }
    Ok(PushedTime::Unix(seconds as i64))
}

/// The name of a value's type.
fn kind(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "something else".to_owned(), |name| name.to_string())
}

fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
