//! Rows for people: columns as wide as they need, numbers to the right, times of India.
//!
//! What enters: names, the server's types, values. What leaves: text. What never happens here: a value that is cut or rounded so
//! that another one could be read.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;
use tickhouse_model::Timestamp;

/// Decimals that a column of prices shows at most.
const DECIMALS: usize = 4;

/// A column: its name, and the server's type of it.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
}

impl Column {
    fn is_number(&self) -> bool {
        let kind = self.kind.trim_start_matches("Nullable(").trim_start_matches("LowCardinality(");
        ["Int", "UInt", "Float", "Decimal", "BFloat"].iter().any(|number| kind.starts_with(number))
    }

    fn is_float(&self) -> bool {
        self.kind.contains("Float")
    }

    fn is_time(&self) -> bool {
        self.kind.contains("DateTime")
    }

    /// Whether its times are not India's already.
    fn is_elsewhere(&self) -> bool {
        self.is_time() && !self.kind.contains("Asia/Kolkata")
    }
}

/// Values of the server (JSON) as a table.
pub(crate) fn render(columns: &[Column], rows: &[Vec<Value>]) -> String {
    let shown: Vec<Vec<String>> =
        columns.iter().enumerate().map(|(at, column)| cells(column, at, rows)).collect();
    let lines = (0..rows.len()).map(|row| shown.iter().map(|column| column[row].clone()).collect());
    let headers: Vec<String> = columns.iter().map(|column| column.name.to_uppercase()).collect();
    let right: Vec<bool> = columns.iter().map(Column::is_number).collect();
    layout(&headers, &right, lines)
}

/// Texts as a table; `right` says which columns are justified to the right.
pub(crate) fn layout(
    headers: &[impl ToString],
    right: &[bool],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headers.iter().map(ToString::to_string));
    table.add_rows(rows);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.get(at).copied().unwrap_or(false) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The texts of one column: floats with the same number of decimals, times without a fraction that all of them lack.
fn cells(column: &Column, at: usize, rows: &[Vec<Value>]) -> Vec<String> {
    let values = || rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
    if column.is_float() {
        let decimals = values().filter_map(Value::as_f64).map(decimals_of).max().unwrap_or(0);
        return values()
            .map(|value| value.as_f64().map_or_else(|| plain(value), |price| format!("{price:.decimals$}")))
            .collect();
    }
    let texts = values().map(|value| if column.is_elsewhere() { of_india(value) } else { plain(value) });
    let texts: Vec<String> = texts.collect();
    let is_whole = |text: &String| text.is_empty() || text.trim_end_matches('0').ends_with('.');
    if column.is_time() && texts.iter().all(is_whole) {
        return texts.into_iter().map(|text| text.split('.').next().unwrap_or_default().to_owned()).collect();
    }
    texts
}

/// Decimals that a number has when it is rounded to [`DECIMALS`].
fn decimals_of(number: f64) -> usize {
    let text = format!("{number:.DECIMALS$}");
    text.split_once('.').map_or(0, |(_, decimals)| decimals.trim_end_matches('0').len())
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A time of UTC as India's.
fn of_india(value: &Value) -> String {
    let text = plain(value);
    let Some(at) = Timestamp::from_text(&format!("{text}Z")) else { return text };
    // 2026-11-20T09:15:00.123+05:30
    let ist = at.to_string();
    ist[..23].replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_stand_under_each_other_and_times_are_of_india() {
        let column = |name: &str, kind: &str| Column { name: name.to_owned(), kind: kind.to_owned() };
        let columns = [
            column("symbol", "LowCardinality(String)"),
            column("last_price", "Float64"),
            column("volume", "UInt64"),
            column("timestamp", "DateTime64(3, 'Asia/Kolkata')"),
            column("processed_at", "DateTime64(3, 'UTC')"),
        ];
        let rows = [
            vec![
                json!("NIFTY"),
                json!(24_000.5),
                json!(7),
                json!("2026-11-20 09:15:00.000"),
                json!("2026-11-20 03:45:00.250"),
            ],
            vec![json!("É"), json!(1), json!(1_234_567), json!("2026-11-20 09:16:00.000"), Value::Null],
        ];
        let expected = "\
SYMBOL  LAST_PRICE   VOLUME  TIMESTAMP            PROCESSED_AT
NIFTY      24000.5        7  2026-11-20 09:15:00  2026-11-20 09:15:00.250
É              1.0  1234567  2026-11-20 09:16:00";
        assert_eq!(render(&columns, &rows), expected);
    }

    #[test]
    fn a_price_keeps_its_decimals_and_no_noise() {
        assert_eq!([0.0, 100.05, 0.1 + 0.2, 83.1225, 1e-9].map(decimals_of), [0, 2, 1, 4, 0]);
    }
}
