-- The spread between the best bid and ask, over the ticks that have both.
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
SELECT
    any(tick_data.symbol) AS symbol,
    any(tick_data.exchange) AS exchange,
    avg(ask_1_price - bid_1_price) AS avg_spread,
    avg((ask_1_price - bid_1_price) / bid_1_price * 100) AS spread_pct,
    count() AS tick_count
FROM tick_data
WHERE date BETWEEN toDate({from:DateTime64(3, 'Asia/Kolkata')}) AND toDate({to:DateTime64(3, 'Asia/Kolkata')})
    AND (toDate({from:DateTime64(3, 'Asia/Kolkata')}) != toDate({to:DateTime64(3, 'Asia/Kolkata')}) OR hour BETWEEN toHour({from:DateTime64(3, 'Asia/Kolkata')}) AND toHour({to:DateTime64(3, 'Asia/Kolkata')}))
    AND timestamp >= {from:DateTime64(3, 'Asia/Kolkata')} AND timestamp < {to:DateTime64(3, 'Asia/Kolkata')}
    AND bid_1_price > 0 AND ask_1_price > 0
    AND ((empty({symbols:Array(String)}) AND empty({tokens:Array(UInt32)}) AND {exchange:String} = '') OR instrument_token IN (SELECT instrument_token FROM chosen))
GROUP BY instrument_token
ORDER BY avg_spread DESC, symbol, exchange
LIMIT {limit:UInt64}
