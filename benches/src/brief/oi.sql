-- OI changes over time
SELECT 
    symbol,
    toStartOfMinute(timestamp) as minute,
    argMax(open_interest, exchange_timestamp) as current_oi,
    argMax(oi_day_high, exchange_timestamp) as day_high_oi,
    argMax(oi_day_low, exchange_timestamp) as day_low_oi
FROM tick_data
WHERE date = today()
  AND open_interest > 0
GROUP BY symbol, minute
ORDER BY minute DESC;
