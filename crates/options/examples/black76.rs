//! Prices, implied volatilities and Greeks of options that come as JSON lines on standard input: what another
//! implementation is held against.
//!
//! A line holds forward, strike, years, rate, side (CE or PE) and volatility, price, or both, numbers as text (a JSON number
//! is read to within one unit of its last place only); the answer of the same line number holds what follows from them, null
//! where nothing does.
#![allow(clippy::unwrap_used, reason = "an example may end where its input is wrong")]

use serde::{Deserialize, Deserializer, Serialize};
use std::io::{BufRead as _, Write as _};
use tickhouse_options::{Black76, Side};

#[derive(Deserialize)]
struct Asked {
    forward: Exact,
    strike: Exact,
    years: Exact,
    rate: Exact,
    side: String,
    volatility: Option<Exact>,
    price: Option<Exact>,
}

/// A number that comes as text.
struct Exact(f64);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Default)]
struct Answered {
    price: Option<f64>,
    delta: Option<f64>,
    gamma: Option<f64>,
    vega: Option<f64>,
    theta: Option<f64>,
    rho: Option<f64>,
    implied_volatility: Option<f64>,
    error: Option<String>,
}

fn main() {
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let asked: Asked = serde_json::from_str(&line.unwrap()).unwrap();
        serde_json::to_writer(&mut output, &answer(&asked)).unwrap();
        output.write_all(b"\n").unwrap();
    }
    output.flush().unwrap();
}

fn answer(asked: &Asked) -> Answered {
    let side = if asked.side == "CE" { Side::Call } else { Side::Put };
    let mut answer = Answered::default();
    let option = match Black76::new(asked.forward.0, asked.strike.0, asked.years.0, asked.rate.0) {
        Ok(option) => option,
        Err(error) => return Answered { error: Some(error.to_string()), ..answer },
    };
    if let Some(Exact(volatility)) = asked.volatility {
        answer.price = option.price(side, volatility).ok();
        let greeks = option.greeks(side, volatility);
        answer.delta = greeks.map(|greeks| greeks.delta);
        answer.gamma = greeks.map(|greeks| greeks.gamma);
        answer.vega = greeks.map(|greeks| greeks.vega);
        answer.theta = greeks.map(|greeks| greeks.theta);
        answer.rho = greeks.map(|greeks| greeks.rho);
    }
    if let Some(Exact(price)) = asked.price {
        match option.implied_volatility(side, price) {
            Ok(implied) => answer.implied_volatility = Some(implied),
            Err(error) => answer.error = Some(error.to_string()),
        }
    }
    answer
}
