//! A `token_lookup_enriched.json` like those that scripts gather over the years: 400,000 tokens, most of them contracts that expired,
//! written as Python's `json.dump` does, bare `NaN` included. 400,000 entries have about 136 MB.

use std::io::{self, Write};
use tickhouse_model::{IstDateTime, Token};

/// 2026-11-20.
pub(crate) const TODAY: u16 = 20_777;
/// Names, price level and lot of underlyings; option chains take turns.
const UNDERLYINGS: [(&str, u32, u32, &str); 24] = [
    ("NIFTY", 26_000, 75, "null"),
    ("BANKNIFTY", 58_800, 35, "null"),
    ("FINNIFTY", 27_400, 65, "null"),
    ("MIDCPNIFTY", 13_900, 140, "null"),
    ("RELIANCE", 1_546, 500, "\"Oil, Gas & Consumable Fuels\""),
    ("HDFCBANK", 998, 550, "\"Financial Services\""),
    ("ICICIBANK", 1_370, 700, "\"Financial Services\""),
    ("INFY", 1_544, 400, "\"Information Technology\""),
    ("TCS", 3_150, 175, "\"Information Technology\""),
    ("SBIN", 972, 750, "\"Financial Services\""),
    ("AXISBANK", 1_275, 625, "\"Financial Services\""),
    ("KOTAKBANK", 2_086, 400, "\"Financial Services\""),
    ("BHARTIARTL", 2_161, 475, "\"Telecommunication\""),
    ("ITC", 407, 1_600, "\"Fast Moving Consumer Goods\""),
    ("LT", 4_024, 175, "\"Construction\""),
    ("M&M", 3_742, 200, "\"Automobile\""),
    ("MARUTI", 15_981, 50, "\"Automobile\""),
    ("TATASTEEL", 168, 5_500, "\"Metals & Mining\""),
    ("SUNPHARMA", 1_776, 350, "\"Healthcare\""),
    ("NTPC", 326, 1_500, "\"Power\""),
    ("HINDUNILVR", 2_433, 300, "\"Fast Moving Consumer Goods\""),
    ("BAJFINANCE", 1_004, 750, "\"Financial Services\""),
    ("ULTRACEMCO", 11_698, 50, "NaN"),
    ("ADANIENT", 2_421, 300, "NaN"),
];
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// Writes a file of `count` tokens.
pub(crate) fn write(mut out: impl Write, count: u32) -> io::Result<()> {
    out.write_all(b"{")?;
    for number in 0..count {
        if number > 0 {
            out.write_all(b", ")?;
        }
        if number % 20 == 0 { share(&mut out, number)? } else { contract(&mut out, number)? }
    }
    out.write_all(b"}")
}

/// One of twenty is a share, of NSE and BSE in turn.
fn share(out: &mut impl Write, number: u32) -> io::Result<()> {
    let (exchange, segment) = [("NSE", 1), ("BSE", 4)][number as usize / 20 % 2];
    let token = Token::new(1_000 + number, segment);
    let (name, _, _, sector) = UNDERLYINGS[number as usize / 20 % UNDERLYINGS.len()];
    let symbol = format!("{name}{number}");
    write!(
        out,
        "\"{token}\": {{\"symbol\": \"{symbol}\", \"tradingsymbol\": \"{symbol}\", \
         \"name\": \"{name} NUMBER {number} LIMITED\", \"exchange\": \"{exchange}\", \"segment\": \"{exchange}\", \
         \"instrument_type\": \"EQ\", \"asset_class\": \"EQ\", \"sector\": {sector}, \"expiry\": NaN, \"strike_price\": NaN, \
         \"tick_size\": 0.05, \"lot_size\": 1, \"source\": \"Zerodha_API\"}}"
    )
}

/// A future, or a call or put of a chain of 100 strikes; every chain has an expiry of its own, most in the past.
fn contract(out: &mut impl Write, number: u32) -> io::Result<()> {
    let chain = number / 200;
    let (name, price, lot, sector) = UNDERLYINGS[chain as usize % UNDERLYINGS.len()];
    // Tuesdays, from two years back to half a year ahead
    let weeks = (chain / UNDERLYINGS.len() as u32 * 7 + chain) % 130;
    let expiry = u32::from(TODAY) + 4 + 26 * 7 - weeks * 7;
    let date = IstDateTime { days_since_epoch: expiry as i32, second_of_day: 0 };
    let (year, month, day) = date.date();
    let (year, month) = (year % 100, MONTHS[usize::from(month) - 1]);
    let step = (price / 250).max(1);
    let strike = price - step * 50 + step * (number / 2 % 100);
    let (kind, segment) = match number % 200 {
        1 => ("FUT", "NFO-FUT"),
        odd if odd % 2 == 1 => ("CE", "NFO-OPT"),
        _ => ("PE", "NFO-OPT"),
    };
    let (symbol, strike) = match kind {
        "FUT" => (format!("{name}{year}{month}{day:02}FUT"), 0),
        _ => (format!("{name}{year}{month}{day:02}{strike}{kind}"), strike),
    };
    write!(
        out,
        "\"{}\": {{\"symbol\": \"{symbol}\", \"tradingsymbol\": \"{symbol}\", \"name\": \"{name}\", \
         \"exchange\": \"NFO\", \"segment\": \"{segment}\", \"instrument_type\": \"{kind}\", \"asset_class\": \"{kind}\", \
         \"sector\": {sector}, \"expiry\": \"{}\", \"strike_price\": {strike}.0, \"tick_size\": 0.05, \"lot_size\": {lot}, \
         \"source\": \"Zerodha_API\"}}",
        Token::new(30_000 + number, 2),
        date.date_text()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhouse_enrich::InstrumentTableBuilder;

    #[test]
    fn every_entry_is_an_instrument_of_its_own() {
        let mut file = Vec::new();
        write(&mut file, 20_000).unwrap();
        let mut builder = InstrumentTableBuilder::new();
        let report = builder.read_token_lookup(&file[..]).unwrap();
        assert_eq!((report.rows, report.added, report.bad), (20_000, 20_000, 0), "{report}");
        let expired =
            builder.finish().iter().filter(|it| it.expiry_days != 0 && it.expiry_days < TODAY).count();
        assert!((12_000..17_000).contains(&expired), "{expired}");
    }
}
