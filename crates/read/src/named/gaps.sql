-- Windows in which ticks may have been missed, and whether candles have filled them since.
SELECT
    recorder,
    if(stream = '', toString(socket), stream) AS source,
    `from` AS begin,
    if(toUnixTimestamp64Milli(`to`) = 0, NULL, `to`) AS end,
    dateDiff('millisecond', begin, coalesce(end, least({to:DateTime64(3, 'Asia/Kolkata')}, now64(3, 'Asia/Kolkata')))) / 1000 AS seconds,
    cause,
    detail,
    length(tokens) AS instruments,
    filled
FROM feed_gaps
LEFT JOIN
(
    SELECT recorder, session, socket, sequence, stream, epoch, uniqExact(instrument_token) AS filled
    FROM gap_fills
    GROUP BY recorder, session, socket, sequence, stream, epoch
) AS fills USING (recorder, session, socket, sequence, stream, epoch)
WHERE feed_gaps.`from` < {to:DateTime64(3, 'Asia/Kolkata')}
    AND (toUnixTimestamp64Milli(feed_gaps.`to`) = 0 OR feed_gaps.`to` > {from:DateTime64(3, 'Asia/Kolkata')})
ORDER BY begin DESC, recorder, source
LIMIT {limit:UInt64}
