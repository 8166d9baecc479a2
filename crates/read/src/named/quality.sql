-- How many rows of which quality and session a day has; the projection quality_rows of tick_data answers it.
SELECT
    data_quality,
    session_type,
    count() AS count,
    min(timestamp) AS first_tick,
    max(timestamp) AS last_tick
FROM tick_data
WHERE date = {date:Date}
GROUP BY data_quality, session_type
ORDER BY count DESC
