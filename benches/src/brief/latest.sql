-- Latest price for all instruments
SELECT 
    symbol,
    exchange,
    argMax(last_price, exchange_timestamp) as latest_price,
    argMax(volume, exchange_timestamp) as latest_volume,
    max(exchange_timestamp) as last_update
FROM tick_data
WHERE date = today()
  AND session_type = 'regular'
GROUP BY symbol, exchange
ORDER BY last_update DESC;
