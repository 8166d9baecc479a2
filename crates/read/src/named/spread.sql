-- The spread between the best bid and ask, over the ticks that have both.
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
    chosen.symbol AS symbol,
    chosen.exchange AS exchange,
    sum(spreads) / sum(ticks) AS avg_spread,
    sum(shares) / sum(ticks) * 100 AS spread_pct,
    sum(ticks) AS tick_count
FROM
(
    SELECT
        date, instrument_token,
        sum(ask_1_price - bid_1_price) AS spreads, sum((ask_1_price - bid_1_price) / bid_1_price) AS shares, count() AS ticks
    FROM tick_data
    WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND)
        AND (toDate({from:DateTime64(3, 'Asia/Kolkata')}) != toDate({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND) OR hour BETWEEN toHour({from:DateTime64(3, 'Asia/Kolkata')}) AND toHour({to:DateTime64(3, 'Asia/Kolkata')} - INTERVAL 1 MILLISECOND))
        AND timestamp >= {from:DateTime64(3, 'Asia/Kolkata')} AND timestamp < {to:DateTime64(3, 'Asia/Kolkata')}
        AND bid_1_price > 0 AND ask_1_price > 0
        AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}) AND {exchange:String} = '') OR (date, instrument_token) IN (SELECT date, instrument_token FROM chosen))
    GROUP BY date, instrument_token
) AS days
INNER JOIN chosen USING (date, instrument_token)
GROUP BY instrument_token, symbol, exchange
ORDER BY avg_spread DESC, symbol, exchange
LIMIT {limit:UInt64}
