-- Price movement over time range
SELECT 
    timestamp,
    exchange_timestamp,
    last_price,
    volume,
    total_buy_quantity,
    total_sell_quantity,
    session_type
FROM tick_data
WHERE date = today()
  AND instrument_token = 256265
  AND timestamp >= now() - INTERVAL 1 HOUR
ORDER BY timestamp;
