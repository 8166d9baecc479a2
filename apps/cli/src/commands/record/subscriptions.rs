//! From what a user wrote to the tokens and modes that are recorded.

use crate::instruments;
use std::collections::BTreeSet;
use std::time::Duration;
use tickhouse_config::{Chosen, Config, Kite};
use tickhouse_enrich::InstrumentTable;
use tickhouse_source::Subscription;

/// Pauses between attempts to fetch the instruments.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// How many of those left out are named.
const NAMED: usize = 5;

/// What is recorded.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) subscriptions: Vec<Subscription>,
    /// Instruments that were asked for and do not fit the limits.
    pub(crate) left_out: usize,
}

/// Finds the tokens. Waits for the exchange's list of instruments, if that is needed, for as long as it takes.
pub(crate) async fn resolve(config: &Config, keys: usize) -> anyhow::Result<Resolved> {
    let settings = &config.kite;
    let table = if settings.subscribe.iter().any(tickhouse_config::Selection::needs_instruments) {
        fetch(&settings.api_url).await
    } else {
        InstrumentTable::empty()
    };
    let wanted = choose(settings, &table)?;
    let capacity = keys * settings.sockets_per_key * settings.tokens_per_socket;
    let left_out = wanted.len().saturating_sub(capacity);
    if left_out > 0 {
        let first: Vec<u32> = wanted[capacity..].iter().take(NAMED).map(|wanted| wanted.token.0).collect();
        tracing::warn!(
            wanted = wanted.len(),
            capacity,
            left_out,
            ?first,
            "more instruments than the keys carry: the rest is not recorded; narrow kite.subscribe or add API keys"
        );
    }
    Ok(Resolved { subscriptions: wanted.into_iter().take(capacity).collect(), left_out })
}

async fn fetch(api_url: &str) -> InstrumentTable {
    let mut pause = PAUSES.0;
    loop {
        match instruments::fetch(api_url).await {
            Ok(table) => return table,
            Err(error) => tracing::warn!(
                api_url,
                error = format!("{error:#}"),
                pause_s = pause.as_secs(),
                "the list of instruments can't be fetched, trying again"
            ),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Entry by entry, so that what is named first is kept when there is no room for all; an instrument counts once, as its
/// first entry has it.
fn choose(settings: &Kite, table: &InstrumentTable) -> anyhow::Result<Vec<Subscription>> {
    let mut seen = BTreeSet::new();
    let mut chosen = Vec::new();
    for selection in &settings.subscribe {
        let mode = selection.mode.unwrap_or(settings.mode);
        let before = chosen.len();
        let mut known = 0;
        if let Chosen::Token(token) = selection.chosen {
            known = 1;
            if seen.insert(token) {
                chosen.push(Subscription { token, mode });
            }
        } else {
            for instrument in table.iter() {
                let (exchange, symbol) =
                    (table.text(instrument.exchange), table.text(instrument.tradingsymbol));
                if selection.matches(instrument.token, exchange, symbol) {
                    known += 1;
                    if seen.insert(instrument.token) {
                        chosen.push(Subscription { token: instrument.token, mode });
                    }
                }
            }
        }
        if known == 0 {
            tracing::warn!(%selection, "selects no instrument of today's list");
        }
        tracing::debug!(%selection, instruments = chosen.len() - before, "selected");
    }
    anyhow::ensure!(!chosen.is_empty(), "kite.subscribe selects no instrument of today's list");
    Ok(chosen)
}
