//! Ticks that were stored before their instrument was known: which there are, and joining them to it later.
//!
//! What enters: rows of `tick_data` with `data_quality = 'raw'`, and `instruments`. What leaves: the same rows as `'corrected'`,
//! with what their token meant on their day. What never happens here: a row that is inserted, deleted or counted twice. A
//! row's own values stay; only what is empty is filled.
//!
//! How: one `ALTER TABLE … UPDATE` for each partition that has such rows. A mutation rewrites the named columns of the parts that
//! match and swaps each part at once, so readers see a row before or after, and identities, order and the `batch_rows`
//! projection stay as they are (the loader counts batches by it meanwhile). The values are literals of the statement,
//! not a dictionary or Join table: a mutation outlives us and the server's restart, and what it needs must too. Whoever is killed runs it
//! again: what is mended is not `'raw'` any more.
//!
//! Measured on 6 M rows of one partition, of which 133,334 of 200 tokens were raw, nine columns: literals 2.8 s, `joinGet` from a
//! Join table 0.9 s, a lightweight `UPDATE` 0.1 s, after which readers took three times as long until the next merge, and which wants two more
//! columns in every row. Bars have no names and need nothing; `indices_data` has the symbol in its key, so there mended rows
//! are inserted and the nameless ones deleted.

use crate::instruments::{ATTRIBUTES, date_text, expiry_days};
use crate::{Store, StoreError};
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tickhouse_model::Instrument;
use uuid::Uuid;

/// Tokens of one statement: with all their values about 1 MB.
const TOKENS_AT_ONCE: usize = 5_000;

/// Rows of a partition that can be mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MendPartition {
    /// The server's id of the partition.
    pub partition: String,
    /// Day of its ticks, as days since 1970-01-01.
    pub day: u16,
    /// Tokens that are raw there and known now.
    pub tokens: Vec<u32>,
    /// Their raw rows.
    pub rows: u64,
}

/// What can be mended, and what can't yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MendPlan {
    /// By partition, oldest first.
    pub partitions: Vec<MendPartition>,
    /// Raw rows whose token means nothing on their day, as far as is known.
    pub unknown_rows: u64,
    /// Rows of `indices_data` without a symbol whose token is known.
    pub index_rows: u64,
}

/// A token of which ticks are stored raw.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct MissingToken {
    /// The token.
    pub instrument_token: u32,
    /// Its exchange, by the token's segment; empty for an index.
    pub exchange: String,
    /// Raw rows.
    pub ticks: u64,
    /// Receive time of the first, India's wall clock.
    pub first_seen: String,
    /// Receive time of the last, India's wall clock.
    pub last_seen: String,
    /// Trading symbol, where the token is known now: `mend` joins it.
    pub known_as: String,
}

