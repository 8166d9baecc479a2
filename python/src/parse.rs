//! `parse_binary`: Kite's binary message into the dictionaries of `KiteTicker._parse_binary`.
//!
//! What enters: the bytes of one message. What leaves: a list of dictionaries with pykiteconnect's keys, in its order and
//! with its types. What never happens here: a price that is another number than Kite sent (pykiteconnect reads those below
//! zero as 2^32 too high, and before 5.2.2 those of NCO as 100 times too high).

use crate::errors::{FRAME_ERROR, raise};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList};
use tickhouse_decode::{FrameError, Item, decode};
use tickhouse_model::{Level, Packet, PacketKind, Scale};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(parse_binary, module)?)
}

/// The ticks of one binary message of Kite's socket: what `KiteTicker._parse_binary` gives for it, faster.
///
/// Times are as `datetime.fromtimestamp(seconds, tz)` gives them: without `tz` naive, by the clock of this host, as
/// pykiteconnect has them. A message that ends inside a packet raises `FrameError`.
#[pyfunction]
#[pyo3(signature = (data, /, tz = None))]
fn parse_binary<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    tz: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let data: PyBackedBytes = data.extract()?;
    let ticks = PyList::empty(py);
    let mut times = Times { py, tz, trade: None, exchange: None };
    for item in decode(&data) {
        match item {
            Ok(Item::Packet { packet, .. }) => ticks.append(tick(&packet.to_packet(), &mut times)?)?,
            // as the original does: lengths that nobody documents are passed over, and so is what follows the packets
            Ok(Item::Unknown { .. }) | Err(FrameError::Trailing { .. }) => {}
            Err(error) => return Err(raise(py, &FRAME_ERROR, (error.to_string(),))),
        }
    }
    Ok(ticks)
}

fn tick<'py>(packet: &Packet, times: &mut Times<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
    let py = times.py;
    let segment = packet.segment();
    let scale = segment.scale();
    let price = |raw| scale.rupees(raw);
    let mode = match packet.kind {
        PacketKind::Ltp => intern!(py, "ltp"),
        PacketKind::Quote | PacketKind::IndexQuote => intern!(py, "quote"),
        PacketKind::Full | PacketKind::IndexFull => intern!(py, "full"),
    };
    let tick = PyDict::new(py);
    tick.set_item(intern!(py, "tradable"), !segment.is_index())?;
    tick.set_item(intern!(py, "mode"), mode)?;
    tick.set_item(intern!(py, "instrument_token"), packet.token.0)?;
    tick.set_item(intern!(py, "last_price"), price(packet.last_price))?;
    if packet.kind == PacketKind::Ltp {
        return Ok(tick);
    }
    let ohlc = PyDict::new(py);
    if packet.kind.is_index() {
        ohlc.set_item(intern!(py, "high"), price(packet.high_price))?;
        ohlc.set_item(intern!(py, "low"), price(packet.low_price))?;
        ohlc.set_item(intern!(py, "open"), price(packet.open_price))?;
    } else {
        tick.set_item(intern!(py, "last_traded_quantity"), packet.last_traded_quantity)?;
        tick.set_item(intern!(py, "average_traded_price"), price(packet.average_traded_price))?;
        tick.set_item(intern!(py, "volume_traded"), packet.volume)?;
        tick.set_item(intern!(py, "total_buy_quantity"), packet.total_buy_quantity)?;
        tick.set_item(intern!(py, "total_sell_quantity"), packet.total_sell_quantity)?;
        ohlc.set_item(intern!(py, "open"), price(packet.open_price))?;
        ohlc.set_item(intern!(py, "high"), price(packet.high_price))?;
        ohlc.set_item(intern!(py, "low"), price(packet.low_price))?;
    }
    ohlc.set_item(intern!(py, "close"), price(packet.close_price))?;
    tick.set_item(intern!(py, "ohlc"), ohlc)?;
    change(&tick, packet, scale)?;
    match packet.kind {
        PacketKind::IndexFull => {
            tick.set_item(intern!(py, "exchange_timestamp"), times.exchange(packet.exchange_timestamp)?)?;
        }
        PacketKind::Full => rest_of_full(&tick, packet, scale, times)?,
        _ => {}
    }
    Ok(tick)
}

