//! Where ClickHouse and Redis are for this configuration: the same for every program, so a crate of its own.

pub(crate) use tickhouse_endpoints::{
    ClickHouseEndpoint, Ports, calendar, calendar_of_ticks, clickhouse, journal_dir, log_dir, of_what_runs,
    ports, reader, redis_url, run_dir, with_password,
};
