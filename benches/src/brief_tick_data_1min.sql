CREATE MATERIALIZED VIEW tick_data_1min
ENGINE = AggregatingMergeTree()
PARTITION BY date
ORDER BY (instrument_token, timestamp)
AS SELECT
    instrument_token,
    toStartOfMinute(tick_data.timestamp) as timestamp,
    date,
    argMax(tick_data.last_price, exchange_timestamp) as last_price,
    min(tick_data.last_price) as low,
    max(tick_data.last_price) as high,
    sum(tick_data.volume) as volume,
    argMax(tick_data.open_interest, exchange_timestamp) as open_interest
FROM tick_data
GROUP BY instrument_token, timestamp, date;
