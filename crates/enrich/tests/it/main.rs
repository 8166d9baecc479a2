//! What the public interface promises, on the real extracts of Kite's master in `tests/data` and on damaged ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod lookup;
mod master;
mod table;

use std::path::PathBuf;
use tickhouse_model::{Instrument, InstrumentKind, Token};

/// A real file of Kite's.
fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn share(token: u32, tradingsymbol: &str) -> Instrument {
    Instrument {
        token: Token(token),
        symbol: String::new(),
        tradingsymbol: tradingsymbol.to_owned(),
        underlying: format!("{tradingsymbol} LIMITED"),
        exchange: "NSE".to_owned(),
        segment: "NSE".to_owned(),
        instrument_type: InstrumentKind::Equity,
        sector: String::new(),
        asset_class: String::new(),
        expiry: None,
        strike: 0.0,
        tick_size: 0.05,
        lot_size: 1,
    }
}

fn future(token: u32, underlying: &str, exchange: &str) -> Instrument {
    Instrument {
        tradingsymbol: format!("{underlying}26NOVFUT"),
        underlying: underlying.to_owned(),
        exchange: exchange.to_owned(),
        segment: format!("{exchange}-FUT"),
        instrument_type: InstrumentKind::Future,
        expiry: Some(20_783),
        lot_size: 75,
        ..share(token, underlying)
    }
}
