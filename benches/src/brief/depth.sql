-- Current order book depth
SELECT 
    symbol,
    exchange,
    timestamp,
    bid_1_price, bid_1_quantity, bid_1_orders,
    ask_1_price, ask_1_quantity, ask_1_orders,
    bid_1_price - ask_1_price as spread
FROM tick_data
WHERE date = today()
  AND instrument_token = 256265
ORDER BY timestamp DESC
LIMIT 1;
