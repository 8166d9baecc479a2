//! Bars, ticks and small lines of today.

use super::instruments::{InstrumentAnswer, MOST_TOKENS};
use super::{Answer, json};
use crate::fault::Fault;
use crate::parameters::{self, Parameters};
use crate::state::Web;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tickhouse_bars::{Bar, Interval, Source};
use tickhouse_model::Token;
use tickhouse_read::{Asked, BarOptions, NamedBar, Window, newest_ticks};

const BARS: (u64, u64) = (500, 5_000);
const TICKS: (u64, u64) = (100, 500);
const DAY: Duration = Duration::from_hours(24);
/// Seconds in which a share trades on a day: the shortest session there is, so that enough days are looked at.
const SESSION_SECONDS: u64 = 22_500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bars {
    instrument: String,
    interval: String,
    from: Option<String>,
    to: Option<String>,
    limit: Option<u64>,
}

/// A bar as the page sees it.
#[derive(Serialize)]
struct BarAnswer {
    start: i64,
    end: i64,
    session: &'static str,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: u64,
    open_interest: u64,
    vwap: Option<f64>,
    tick_count: u64,
    complete: bool,
    gap_seconds: u32,
    source: Source,
}

impl From<&Bar> for BarAnswer {
    fn from(bar: &Bar) -> Self {
        Self {
            start: bar.start.as_millis(),
            end: bar.end.as_millis(),
            session: bar.session.name(),
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            open_interest: bar.open_interest,
            // a hundredth of a paisa: more decimals would say something that nobody knows
            vwap: bar.vwap.map(|vwap| (vwap * 1e4).round() / 1e4),
            tick_count: bar.tick_count,
            complete: bar.complete,
            gap_seconds: bar.gap_seconds,
            source: bar.source,
        }
    }
}

/// `GET /v1/bars`
pub(crate) async fn bars(State(web): State<Arc<Web>>, Parameters(asked): Parameters<Bars>) -> Answer {
    let interval: Interval =
        asked.interval.parse().map_err(|error| Fault::bad("bad_interval", format!("{error}")))?;
    let limit = parameters::limit(asked.limit, BARS.0, BARS.1)?;
    // large: kept off the stack of those who wait
    let work = Box::pin(async {
        let instrument = web.reader.instrument(&asked.instrument, web.today()).await?.instrument;
        let bars = web.newest_bars(instrument.token, interval, &asked, limit as usize).await?;
        let newest = &bars[bars.len().saturating_sub(limit as usize)..];
        let bars: Vec<BarAnswer> = newest.iter().map(|named| BarAnswer::from(&named.bar)).collect();
        json(&serde_json::json!({
            "instrument": InstrumentAnswer::from(instrument),
            "interval": asked.interval,
            "bars": bars,
        }))
    });
    web.gate.run(work).await
}

impl Web {
    /// The bars of a window; where it has no begin, so many days back that there are enough of them.
    async fn newest_bars(
        &self,
        token: Token,
        interval: Interval,
        asked: &Bars,
        limit: usize,
    ) -> Result<Vec<NamedBar>, Fault> {
        let now = self.now();
        let options = BarOptions { calendar: Arc::clone(&self.calendar), ..BarOptions::at(now) };
        let span = Asked { from: asked.from.clone(), to: asked.to.clone(), ..Asked::default() };
        let bad_time = |error| Fault::from(tickhouse_read::ReadError::Window(error));
        let name = token.to_string();
        if asked.from.is_some() {
            let window = span.window(now).map_err(bad_time)?;
            return Ok(self.reader.bars(&name, interval, &window, &options).await?);
        }
        let to = span.end(now).map_err(bad_time)?;
        let mut found = Vec::new();
        let Some(first) = self.reader.first_day(token).await? else { return Ok(found) };
        let first = Window::day(first).from;
        for days in days_back(interval, limit) {
            let from = to.minus(DAY * days).max(first);
            let window = Window { from: from.min(to), to };
            found = self.reader.bars(&name, interval, &window, &options).await?;
            if found.len() >= limit || from == first {
                break;
            }
        }
        Ok(found)
    }
}

/// Days back in which so many bars surely are: with week-ends, then with a long break.
fn days_back(interval: Interval, limit: usize) -> [u32; 2] {
    let limit = limit as u64;
    let trading = match interval {
        Interval::Seconds(length) => (limit * u64::from(length)).div_ceil(SESSION_SECONDS),
        Interval::Day => limit,
        Interval::Week => limit * 5,
        Interval::Month => limit * 22,
    };
    // more than the markets have
    let days = |more: u64| u32::try_from((trading * 7).div_ceil(5) + more).unwrap_or(u32::MAX).min(20_000);
    [days(1), days(trading.div_ceil(4) + 9)]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ticks {
    instrument: String,
    limit: Option<u64>,
}

/// `GET /v1/ticks`
pub(crate) async fn ticks(State(web): State<Arc<Web>>, Parameters(asked): Parameters<Ticks>) -> Answer {
    let limit = parameters::limit(asked.limit, TICKS.0, TICKS.1)?;
    let work = async {
        let listed = web.reader.instrument(&asked.instrument, web.today()).await?;
        web.rows("ticks", &newest_ticks(listed.instrument.token, limit)).await
    };
    web.gate.run(work).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sparklines {
    instruments: String,
}

/// `GET /v1/sparklines`
pub(crate) async fn sparklines(
    State(web): State<Arc<Web>>,
    Parameters(asked): Parameters<Sparklines>,
) -> Answer {
    let tokens = parameters::tokens(&asked.instruments, MOST_TOKENS)?;
    let lines = web.gate.run(async { Ok(web.reader.sparklines(&tokens, web.today()).await?) }).await?;
    let lines: BTreeMap<String, Vec<f64>> =
        lines.into_iter().map(|(token, closes)| (token.to_string(), closes)).collect();
    json(&serde_json::json!({ "sparklines": lines }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_days_for_the_bars() {
        assert_eq!(days_back(Interval::Seconds(60), 375), [3, 12]);
        assert_eq!(days_back(Interval::Seconds(1), 500), [3, 12]);
        assert_eq!(days_back(Interval::Day, 500), [701, 834]);
        assert!(days_back(Interval::Month, 5_000).into_iter().all(|days| days == 20_000));
    }
}
