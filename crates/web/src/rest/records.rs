//! How the recording is: gaps of the feed, completeness, health.

use super::{Answer, json, of_text};
use crate::fault::Fault;
use crate::parameters::{self, Parameters};
use crate::state::Web;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_read::{Asked, FeedGap, NamedQuery, Question, ReadError, Window};

const GAPS: (u64, u64) = (100, 1_000);
const COVERAGE: (u64, u64) = (100, 9_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gaps {
    from: Option<String>,
    to: Option<String>,
    limit: Option<u64>,
    instrument: Option<String>,
}

#[derive(Serialize)]
struct GapAnswer {
    from: i64,
    to: Option<i64>,
    cause: String,
    socket: u16,
    instruments: u64,
    detail: String,
}

impl From<FeedGap> for GapAnswer {
    fn from(gap: FeedGap) -> Self {
        let FeedGap { from, to, cause, socket, instruments, detail } = gap;
        let to = to.map(Timestamp::as_millis);
        Self { from: from.as_millis(), to, cause, socket, instruments, detail }
    }
}

/// `GET /v1/gaps`
pub(crate) async fn gaps(State(web): State<Arc<Web>>, Parameters(asked): Parameters<Gaps>) -> Answer {
    let limit = parameters::limit(asked.limit, GAPS.0, GAPS.1)?;
    let span = Asked { from: asked.from, to: asked.to, ..Asked::default() };
    let window = span.window(web.now()).map_err(ReadError::Window)?;
    let work = async {
        let of = match &asked.instrument {
            Some(name) => Some(web.reader.instrument(name, web.today()).await?.instrument.token),
            None => None,
        };
        Ok(web.reader.feed_gaps(&window, of, limit).await?)
    };
    let gaps: Vec<GapAnswer> = web.gate.run(work).await?.into_iter().map(GapAnswer::from).collect();
    json(&serde_json::json!({ "gaps": gaps }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coverage {
    date: Option<Date>,
    limit: Option<u64>,
}

/// `GET /v1/coverage`
pub(crate) async fn coverage(State(web): State<Arc<Web>>, Parameters(asked): Parameters<Coverage>) -> Answer {
    let question = Question {
        window: Window::day(asked.date.unwrap_or_else(|| web.today())),
        instruments: Vec::new(),
        exchange: None,
        session: None,
        limit: Some(parameters::limit(asked.limit, COVERAGE.0, COVERAGE.1)?),
    };
    let query = NamedQuery::find("coverage").expect("there is a query of this name");
    let statement = query.statement(&question).expect("coverage takes a date and a limit");
    web.gate.run(web.rows("rows", &statement)).await
}

/// `GET /v1/health`
pub(crate) async fn health(State(web): State<Arc<Web>>) -> Answer {
    let health = web.health.borrow().clone();
    let Some(health) = health else {
        let message = "how the pipeline is is not known yet: ask again in a second";
        let fault = Fault::new(StatusCode::SERVICE_UNAVAILABLE, "no_health", message);
        return Err(fault.retry_after(Duration::from_secs(1)));
    };
    Ok(of_text(health.as_bytes().to_vec()))
}
