//! `tickhouse.toml`, `TICKHOUSE_*` and flags, checked into one typed [`Config`].
//!
//! What enters: a file, environment variables, flags. What leaves: one [`Config`] in which every value is within its
//! bounds, or a [`ConfigError`] with *every* fault and its key. What never happens here: a secret in a `Debug`, a
//! setting that is silently ignored.
//!
//! A flag wins over the environment, that over the file, that over the default. A key `port` of section `[redis]` is
//! `TICKHOUSE_REDIS_PORT` in the environment. Every key with its default and meaning stands in
//! `config/tickhouse.example.toml`, which a test holds against this crate.

mod alert;
mod fault;
mod http;
mod news;
mod push;
mod reader;
mod retention;
mod secret;
mod selection;
mod settings;
mod universe;
mod words;

pub use alert::{Alert, Email, SmtpSecurity, Telegram};
pub use fault::{ConfigError, Fault, Origin};
pub use http::Http;
pub use news::News;
pub use push::Push;
pub use reader::{ENVIRONMENT_PREFIX, Sources};
pub use retention::{RETENTION_TABLES, Retention};
pub use secret::Secret;
pub use selection::{Chosen, Selection};
pub use settings::{
    Backend, CalendarSource, ClickHouse, Config, InstrumentFiles, Journal, Kite, Level, Load, Log, Partition,
    Redis, Sync,
};
pub use universe::{Choice, OnExcess, Rule};
