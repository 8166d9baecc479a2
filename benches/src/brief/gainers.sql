-- Top gainers for the day
SELECT 
    symbol,
    argMax(last_price, timestamp) as current_price,
    min(last_price) as day_low,
    max(last_price) as day_high,
    (current_price - min(last_price)) / min(last_price) * 100 as gain_pct
FROM tick_data 
WHERE date = today() 
GROUP BY symbol
ORDER BY gain_pct DESC
LIMIT 10;
