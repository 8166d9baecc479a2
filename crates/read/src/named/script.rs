//! A named query as text that other programs run.

use super::{NamedQuery, ParameterSpec};
use crate::Statement;
use std::fmt::Write as _;

impl NamedQuery {
    /// The statement and its parameters as clickhouse-client takes them: `SET param_…` for each, then the SQL.
    pub fn client_script(&self, statement: &Statement) -> String {
        let mut text = String::new();
        for (name, value) in statement.parameters() {
            // the value is written as a field of tab-separated text, and then as a literal of SQL
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            let about = self.parameters().find(|known| known.name == name).map_or("", |known| known.about);
            // a String takes whatever is written
            writeln!(text, "SET param_{name} = '{value}'; -- {about}").ok();
        }
        writeln!(text, "\n{};", statement.sql().trim_end()).ok();
        text
    }

    /// The statement as Grafana's ClickHouse data source takes it: the dashboard's time range, and variables `symbol` (of several
    /// values; a custom one or one of a query), `exchange` and `session` where the statement asks for them.
    pub fn grafana_sql(&self, statement: &Statement) -> String {
        let mut sql = statement.sql().trim_end().to_owned();
        for known in self.parameters() {
            let given =
                statement.parameters().find(|(name, _)| *name == known.name).map_or("0", |(_, value)| value);
            sql = sql.replace(&placeholder(known), &macro_of(known, given));
        }
        sql.push('\n');
        sql
    }
}

fn placeholder(known: &ParameterSpec) -> String {
    format!("{{{}:{}}}", known.name, known.kind)
}

fn macro_of(known: &ParameterSpec, given: &str) -> String {
    match known.name {
        "date" => "toDate($__toTime, 'Asia/Kolkata')".to_owned(),
        "from" => "toDateTime64($__fromTime, 3, 'Asia/Kolkata')".to_owned(),
        "to" => "toDateTime64($__toTime, 3, 'Asia/Kolkata')".to_owned(),
        "symbols" => "CAST([${symbol:singlequote}], 'Array(String)')".to_owned(),
        "tokens" => "CAST([], 'Array(UInt32)')".to_owned(),
        // empty for all, however the dashboard shows that
        "exchange" => "${exchange:singlequote}".to_owned(),
        "session" => "${session:singlequote}".to_owned(),
        _ => given.to_owned(),
    }
}
