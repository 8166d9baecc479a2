//! What a loader is told.

use crate::FlatOutlet;
use std::time::Duration;
use tickhouse_stream::RedisOptions;

/// What a loader is told.
#[derive(Clone, Debug)]
pub struct LoaderOptions {
    /// Where the streams are.
    pub redis: RedisOptions,
    /// Name of the loader: of its lease, its consumer and its seals. Keep it across restarts.
    pub name: String,
    /// Rows of `tick_data` at which a batch is sealed. One row is about 500 bytes in memory, and up to four batches
    /// exist with their ticks (being filled, waiting, being sealed, being inserted).
    pub batch_rows: usize,
    /// Age of its first entry at which a batch is sealed.
    pub batch_time: Duration,
    /// How long the lease lives without being renewed. Another loader waits as long after a crash of this one.
    pub lease_ttl: Duration,
    /// How long stored entries stay in Redis.
    pub trim_grace: Duration,
    /// How long to wait for a publisher to send missing records again before their loss is recorded as a gap.
    pub resend_patience: Duration,
    /// Where stored ticks are published as flat entries, none for nowhere. Costs Redis some 10 µs a tick and the loader
    /// some 0.8 kB for each tick of the batches under way.
    pub publish_flat: Option<FlatOutlet>,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            redis: RedisOptions::default(),
            name: "loader".to_owned(),
            batch_rows: 100_000,
            batch_time: Duration::from_secs(1),
            lease_ttl: Duration::from_secs(10),
            trim_grace: Duration::from_secs(10),
            resend_patience: Duration::from_secs(30),
            publish_flat: None,
        }
    }
}
