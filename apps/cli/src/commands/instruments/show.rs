//! Instruments on a terminal, or as JSON lines.

use super::date_text;
use crate::output::{self, grouped};
use serde::Serialize;
use serde_json::json;
use tickhouse_enrich::ReadReport;
use tickhouse_store::{InstrumentChange, InstrumentLine, Master, MasterReport, MissingToken};

/// One JSON object per line.
fn json_lines(items: &[impl Serialize]) -> anyhow::Result<()> {
    items.iter().try_for_each(output::json)
}

fn table(headers: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    Ok(output::line(&crate::table::layout(headers, &[], rows.iter().cloned()))?)
}

/// What a search found.
pub(super) fn lines(found: &[InstrumentLine], json: bool) -> anyhow::Result<()> {
    if json {
        return json_lines(found);
    }
    if found.is_empty() {
        return Ok(output::line("nothing found")?);
    }
    let row = |it: &InstrumentLine| {
        vec![
            it.instrument_token.to_string(),
            it.exchange.clone(),
            it.tradingsymbol.clone(),
            it.underlying.clone(),
            it.instrument_type.clone(),
            it.expiry.clone(),
            if it.strike == 0.0 { String::new() } else { it.strike.to_string() },
            it.lot_size.to_string(),
            it.sector.clone(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    table(&["TOKEN", "EXCHANGE", "SYMBOL", "NAME", "TYPE", "EXPIRY", "STRIKE", "LOT", "SECTOR"], &rows)
}

/// Everything of a few instruments.
pub(super) fn details(found: &[InstrumentLine], json: bool) -> anyhow::Result<()> {
    if json {
        return json_lines(found);
    }
    for it in found {
        let from = if it.valid_from.is_empty() { "before the first master" } else { &it.valid_from };
        let to = if it.valid_to.is_empty() { "now" } else { &it.valid_to };
        output::line(&format!(
            "{} {}:{}, from {from} to {to}",
            it.instrument_token, it.exchange, it.tradingsymbol
        ))?;
        let facts = [
            ("symbol", it.symbol.clone()),
            ("name", it.underlying.clone()),
            ("segment", it.segment.clone()),
            ("sector", it.sector.clone()),
            ("asset class", it.asset_class.clone()),
            ("type", it.instrument_type.clone()),
            ("expiry", it.expiry.clone()),
            ("strike", if it.strike == 0.0 { String::new() } else { it.strike.to_string() }),
            ("tick size", it.tick_size.to_string()),
            ("lot size", it.lot_size.to_string()),
        ];
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            output::line(&format!("  {name:<12} {value}"))?;
        }
    }
    Ok(())
}

/// What a load did.
pub(super) fn stored(master: &Master<'_>, read: &ReadReport, report: &MasterReport) -> anyhow::Result<()> {
    let kind = if master.whole { "master" } else { "look-up" };
    let verb = if master.dry_run { "would change" } else { "changed" };
    output::line(&format!(
        "{kind} of {}, {}: {} instruments read, {} repeated, {} left out",
        date_text(master.day),
        master.source,
        grouped(read.rows),
        grouped(read.replaced),
        grouped(read.bad)
    ))?;
    let counts = [
        ("added", report.added),
        ("reused", report.reused),
        ("changed", report.changed),
        ("completed", report.completed),
        ("gone", report.gone),
        ("past", report.past),
        ("unchanged", report.unchanged),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{} {name}", grouped(*count)))
        .collect();
    Ok(output::line(&format!("{verb}: {}", counts.join(", ")))?)
}

/// Differences of two days.
pub(super) fn diff(
    (from, to): (u16, u16),
    counts: &[(String, u64)],
    changes: &[InstrumentChange],
    json: bool,
) -> anyhow::Result<()> {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    if json {
        let counts: serde_json::Map<_, _> =
            counts.iter().map(|(what, count)| (what.clone(), json!(count))).collect();
        return output::json(
            &json!({ "from": date_text(from), "to": date_text(to), "counts": counts, "changes": changes }),
        );
    }
    let words: Vec<String> =
        counts.iter().map(|(what, count)| format!("{} {what}", grouped(*count))).collect();
    let words = if words.is_empty() { "no difference".to_owned() } else { words.join(", ") };
    output::line(&format!("{} to {}: {words}", date_text(from), date_text(to)))?;
    if changes.is_empty() {
        return Ok(());
    }
    let row = |it: &InstrumentChange| {
        let token = it.instrument_token.to_string();
        vec![it.what.clone(), token, it.exchange.clone(), it.tradingsymbol.clone(), it.detail.clone()]
    };
    let rows: Vec<_> = changes.iter().map(row).collect();
    table(&["WHAT", "TOKEN", "EXCHANGE", "SYMBOL", "DETAIL"], &rows)?;
    if total > changes.len() as u64 {
        output::line(&format!("… and {} more: --limit", grouped(total - changes.len() as u64)))?;
    }
    Ok(())
}

/// Unknown tokens.
pub(super) fn missing(tokens: &[MissingToken], json: bool) -> anyhow::Result<()> {
    if json {
        return json_lines(tokens);
    }
    if tokens.is_empty() {
        return Ok(output::line("no tick is stored raw")?);
    }
    let row = |it: &MissingToken| {
        vec![
            it.instrument_token.to_string(),
            it.exchange.clone(),
            grouped(it.ticks),
            it.first_seen.clone(),
            it.last_seen.clone(),
            it.known_as.clone(),
        ]
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    table(&["TOKEN", "EXCHANGE", "TICKS", "FIRST SEEN", "LAST SEEN", "KNOWN NOW AS"], &rows)?;
    if tokens.iter().any(|it| !it.known_as.is_empty()) {
        output::line("`tickhouse instruments mend` joins those that are known now")?;
    }
    Ok(())
}
