//! A chain for people: calls to the left, puts to the right, the money marked without colour.

use crate::{output, table};
use std::fmt::Write as _;
use tickhouse_read::{Basis, ForwardSource, Leg, OptionChain, Reference, Stale, Strike};

/// The puts' side, from the strike outwards; the calls' is its mirror, but for bid before offer.
const SIDE: [&str; 9] = ["LTP", "BID", "ASK", "DELTA", "IV %", "VOLUME", "OI CHG", "OI", ""];

/// The whole text; `listed` is how many strikes there are, shown or not.
pub(super) fn render(chain: &OptionChain, listed: usize) -> String {
    let headers: Vec<&str> = mirrored(SIDE.to_vec()).into_iter().chain(["STRIKE"]).chain(SIDE).collect();
    let mut right = vec![true; headers.len()];
    // the marks at both ends are words
    right[0] = false;
    right[headers.len() - 1] = false;
    let rows = chain.strikes.iter().map(|strike| row(chain, strike));
    let mut text = head(chain);
    text.push_str("\n\n");
    text.push_str(&table::layout(&headers, &right, rows));
    text.push_str("\n\n");
    text.push_str(&foot(chain, listed));
    text
}

fn row(chain: &OptionChain, strike: &Strike) -> Vec<String> {
    let price = output_price(strike.strike);
    let money = chain.at_the_money == Some(strike.strike);
    let middle = if money { format!("> {price} <") } else { format!("{price}  ") };
    let mut cells = mirrored(side(strike.call.as_ref()));
    cells.push(middle);
    cells.extend(side(strike.put.as_ref()));
    cells
}

fn mirrored<T>(mut side: Vec<T>) -> Vec<T> {
    side.swap(1, 2);
    side.reverse();
    side
}

/// The cells of one side in the order of [`SIDE`].
fn side(leg: Option<&Leg>) -> Vec<String> {
    let Some(leg) = leg else { return vec![String::new(); SIDE.len()] };
    let price = |price: Option<f64>| price.map_or_else(String::new, |price| format!("{price:.2}"));
    let volatility = leg.implied_volatility.map_or_else(String::new, |volatility| {
        let mark = if leg.basis == Some(Basis::LastPrice) { "*" } else { "" };
        format!("{:.2}{mark}", volatility * 100.0)
    });
    let mark = match (leg.timestamp, leg.stale) {
        (None, _) => "none",
        (_, Some(Stale::Snapshot)) => "snap",
        (_, Some(stale)) => stale.name(),
        _ => "",
    };
    vec![
        price(leg.last_price),
        price(leg.bid_price),
        price(leg.ask_price),
        leg.greeks.map_or_else(String::new, |greeks| format!("{:.2}", greeks.delta)),
        volatility,
        leg.volume.map_or_else(String::new, short),
        leg.open_interest_change.map_or_else(String::new, signed),
        leg.open_interest.map_or_else(String::new, short),
        mark.to_owned(),
    ]
}

/// `12,345` as it is, `1234.6k` and `12.35M` from 100,000 on.
fn short(number: u64) -> String {
    match number {
        0..100_000 => output::grouped(number),
        100_000..10_000_000 => format!("{:.1}k", number as f64 / 1e3),
        _ => format!("{:.2}M", number as f64 / 1e6),
    }
}

fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "+" };
    format!("{sign}{}", short(number.unsigned_abs()))
}

/// A strike or price without decimals that it does not have.
fn output_price(price: f64) -> String {
    let text = format!("{price:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What, of when, and the prices beside it.
fn head(chain: &OptionChain) -> String {
    let expires = chain.expires_at.to_string();
    let mut text = format!(
        "{} {} {}, as of {} IST; {:.2} days to its end at {}",
        chain.exchange,
        chain.underlying,
        chain.expiry,
        chain.at.to_string()[..19].replace('T', " "),
        chain.days_to_expiry,
        &expires[11..16],
    );
    let mut prices = Vec::new();
    prices.extend(chain.spot.as_ref().map(|spot| named("spot", spot)));
    prices.push(forward(chain));
    prices.extend(chain.future.as_ref().map(|future| named("future", future)));
    write!(text, "\n{}", prices.join(", ")).ok();
    text
}

fn named(what: &str, reference: &Reference) -> String {
    let stale = reference.stale.map_or_else(String::new, |stale| format!(", {}", stale.name()));
    format!("{what} {:.2} ({}{stale})", reference.last_price, reference.symbol)
}

fn forward(chain: &OptionChain) -> String {
    let Some(forward) = chain.forward else {
        return "no forward: neither quotes nor future nor spot are fresh".to_owned();
    };
    let source = match (forward.source, forward.strikes) {
        (ForwardSource::Parity, Some(1)) => "put-call parity of 1 strike".to_owned(),
        (ForwardSource::Parity, strikes) => format!("put-call parity of {} strikes", strikes.unwrap_or(0)),
        (ForwardSource::Future, _) => "the future's price".to_owned(),
        (ForwardSource::Spot, _) => format!("spot and {:.2} % a year", chain.rate * 100.0),
    };
    format!("forward {:.2} ({source})", forward.price)
}

/// What the chain says as a whole, and what was left out of it.
fn foot(chain: &OptionChain, listed: usize) -> String {
    let totals = &chain.totals;
    let mut parts = Vec::new();
    if let Some(money) = chain.at_the_money {
        let straddle = chain.straddle.map_or_else(
            || "straddle not known: a leg is stale".to_owned(),
            |straddle| format!("straddle {straddle:.2}"),
        );
        parts.push(format!("at the money {}: {straddle}", output_price(money)));
    }
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    parts.push(format!(
        "PCR {} by open interest, {} by volume",
        ratio(totals.pcr_open_interest),
        ratio(totals.pcr_volume)
    ));
    parts.extend(totals.max_pain.map(|pain| format!("max pain {}", output_price(pain))));
    let mut text = parts.join("; ");
    write!(
        text,
        "\n{} legs: {} stale, {} without a tick; {} not in the ratios",
        chain.legs, chain.stale, chain.without_tick, totals.left_out
    )
    .ok();
    let shown = chain.strikes.len();
    if shown < listed {
        write!(text, "; {shown} of {listed} strikes shown (--strikes {listed} shows all)").ok();
    }
    match chain.previous_session {
        Some(session) => write!(text, "\nOI CHG since the end of {session}").ok(),
        None => write!(text, "\nno OI CHG: the session before was not recorded to its end").ok(),
    };
    let legs = || chain.strikes.iter().flat_map(|strike| [&strike.call, &strike.put]).flatten();
    if legs().any(|leg| leg.implied_volatility.is_some() && leg.basis == Some(Basis::LastPrice)) {
        text.push_str("; * implied by the last price: no bid and offer near each other");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_say_so() {
        assert_eq!(short(99_999), "99,999");
        assert_eq!(short(1_234_567), "1234.6k");
        assert_eq!(short(12_345_678), "12.35M");
        assert_eq!(signed(-150_000), "-150.0k");
        assert_eq!(signed(75), "+75");
        assert_eq!((output_price(24_050.0), output_price(88.25)), ("24050".to_owned(), "88.25".to_owned()));
    }
}
