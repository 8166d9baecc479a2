-- Volume by minute: how far the running total went in it.
WITH chosen AS
    (
        -- what the names and tokens asked for were on the day; every instrument where none is asked for
        SELECT instrument_token, max(latest_prices.symbol) AS symbol, max(latest_prices.exchange) AS exchange
        FROM latest_prices
        WHERE latest_prices.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')})
            AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
                OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
        GROUP BY instrument_token
    )
SELECT timestamp AS minute, chosen.symbol AS symbol, chosen.exchange AS exchange, volume AS total_volume, complete
FROM tick_data_1min AS bars
INNER JOIN chosen USING (instrument_token)
WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')})
    AND timestamp >= toStartOfMinute({from:DateTime64(3, 'Asia/Kolkata')}) AND timestamp < {to:DateTime64(3, 'Asia/Kolkata')}
    AND instrument_token IN (SELECT instrument_token FROM chosen)
ORDER BY minute DESC, total_volume DESC, symbol, exchange
LIMIT {limit:UInt64}
