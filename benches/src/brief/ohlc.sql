-- Or calculate from raw data
SELECT 
    symbol,
    toStartOfMinute(timestamp) as minute,
    min(low_price) as low,
    max(high_price) as high,
    argMin(open_price, timestamp) as open,
    argMax(close_price, timestamp) as close,
    sum(volume) as volume
FROM tick_data
WHERE date = today()
  AND symbol = 'NIFTY'
  AND session_type = 'regular'
GROUP BY symbol, minute
ORDER BY minute;
