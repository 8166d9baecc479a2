-- Volume analysis by minute for specific symbols
SELECT
    toStartOfMinute(timestamp) as minute,
    symbol,
    sum(volume) as total_volume
FROM tick_data
WHERE date = today() AND symbol IN ('RELIANCE', 'INFY', 'HDFC')
GROUP BY minute, symbol
ORDER BY minute DESC, total_volume DESC;
