-- What each table takes on disk.
SELECT
    database,
    table,
    formatReadableSize(sum(bytes_on_disk)) AS size,
    sum(parts.rows) AS rows,
    count() AS parts,
    round(sum(bytes_on_disk) / nullIf(sum(parts.rows), 0), 1) AS bytes_per_row
FROM system.parts AS parts
WHERE active
GROUP BY database, table
ORDER BY sum(bytes_on_disk) DESC
LIMIT {limit:UInt64}
