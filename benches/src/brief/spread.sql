-- Bid-Ask spread analysis for the last hour
SELECT
    symbol,
    avg(ask_1_price - bid_1_price) as avg_spread,
    avg((ask_1_price - bid_1_price) / bid_1_price * 100) as spread_pct
FROM tick_data
WHERE date = today() AND timestamp > now() - INTERVAL 1 HOUR
GROUP BY symbol
ORDER BY avg_spread DESC;
