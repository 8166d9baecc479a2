//! The embedded ClickHouse engine and the Redis on 6380 as child processes.
//!
//! What enters: a data directory, ports, a memory limit. What leaves: processes that answer on 127.0.0.1, their logs in
//! files, and their end when they are told to or when whoever started them ends. What never happens here: the engine
//! inside a recorder or loader, a query, a download that nobody asked for.
//!
//! * [`library`]: where the engine's shared library is, and [`library::install`].
//! * [`Engine`]: ClickHouse. [`Redis`]: Redis. Both are [`Service`]s; [`Supervised`] restarts a service that dies.
//! * [`daemon`]: the same, left behind by a command (`tickhouse clickhouse start`).
//! * [`testkit`]: engines and Redises for tests, on free ports, in directories of their own.

mod child;
pub mod daemon;
mod engine;
mod error;
pub mod library;
pub mod port;
mod redis;
mod settings;
mod supervise;
pub mod testkit;
mod users;

pub use child::run_engine;
pub use engine::{Engine, EngineOptions};
pub use error::EmbedError;
pub use redis::{Redis, RedisOptions, install_redis, redis_install_command};
pub use supervise::{Service, ServiceState, Supervised};
pub use users::{Credentials, READER, WRITER};
