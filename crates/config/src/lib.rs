//! tickhouse.toml, TICKHOUSE_* and flags, checked into one typed configuration
