//! Stream to table: decode, enrich, seal, insert, confirm, acknowledge, trim
