//! Tokens of trading symbols: older records name the instrument, not its number.

use rustc_hash::FxHashMap;
use tickhouse_enrich::InstrumentTable;
use tickhouse_model::InstrumentKind;

/// Where a bare symbol is looked for first.
const EXCHANGES: [&str; 8] = ["NSE", "BSE", "NFO", "BFO", "MCX", "CDS", "BCD", "NCO"];

/// Tokens by name. Some 100 B per instrument.
#[derive(Debug, Default)]
pub struct Names {
    /// `NSE:INFY`.
    with_exchange: FxHashMap<Box<str>, u32>,
    /// `INFY`: of the first exchange that has it.
    bare: FxHashMap<Box<str>, u32>,
    tokens: rustc_hash::FxHashSet<u32>,
}

impl Names {
    /// The names of a table: trading symbols, and what people call indices.
    pub fn new(table: &InstrumentTable) -> Self {
        let mut names = Self::default();
        let mut ranks: FxHashMap<u32, usize> = FxHashMap::default();
        for one in table.iter() {
            let exchange = table.text(one.exchange);
            let rank = EXCHANGES.iter().position(|known| *known == exchange).unwrap_or(EXCHANGES.len());
            ranks.insert(one.token.0, rank);
            names.tokens.insert(one.token.0);
            for name in [table.text(one.tradingsymbol), table.text(one.symbol)] {
                // only an index is known by a symbol of its own
                if name.is_empty()
                    || (one.kind != InstrumentKind::Index && name != table.text(one.tradingsymbol))
                {
                    continue;
                }
                names.with_exchange.insert(format!("{exchange}:{name}").into(), one.token.0);
                let bare = names.bare.entry(name.into()).or_insert(one.token.0);
                if ranks.get(bare).is_none_or(|other| rank < *other) {
                    *bare = one.token.0;
                }
            }
        }
        names
    }

    /// The token of a symbol, which may carry its exchange: `INFY`, `NSE:INFY`.
    pub fn token(&self, exchange: &str, symbol: &str) -> Option<u32> {
        let symbol = symbol.trim();
        if !exchange.is_empty()
            && let Some(token) = self.with_exchange.get(format!("{exchange}:{symbol}").as_str())
        {
            return Some(*token);
        }
        if symbol.contains(':') {
            return self.with_exchange.get(symbol).copied();
        }
        exchange.is_empty().then(|| self.bare.get(symbol).copied()).flatten()
    }

    /// Whether there is an instrument of this number.
    pub fn knows(&self, token: u32) -> bool {
        self.tokens.contains(&token)
    }
}
