-- The slowest statements of a window, as far as the server's log goes back.
SELECT
    toTimeZone(finished.event_time, 'Asia/Kolkata') AS event_time,
    query_duration_ms,
    read_rows,
    formatReadableSize(read_bytes) AS read_size,
    formatReadableSize(memory_usage) AS memory,
    user,
    substring(replaceRegexpAll(query, '\\s+', ' '), 1, 200) AS query
FROM system.query_log AS finished
WHERE type = 'QueryFinish'
    -- its dates are the server's, not India's
    AND event_date BETWEEN toDate32({from:DateTime64(3, 'Asia/Kolkata')}) - 1 AND toDate32({to:DateTime64(3, 'Asia/Kolkata')}) + 1
    AND finished.event_time >= {from:DateTime64(3, 'Asia/Kolkata')} AND finished.event_time < {to:DateTime64(3, 'Asia/Kolkata')}
ORDER BY query_duration_ms DESC
LIMIT {limit:UInt64}