impl Store {
    /// Tokens that are stored raw from `since` (days since 1970-01-01) on, the most frequent first. Reads one narrow column of
    /// all ticks since then.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn missing_tokens(&self, since: u16) -> Result<Vec<MissingToken>, StoreError> {
        let sql = "SELECT instrument_token, exchange, ticks, toString(first) AS first_seen, toString(last) AS last_seen, \
                   known.tradingsymbol AS known_as FROM \
                   (SELECT instrument_token, toString(any(exchange)) AS exchange, count() AS ticks, min(timestamp) AS first, \
                    max(timestamp) AS last, max(date) AS day FROM tick_data \
                    WHERE data_quality = 'raw' AND date >= toDate(?) GROUP BY instrument_token) AS raw \
                   LEFT JOIN (SELECT instrument_token, tradingsymbol, valid_from, valid_to FROM instruments FINAL) AS known \
                   ON known.instrument_token = raw.instrument_token AND raw.day BETWEEN known.valid_from AND known.valid_to \
                   ORDER BY ticks DESC, instrument_token";
        let query = self.client().query(sql).bind(since).fetch_all::<MissingToken>();
        query.await.map_err(|source| StoreError::query("look for unknown tokens", source))
    }

    /// What [`Store::mend_partition`] and [`Store::mend_indices`] would do.
    ///
    /// # Errors
    /// When a query fails.
    pub async fn mend_plan(&self) -> Result<MendPlan, StoreError> {
        #[derive(Row, Deserialize)]
        struct Raw {
            partition: String,
            day: u16,
            instrument_token: u32,
            is_known: bool,
            ticks: u64,
        }
        // what is unknown comes as one row, however many tokens and days it is
        let sql = "SELECT if(known.found, raw.id, '') AS partition, if(known.found, raw.on_day, toDate(0)) AS day, \
                   if(known.found, raw.token, 0) AS instrument_token, known.found AS is_known, sum(raw.rows) AS ticks FROM \
                   (SELECT _partition_id AS id, date AS on_day, instrument_token AS token, count() AS rows FROM tick_data \
                    WHERE data_quality = 'raw' GROUP BY id, on_day, token) AS raw \
                   LEFT JOIN (SELECT instrument_token AS token, valid_from, valid_to, true AS found FROM instruments FINAL) \
                   AS known ON known.token = raw.token AND raw.on_day BETWEEN known.valid_from AND known.valid_to \
                   GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 3";
        let failed = |source| StoreError::query("look for rows to mend", source);
        let mut plan = MendPlan::default();
        let mut rows = self.client().query_raw(sql).fetch::<Raw>().map_err(failed)?;
        while let Some(raw) = rows.next().await.map_err(failed)? {
            if !raw.is_known {
                plan.unknown_rows += raw.ticks;
                continue;
            }
            let same = |at: &MendPartition| at.partition == raw.partition && at.day == raw.day;
            if !plan.partitions.last().is_some_and(same) {
                let Raw { partition, day, .. } = raw;
                plan.partitions.push(MendPartition { partition, day, tokens: Vec::new(), rows: 0 });
            }
            if let Some(at) = plan.partitions.last_mut() {
                at.tokens.push(raw.instrument_token);
                at.rows += raw.ticks;
            }
        }
        let sql = format!("SELECT count() FROM indices_data WHERE {NAMELESS_INDEX}");
        plan.index_rows = self.client().query_raw(&sql).fetch_one::<u64>().await.map_err(failed)?;
        Ok(plan)
    }

    /// Mends the rows of one partition, and returns when they are.
    ///
    /// # Cancel safety
    /// A dropped future leaves the server to finish the partition by itself; mending again does the rest.
    ///
    /// # Errors
    /// When the server refuses or the mutation fails, which is then taken back; rows that are mended stay so.
    pub async fn mend_partition(&self, at: &MendPartition) -> Result<(), StoreError> {
        for tokens in at.tokens.chunks(TOKENS_AT_ONCE) {
            let instruments = self.instruments_on(at.day, tokens).await?;
            if instruments.is_empty() {
                continue;
            }
            // a condition that is always true and names the mutation
            let mark = Uuid::new_v4().simple().to_string();
            let sql = mutation(at, &instruments, &mark);
            let client = self.client().clone().with_setting("mutations_sync", "1");
            let client = client.with_setting("max_query_size", "67108864");
            if let Err(source) = client.query_raw(&sql).execute().await {
                self.take_back(&mark).await;
                return Err(StoreError::query("mend the rows of a partition", source));
            }
            let rows = format!(
                "_partition_id = '{}' AND instrument_token IN ({})",
                at.partition.replace('\'', ""),
                list(instruments.keys().map(u32::to_string))
            );
            self.renew_latest_prices(&rows).await?;
        }
        Ok(())
    }

    /// Gives index values without a symbol the one of their token, and returns when it is done.
    ///
    /// Mended rows are inserted before the nameless ones are deleted: for a moment both are there. Whoever is killed between runs it
    /// again. An insert that a killed caller left running is ended first, since its rows can't be seen yet; so is one of a caller
    /// that lives, whose call fails.
    ///
    /// # Errors
    /// When a statement fails; call it again.
    pub async fn mend_indices(&self) -> Result<(), StoreError> {
        let key = "instrument_token, timestamp, batch_id, stream, epoch, session, sequence";
        let insert = format!(
            "INSERT INTO indices_data SELECT index.* REPLACE (known.symbol AS symbol) FROM \
             (SELECT * FROM indices_data WHERE {NAMELESS_INDEX} \
              AND ({key}) NOT IN (SELECT {key} FROM indices_data WHERE symbol != '')) AS index \
             INNER JOIN (SELECT instrument_token, symbol, valid_from, valid_to FROM instruments FINAL) AS known \
             ON known.instrument_token = index.instrument_token AND index.date BETWEEN known.valid_from AND known.valid_to"
        );
        let mark = format!("mend-indices/{}/", self.options().database);
        let kill = "KILL QUERY WHERE startsWith(query_id, ?) SYNC FORMAT Null";
        let ended = self.client().query(kill).bind(&mark).execute().await;
        ended.map_err(|source| StoreError::query("end an earlier insert of mended index values", source))?;
        let client = self.insert_client().clone().with_setting("insert_deduplicate", "0");
        let client = client.with_setting("query_id", format!("{mark}{}", Uuid::new_v4().simple()));
        let done = client.query_raw(&insert).execute().await;
        done.map_err(|source| StoreError::query("insert mended index values", source))?;
        let delete = format!(
            "ALTER TABLE indices_data DELETE WHERE symbol = '' AND ({key}) IN \
             (SELECT {key} FROM indices_data WHERE symbol != '') SETTINGS mutations_sync = 1"
        );
        let done = self.client().query_raw(&delete).execute().await;
        done.map_err(|source| StoreError::query("delete nameless index values", source))
    }

    async fn instruments_on(
        &self,
        day: u16,
        tokens: &[u32],
    ) -> Result<BTreeMap<u32, Instrument>, StoreError> {
        let sql = format!(
            "SELECT {ATTRIBUTES}, valid_from, valid_to FROM instruments FINAL \
             WHERE valid_from <= toDate({day}) AND valid_to >= toDate({day}) AND instrument_token IN ({})",
            list(tokens.iter().map(u32::to_string))
        );
        let mut cursor = self.instrument_rows(&sql)?;
        let mut found = BTreeMap::new();
        while let Some(version) = cursor.next().await? {
            found.insert(version.instrument.token.0, version.instrument);
        }
        Ok(found)
    }

    /// A mutation that can't be done would be tried for ever, and hold up those behind it.
    async fn take_back(&self, mark: &str) {
        let sql = "KILL MUTATION WHERE database = currentDatabase() AND table = 'tick_data' AND position(command, ?) > 0 \
                   AND latest_fail_reason != '' FORMAT Null";
        if let Err(error) = self.client().query(sql).bind(mark).execute().await {
            tracing::warn!(%error, mark, "a mutation that failed could not be taken back: see system.mutations");
        }
    }
}

