-- Check data quality distribution
SELECT 
    data_quality,
    session_type,
    count() as count,
    min(timestamp) as first_tick,
    max(timestamp) as last_tick
FROM tick_data
WHERE date = today()
GROUP BY data_quality, session_type
ORDER BY count DESC;
