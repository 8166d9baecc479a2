//! The embedded ClickHouse engine and the Redis on 6380 as child processes
