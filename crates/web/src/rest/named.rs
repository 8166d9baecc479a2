//! The questions of every day, by name.

use super::{Answer, json};
use crate::fault::Fault;
use crate::parameters::{self, Parameters};
use crate::state::Web;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tickhouse_read::{Asked, NAMED, NamedQuery, Question, ReadError, Session, Span, Takes, Window};

/// Rows of an answer.
const ROWS: u64 = 10_000;

#[derive(Serialize)]
struct QueryAnswer {
    name: &'static str,
    about: &'static str,
    parameters: Vec<&'static str>,
}

/// What a request may say to a query.
const fn parameters_of(takes: Takes) -> &'static [&'static str] {
    match takes {
        Takes::Date => &["date"],
        Takes::Window => &["from", "to", "last", "date"],
        Takes::Instruments | Takes::SomeInstruments => &["symbol"],
        Takes::Exchange => &["exchange"],
        Takes::Session => &["session"],
        Takes::Limit => &["limit"],
    }
}

/// `GET /v1/queries`
pub(crate) async fn list() -> Answer {
    let queries: Vec<QueryAnswer> = NAMED
        .iter()
        .map(|query| QueryAnswer {
            name: query.name,
            about: query.about,
            parameters: query.takes.iter().flat_map(|takes| parameters_of(*takes)).copied().collect(),
        })
        .collect();
    json(&serde_json::json!({ "queries": queries }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asking {
    /// Several between commas.
    symbol: Option<String>,
    from: Option<String>,
    to: Option<String>,
    last: Option<String>,
    date: Option<Date>,
    exchange: Option<String>,
    session: Option<String>,
    limit: Option<u64>,
}

impl Asking {
    fn question(self, query: &NamedQuery, web: &Web) -> Result<Question, Fault> {
        let now = web.now();
        let asked = Asked { from: self.from, to: self.to, last: self.last, date: self.date };
        let window = if asked.is_nothing() && query.span == Span::Hour {
            Window::last(Duration::from_hours(1), now)
        } else {
            asked.window(now).map_err(ReadError::Window)?
        };
        let symbols = self.symbol.unwrap_or_default();
        let names = symbols.split(',').map(str::trim).filter(|name| !name.is_empty());
        let limit = parameters::limit(self.limit, query.limit.unwrap_or(ROWS).min(ROWS), ROWS)?;
        Ok(Question {
            window,
            instruments: names.map(str::to_owned).collect(),
            exchange: self.exchange,
            session: self.session.as_deref().map(session).transpose()?,
            limit: (self.limit.is_some() || query.takes(Takes::Limit)).then_some(limit),
        })
    }
}

fn session(name: &str) -> Result<Session, Fault> {
    let all = [Session::PreMarket, Session::Regular, Session::PostMarket, Session::Closed, Session::Any];
    all.into_iter().find(|session| session.name() == name).ok_or_else(|| {
        Fault::bad("bad_parameter", "session is pre_market, regular, post_market, closed or any")
    })
}

/// `GET /v1/queries/{name}`
pub(crate) async fn ask(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Parameters(asked): Parameters<Asking>,
) -> Answer {
    let Some(query) = NamedQuery::find(&name) else {
        let message = "there is no query of this name: /v1/queries lists them";
        return Err(Fault::new(StatusCode::NOT_FOUND, "unknown_query", message));
    };
    let question = asked.question(query, &web)?;
    let statement =
        query.statement(&question).map_err(|error| Fault::bad("bad_parameter", error.to_string()))?;
    web.gate.run(web.rows("rows", &statement)).await
}
