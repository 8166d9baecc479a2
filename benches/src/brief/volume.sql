-- Total volume by instrument today
SELECT 
    symbol,
    exchange,
    sum(volume) as total_volume,
    sum(total_buy_quantity) as total_buy,
    sum(total_sell_quantity) as total_sell,
    count() as tick_count
FROM tick_data
WHERE date = today()
  AND session_type = 'regular'
GROUP BY symbol, exchange
ORDER BY total_volume DESC
LIMIT 20;