/// Percentage from the previous close, by the arithmetic of the original, so that not even the last bit differs.
fn change(tick: &Bound<'_, PyDict>, packet: &Packet, scale: Scale) -> PyResult<()> {
    let key = intern!(tick.py(), "change");
    if packet.close_price == 0 {
        // an integer there, too
        return tick.set_item(key, 0);
    }
    let close = scale.rupees(packet.close_price);
    tick.set_item(key, (scale.rupees(packet.last_price) - close) * 100.0 / close)
}

fn rest_of_full(
    tick: &Bound<'_, PyDict>,
    packet: &Packet,
    scale: Scale,
    times: &mut Times<'_, '_>,
) -> PyResult<()> {
    let py = tick.py();
    tick.set_item(intern!(py, "last_trade_time"), times.trade(packet.last_trade_time)?)?;
    tick.set_item(intern!(py, "oi"), packet.open_interest)?;
    tick.set_item(intern!(py, "oi_day_high"), packet.oi_day_high)?;
    tick.set_item(intern!(py, "oi_day_low"), packet.oi_day_low)?;
    tick.set_item(intern!(py, "exchange_timestamp"), times.exchange(packet.exchange_timestamp)?)?;
    let depth = PyDict::new(py);
    depth.set_item(intern!(py, "buy"), side(py, &packet.bids, scale)?)?;
    depth.set_item(intern!(py, "sell"), side(py, &packet.asks, scale)?)?;
    tick.set_item(intern!(py, "depth"), depth)
}

fn side<'py>(py: Python<'py>, levels: &[Level], scale: Scale) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for level in levels {
        let entry = PyDict::new(py);
        entry.set_item(intern!(py, "quantity"), level.quantity)?;
        entry.set_item(intern!(py, "price"), scale.rupees(level.price))?;
        entry.set_item(intern!(py, "orders"), level.orders)?;
        list.append(entry)?;
    }
    Ok(list)
}

type Known<'py> = Option<(u32, Bound<'py, PyAny>)>;

/// Makes Python's times of Kite's seconds. Neighbours mostly have the same second, so the last one made of each field is
/// kept; for one message only, because the host's zone may be changed between two.
struct Times<'a, 'py> {
    py: Python<'py>,
    tz: Option<&'a Bound<'py, PyAny>>,
    trade: Known<'py>,
    exchange: Known<'py>,
}

impl<'py> Times<'_, 'py> {
    fn trade(&mut self, seconds: u32) -> PyResult<Bound<'py, PyAny>> {
        if let Some((known, time)) = &self.trade
            && *known == seconds
        {
            return Ok(time.clone());
        }
        let time = self.make(seconds)?;
        self.trade = Some((seconds, time.clone()));
        Ok(time)
    }

    fn exchange(&mut self, seconds: u32) -> PyResult<Bound<'py, PyAny>> {
        if let Some((known, time)) = &self.exchange
            && *known == seconds
        {
            return Ok(time.clone());
        }
        let time = self.make(seconds)?;
        self.exchange = Some((seconds, time.clone()));
        Ok(time)
    }

    fn make(&self, seconds: u32) -> PyResult<Bound<'py, PyAny>> {
        static FROM_TIMESTAMP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let from_timestamp = FROM_TIMESTAMP.get_or_try_init(self.py, || -> PyResult<Py<PyAny>> {
            Ok(self.py.import("datetime")?.getattr("datetime")?.getattr("fromtimestamp")?.unbind())
        })?;
        match self.tz {
            None => from_timestamp.bind(self.py).call1((seconds,)),
            Some(tz) => from_timestamp.bind(self.py).call1((seconds, tz)),
        }
    }
}
