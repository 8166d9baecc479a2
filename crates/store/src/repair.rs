//! Mending what hangs on `tick_data` after an insert whose answer was lost.
//!
//! The rows of a batch are in `tick_data` or not: they are counted. Its views are written after it, so a server that was
//! killed between the two leaves rows without their bars, latest prices and index values.

use crate::bar_states::{BarSlice, bar_states};
use crate::migrate::section;
use crate::ticks::Partition;
use crate::{Store, StoreError};
use uuid::Uuid;

/// Ticks, and those that a retention has moved aside.
const WITH_TICKS_ASIDE: &str = "(SELECT * FROM tick_data UNION ALL SELECT * FROM tick_data_retired)";

/// A live tick's minute lies at most this far from its receive time, give or take the minute itself.
const REACH_SECONDS: u32 = 11 * 60;

impl Store {
    /// Brings the bars, latest prices and index values of a batch in line with the rows of `tick_data`: call it after the rows of
    /// an ambiguous batch were counted and are there. Running it twice changes nothing.
    ///
    /// Highest, lowest, first and last states are written again, which can't spoil them. Tick counts are counted again from
    /// `tick_data` over every batch and corrected by the difference, so nobody else may insert ticks of the same
    /// instruments meanwhile; where somebody does, calling it once more afterwards mends it. Reads the batch's partition and
    /// its neighbours within eleven minutes.
    ///
    /// # Errors
    /// When a statement fails; call it again.
    pub async fn repair_batch(
        &self,
        batch_id: Uuid,
        partitions: &[(Partition, u32)],
    ) -> Result<(), StoreError> {
        // what a retention has moved aside for the moment counts as well
        let ticks = if self.has_ticks_aside().await? { WITH_TICKS_ASIDE } else { "tick_data" };
        for (partition, _) in partitions {
            let date = tickhouse_model::IstDateTime {
                days_since_epoch: i32::from(partition.date),
                second_of_day: 0,
            }
            .date_text();
            let rows = format!("date = '{date}' AND hour = {} AND batch_id = '{batch_id}'", partition.hour);
            self.repair("mend the bars of a batch", &bars(&rows, ticks)).await?;
            self.renew_latest_prices(&rows).await?;
            self.repair("mend the index values of a batch", &index_values(&rows, batch_id)).await?;
        }
        Ok(())
    }

    /// Writes the latest prices of some rows of `tick_data` again, which can't spoil them.
    pub(crate) async fn renew_latest_prices(&self, rows: &str) -> Result<(), StoreError> {
        let latest = section("latest prices");
        let of_rows =
            latest.replace("FROM tick_data\n", &format!("FROM (SELECT * FROM tick_data WHERE {rows})\n"));
        self.repair("mend latest prices", &format!("INSERT INTO latest_prices {of_rows}")).await
    }

    async fn repair(&self, doing: &'static str, sql: &str) -> Result<(), StoreError> {
        // a repeat of the same correction is wanted, not refused as a duplicate
        let done = self
            .insert_client()
            .clone()
            .with_setting("deduplicate_insert", "disable")
            .query_raw(sql)
            .execute();
        done.await.map_err(|source| StoreError::query(doing, source))
    }
}

/// The states of every minute that the rows touch, from all of its ticks, with the count as a difference. `ticks` is where ticks are.
fn bars(rows: &str, ticks: &str) -> String {
    let touched = bar_states(&format!("(SELECT * FROM {ticks} WHERE {rows})"), BarSlice::Minute);
    let within = format!(
        "instrument_token IN (SELECT instrument_token FROM touched) \
         AND date BETWEEN (SELECT min(date) - 1 FROM touched) AND (SELECT max(date) + 1 FROM touched) \
         AND timestamp >= (SELECT min(timestamp) - {REACH_SECONDS} FROM {ticks} WHERE {rows}) \
         AND timestamp <= (SELECT max(timestamp) + {REACH_SECONDS} FROM {ticks} WHERE {rows})"
    );
    let all = bar_states(&format!("(SELECT * FROM {ticks} WHERE {within})"), BarSlice::Minute);
    format!(
        "INSERT INTO tick_data_1min_state (instrument_token, date, minute, first, last, high, low, total_high, total_low, \
         last_open_interest, ticks, gap, day_open, day_high, day_low) \
         WITH touched AS (SELECT instrument_token, date, minute FROM ({touched})), \
         counted AS (SELECT instrument_token, date, minute, sum(ticks) AS ticks FROM tick_data_1min_state \
         WHERE (instrument_token, date, minute) IN (SELECT instrument_token, date, minute FROM touched) \
         GROUP BY instrument_token, date, minute) \
         SELECT instrument_token, date, minute, first, last, high, low, total_high, total_low, last_open_interest, \
         states.ticks - counted.ticks AS ticks, gap, day_open, day_high, day_low \
         FROM ({all}) AS states LEFT JOIN counted USING (instrument_token, date, minute) \
         WHERE (instrument_token, date, minute) IN (SELECT instrument_token, date, minute FROM touched)"
    )
}

/// The index values of the rows, unless the batch has some of them: they come in one block, all or none. Values that were
/// published as such have a stream.
fn index_values(rows: &str, batch_id: Uuid) -> String {
    let values = section("index values").replace(
        "FROM tick_data\n",
        &format!(
            "FROM (SELECT * FROM tick_data WHERE {rows} AND (SELECT count() FROM indices_data \
             WHERE batch_id = '{batch_id}' AND stream = '' AND {rows}) = 0)\n"
        ),
    );
    format!(
        "INSERT INTO indices_data (instrument_token, symbol, timestamp, last_price, net_change, percent_change, \
             open, high, low, close, volume, date, hour, batch_id) {values}"
    )
}
