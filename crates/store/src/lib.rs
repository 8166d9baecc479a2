//! ClickHouse: migrations, native blocks, inserts, counts, marks