/// Rows of `indices_data` that can be mended.
const NAMELESS_INDEX: &str = "symbol = '' AND (instrument_token, date) IN \
     (SELECT instrument_token, date FROM (SELECT DISTINCT instrument_token, date FROM indices_data WHERE symbol = '') AS nameless \
      INNER JOIN (SELECT instrument_token, valid_from, valid_to FROM instruments FINAL WHERE symbol != '') AS known \
      ON known.instrument_token = nameless.instrument_token AND nameless.date BETWEEN known.valid_from AND known.valid_to)";

/// The statement for a partition.
fn mutation(at: &MendPartition, instruments: &BTreeMap<u32, Instrument>, mark: &str) -> String {
    let tokens = list(instruments.keys().map(u32::to_string));
    let text = |column: &str, value: fn(&Instrument) -> &str| {
        let values: Vec<String> = instruments.values().map(|it| quoted(value(it))).collect();
        let value = choice(&tokens, &values, "''");
        value.map(|value| format!("{column} = if({column} = '', {value}, {column})"))
    };
    let expiries: Vec<String> =
        instruments.values().map(|it| format!("toDate({})", expiry_days(it))).collect();
    let strikes: Vec<String> = instruments.values().map(|it| format!("toFloat64({})", it.strike)).collect();
    let updates = [
        text("symbol", |it| &it.symbol),
        text("exchange", |it| &it.exchange),
        text("tradingsymbol", |it| &it.tradingsymbol),
        text("underlying", |it| &it.underlying),
        text("sector", |it| &it.sector),
        text("asset_class", |it| &it.asset_class),
        text("instrument_type", |it| it.instrument_type.name()),
        choice(&tokens, &expiries, "toDate(0)")
            .map(|value| format!("expiry = if(expiry = toDate(0), {value}, expiry)")),
        choice(&tokens, &strikes, "toFloat64(0)")
            .map(|value| format!("strike = if(strike = 0, {value}, strike)")),
        Some("data_quality = 'corrected'".to_owned()),
    ];
    let updates = updates.into_iter().flatten().collect::<Vec<_>>().join(", ");
    format!(
        "ALTER TABLE tick_data UPDATE {updates} IN PARTITION ID {} WHERE data_quality = 'raw' AND date = '{}' \
         AND instrument_token IN ({tokens}) AND '{mark}' != ''",
        quoted(&at.partition),
        date_text(at.day),
    )
}

/// The value of each token: the one value, where all share it, `None` where all are `empty`.
fn choice(tokens: &str, values: &[String], empty: &str) -> Option<String> {
    let first = values.first()?;
    if values.iter().all(|value| value == first) {
        return (first != empty).then(|| first.clone());
    }
    Some(format!("transform(instrument_token, [{tokens}], [{}], {empty})", list(values.iter().cloned())))
}

fn list(items: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for (number, item) in items.enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        // writing to a string can't fail
        write!(text, "{comma}{item}").ok();
    }
    text
}

/// A literal: names come from files.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_end_its_quotes() {
        assert_eq!(quoted(r"O'NEIL\"), r"'O\'NEIL\\'");
    }

    #[test]
    fn a_value_that_all_share_is_said_once_and_one_that_none_has_not_at_all() {
        let values = |values: &[&str]| values.iter().map(|value| quoted(value)).collect::<Vec<_>>();
        assert_eq!(choice("1, 2", &values(&["", ""]), "''"), None);
        assert_eq!(choice("1, 2", &values(&["NFO", "NFO"]), "''"), Some("'NFO'".to_owned()));
        let different = choice("1, 2", &values(&["A", ""]), "''");
        assert_eq!(different.unwrap(), "transform(instrument_token, [1, 2], ['A', ''], '')");
    }
}
