//! Bars of ticks, volume and range, day by day.

use super::series::{Part, Series};
use super::{BarOptions, check_made, pieces};
use crate::{ReadError, Reader, Window};
use tickhouse_bars::{Bar, SliceLength, StreamBars, StreamRule, TickSeen};
use tickhouse_model::Timestamp;

impl Reader {
    /// The bars of one contract that begin in the window. They are counted from the begin of each day, so that the window changes
    /// none.
    pub(super) async fn stream_bars_of(
        &self,
        series: &Series,
        part: &Part,
        rule: StreamRule,
        window: &Window,
        options: &BarOptions,
    ) -> Result<Vec<Bar>, ReadError> {
        let gaps = self.gaps_of(part, options.now).await?;
        let mut stream = StreamBars::new(rule, options.calendar.clone(), series.market, &gaps);
        let mut found: Vec<Bar> = Vec::new();
        let inside = |bar: &Bar| window.from <= bar.start && bar.start < window.to;
        for day in pieces(part, SliceLength::Second) {
            for row in self.ticks_of_day(&day).await? {
                let carries_total = row.carries_total != 0;
                let tick = TickSeen {
                    at: Timestamp::from_millis(row.at),
                    price: row.price,
                    total: carries_total.then_some(row.volume),
                    is_first_trade: carries_total && row.volume == u64::from(row.last_traded_quantity),
                    open_interest: (row.carries_open_interest != 0).then_some(row.open_interest),
                };
                found.extend(stream.push(&tick).into_iter().flatten().filter(&inside));
            }
            check_made(found.len())?;
        }
        found.extend(stream.finish(options.now).filter(inside));
        Ok(found)
    }
}
