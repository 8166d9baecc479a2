-- 1-minute OHLC bars (using materialized view)
SELECT 
    instrument_token,
    timestamp,
    last_price as close,
    low,
    high,
    volume,
    open_interest
FROM tick_data_1min
WHERE date = today()
ORDER BY timestamp DESC
LIMIT 100;
