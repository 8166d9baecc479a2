-- One-minute bars. Open, high, low and close come from the minute's prices: open_price, high_price,
-- low_price and close_price of a tick are the day's (and the previous day's), its volume is a running total.
WITH chosen AS
    (
        -- what the names and tokens asked for were on each day; every instrument where none is asked for
        SELECT date, instrument_token, max(latest_prices.symbol) AS symbol, max(latest_prices.exchange) AS exchange
        FROM latest_prices
        WHERE latest_prices.date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
            AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}))
                OR has({symbols:Array(String)}, latest_prices.symbol) OR has({tokens:Array(UInt32)}, instrument_token))
            AND ({exchange:String} = '' OR latest_prices.exchange = {exchange:String})
        GROUP BY date, instrument_token
    )
SELECT
    chosen.symbol AS symbol, chosen.exchange AS exchange, timestamp AS minute,
    open, high, low, last_price AS close, volume, open_interest, tick_count, complete
FROM tick_data_1min AS bars
INNER JOIN chosen USING (date, instrument_token)
WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
    AND timestamp >= toStartOfMinute({from:DateTime64(3, 'Asia/Kolkata')}) AND timestamp < {to:DateTime64(3, 'Asia/Kolkata')}
    AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}) AND {exchange:String} = '') OR (date, instrument_token) IN (SELECT date, instrument_token FROM chosen))
ORDER BY minute, symbol, exchange
LIMIT {limit:UInt64}
