//! `tickhouse query`: the questions of every day, by name.

mod watch;

use crate::answer::{self, How, MOST_ROWS, OutputFormat};
use crate::arguments::Common;
use crate::window::When;
use crate::{endpoints, setup};
use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::time::Duration;
use tickhouse_model::Timestamp;
use tickhouse_read::{
    Answer, NAMED, NamedQuery, Question, Reader, Session, Span, Statement, Takes, Window, duration,
};

/// An hour: the usual window of queries that are about the present.
const HOUR: Duration = Duration::from_hours(1);

/// The questions of every day, by name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickhouse query --list
  tickhouse query latest --exchange NSE --limit 20 --watch
  tickhouse query ohlc --symbol NIFTY --last 30m
  tickhouse query range --symbol NSE:INFY --from 10:15 --to 10:20 --output infy.parquet
  tickhouse query gainers --date 2026-11-20 --json
  tickhouse query depth --symbol 256265 --sql
  tickhouse query spread --sql=grafana")]
pub(crate) struct Query {
    /// Which; `tickhouse query --list` says what each one answers
    #[arg(required_unless_present = "list", hide_possible_values = true, value_parser = names())]
    name: Option<String>,
    /// An instrument by symbol (NIFTY, NSE:INFY) or token; may be repeated
    #[arg(short, long = "symbol", value_name = "SYMBOL")]
    symbols: Vec<String>,
    #[command(flatten)]
    when: When,
    /// Only of this exchange: NSE, NFO, MCX, …
    #[arg(long, value_name = "EXCHANGE")]
    exchange: Option<String>,
    /// Only ticks of this session [default: by the query, regular or any]
    #[arg(long, value_enum, value_name = "SESSION")]
    session: Option<SessionName>,
    /// Rows at most [default: by the query]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Ask again and again: in place on a terminal, else one answer after the other [default: every 2 seconds]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = seconds,
        conflicts_with_all = ["output", "sql", "list"])]
    watch: Option<Duration>,
    /// List the queries
    #[arg(long)]
    list: bool,
    /// Show the statement instead of asking: for clickhouse-client, or with =grafana for a panel
    #[arg(long, value_enum, value_name = "FOR", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    sql: Option<Dialect>,
    #[command(flatten)]
    how: How,
}

/// A session as one types it.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum SessionName {
    PreMarket,
    Regular,
    PostMarket,
    Closed,
    Any,
}

/// Who runs the statement.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dialect {
    /// clickhouse-client, with parameters set before it
    Client,
    /// Grafana's ClickHouse data source, with its macros and variables
    Grafana,
}

/// A line of the list.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    about: &'static str,
    parameters: Vec<&'static str>,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(
        NAMED.iter().map(|query| clap::builder::PossibleValue::new(query.name).help(query.about)),
    )
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = match text.parse() {
        Ok(seconds) => seconds,
        Err(_) => return duration(text).map_err(|error| error.to_string()),
    };
    if (0.1..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("use 0.1 to 86400 seconds".to_owned())
    }
}

pub(crate) fn run(common: &Common, command: &Query) -> anyhow::Result<()> {
    let Some(query) = command.name.as_deref().and_then(NamedQuery::find).filter(|_| !command.list) else {
        return list(&command.how);
    };
    let config = setup::config(common)?;
    let now = || config.clock.now();
    if let Some(dialect) = command.sql {
        let statement = command.statement(query, now())?;
        let text = match dialect {
            Dialect::Client => query.client_script(&statement),
            Dialect::Grafana => query.grafana_sql(&statement),
        };
        return answer::show_text(text.trim_end(), &command.how);
    }
    let reader = Reader::new(endpoints::reader(&config)?);
    // before asking: a wrong question is known without a server
    command.statement(query, now())?;
    setup::runtime(1)?.block_on(async {
        match command.watch {
            Some(interval) => {
                let ask = || command.statement(query, now());
                watch::run(&reader, query.name, ask, interval, &command.how).await
            }
            None => once(&reader, query, command, now()).await,
        }
    })
}

impl Query {
    fn question(&self, query: &NamedQuery, now: Timestamp) -> anyhow::Result<Question> {
        let When { from, to, last, date } = &self.when;
        let is_usual = from.is_none() && to.is_none() && last.is_none() && date.is_none();
        let window = if is_usual && query.span == Span::Hour {
            Window::last(HOUR, now)
        } else {
            self.when.window(now)?
        };
        let session = self.session.map(|session| match session {
            SessionName::PreMarket => Session::PreMarket,
            SessionName::Regular => Session::Regular,
            SessionName::PostMarket => Session::PostMarket,
            SessionName::Closed => Session::Closed,
            SessionName::Any => Session::Any,
        });
        let mut question = Question {
            window,
            instruments: self.symbols.clone(),
            exchange: self.exchange.clone(),
            session,
            limit: self.limit,
        };
        let is_endless = query.takes(Takes::Limit) && query.usual_limit(&question).is_none();
        if is_endless
            && self.limit.is_none()
            && self.sql.is_none()
            && self.how.format() == OutputFormat::Table
        {
            // one more than a table shows, which says that there is more
            question.limit = Some(MOST_ROWS as u64 + 1);
        }
        Ok(question)
    }

    fn statement(&self, query: &NamedQuery, now: Timestamp) -> anyhow::Result<Statement> {
        Ok(query.statement(&self.question(query, now)?)?)
    }
}

async fn once(reader: &Reader, query: &NamedQuery, command: &Query, now: Timestamp) -> anyhow::Result<()> {
    let question = command.question(query, now)?;
    let statement = query.statement(&question)?;
    let rows = answer::show(reader, Answer::Query(statement.clone()), &command.how).await?;
    if let (Some(limit), None) = (query.usual_limit(&question), command.limit) {
        let rows = match rows {
            Some(rows) => rows,
            None => {
                reader.count_rows(&statement).await.context("whether the limit cut the file is not known")?
            }
        };
        if rows >= limit {
            eprintln!("the first {limit} rows, which is the limit of `{}`: --limit N for more", query.name);
        }
    }
    let is_about_ticks = query
        .takes
        .iter()
        .any(|takes| matches!(takes, Takes::Date | Takes::Instruments | Takes::SomeInstruments));
    if rows == Some(0) && is_about_ticks && command.how.is_plain_table() {
        let why = reader.why_nothing(&question).await.context("there are no rows, and why is not known")?;
        eprintln!("{why}");
    }
    Ok(())
}

fn list(how: &How) -> anyhow::Result<()> {
    let lines = NAMED.iter().map(|query| Listed {
        name: query.name,
        about: query.about,
        parameters: query.parameters().map(|known| known.name).collect(),
    });
    if how.format() == OutputFormat::Json {
        return answer::show_text(&serde_json::to_string(&lines.collect::<Vec<_>>())?, how);
    }
    let width = NAMED.iter().map(|query| query.name.len()).max().unwrap_or_default();
    let lines: Vec<String> = lines.map(|line| format!("{:width$}  {}", line.name, line.about)).collect();
    answer::show_text(&lines.join("\n"), how)
}
