//! What the sources do not say: people's names for indices, sectors, asset classes, the hours of agricultural contracts.
//! All of it is data: `data/*.toml`, in one format, of which a user may lay a file of his own on top.

use rustc_hash::FxHashMap;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use tickhouse_model::{Instrument, InstrumentKind};

const BUILTIN: [(&str, &str); 2] = [
    ("data/indices.toml", include_str!("../data/indices.toml")),
    ("data/sectors.toml", include_str!("../data/sectors.toml")),
];

/// Why a file of rules was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Not TOML, or a key that the format does not have.
    #[error("the rules in {file} are not readable: {source}")]
    Format {
        /// Which file.
        file: String,
        /// What is wrong, with its line.
        #[source]
        source: toml::de::Error,
    },
}

/// When a commodity of MCX trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommodityHours {
    /// As metals and energy do.
    Ordinary,
    /// As agricultural contracts do.
    Agri,
    /// As agricultural contracts with an international reference price do.
    AgriLinked,
}

/// Rules that complete an instrument.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Exchange, then Kite's trading symbol, to people's name.
    indices: FxHashMap<String, FxHashMap<String, String>>,
    /// Trading symbol of a share, or underlying of a derivative, to its sector.
    sectors: FxHashMap<String, String>,
    /// Value of `instrument_type` to asset class.
    asset_classes: FxHashMap<String, String>,
    agri: FxHashMap<String, CommodityHours>,
}

/// The file's format; each section may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default)]
    indices: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    sectors: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    asset_classes: BTreeMap<String, String>,
    #[serde(default)]
    mcx_agri: MarketLists,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarketLists {
    #[serde(default)]
    linked: Vec<String>,
    #[serde(default)]
    other: Vec<String>,
}

impl Rules {
    /// The rules that come with the program.
    pub fn builtin() -> &'static Self {
        static RULES: LazyLock<Rules> = LazyLock::new(|| {
            let mut rules = Rules::default();
            for (file, text) in BUILTIN {
                rules.merge_toml(file, text).expect("a test reads the embedded rules");
            }
            rules
        });
        &RULES
    }

    /// Lays the rules of a file over these; `file` is named in errors.
    ///
    /// # Errors
    /// When `text` is not TOML or has a key that the format does not have; then nothing has changed.
    pub fn merge_toml(&mut self, file: &str, text: &str) -> Result<(), RulesError> {
        let read: RulesFile =
            toml::from_str(text).map_err(|source| RulesError::Format { file: file.to_owned(), source })?;
        for (exchange, names) in read.indices {
            self.indices.entry(exchange).or_default().extend(names);
        }
        for (sector, symbols) in read.sectors {
            self.sectors.extend(symbols.into_iter().map(|symbol| (symbol, sector.clone())));
        }
        self.asset_classes.extend(read.asset_classes);
        let lists =
            [(read.mcx_agri.linked, CommodityHours::AgriLinked), (read.mcx_agri.other, CommodityHours::Agri)];
        for (underlyings, hours) in lists {
            self.agri.extend(underlyings.into_iter().map(|underlying| (underlying, hours)));
        }
        Ok(())
    }

    /// People's name for an index, `None` for what is no index or has no other name.
    pub fn index_name(&self, exchange: &str, tradingsymbol: &str) -> Option<&str> {
        self.indices.get(exchange)?.get(tradingsymbol).map(String::as_str)
    }

    /// Fills `symbol`, `sector` and `asset_class` where they are empty. The symbol of an index is people's name even when
    /// the source says Kite's.
    pub fn complete(&self, instrument: &mut Instrument) {
        let kind = instrument.instrument_type;
        if kind == InstrumentKind::Index
            && let Some(name) = self.index_name(&instrument.exchange, &instrument.tradingsymbol)
        {
            name.clone_into(&mut instrument.symbol);
        }
        if instrument.symbol.is_empty() {
            instrument.symbol.clone_from(&instrument.tradingsymbol);
        }
        if instrument.asset_class.is_empty() {
            let class = self.asset_classes.get(kind.name()).map_or(kind.name(), String::as_str);
            class.clone_into(&mut instrument.asset_class);
        }
        if instrument.sector.is_empty() {
            self.sector(instrument).clone_into(&mut instrument.sector);
        }
    }

    fn sector(&self, instrument: &Instrument) -> &str {
        let sector = |name: &str| self.sectors.get(name).map_or("", String::as_str);
        match instrument.instrument_type {
            InstrumentKind::Index => "",
            InstrumentKind::Future | InstrumentKind::Call | InstrumentKind::Put => {
                sector(&instrument.underlying)
            }
            InstrumentKind::Equity | InstrumentKind::Other => match sector(&instrument.tradingsymbol) {
                // a share in another series: CENTRALBK-BE
                "" => instrument.tradingsymbol.rsplit_once('-').map_or("", |(share, _)| sector(share)),
                found => found,
            },
        }
    }

    pub(crate) fn commodity_hours(&self, underlying: &str) -> CommodityHours {
        self.agri.get(underlying).copied().unwrap_or(CommodityHours::Ordinary)
    }
}
