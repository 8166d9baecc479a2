-- The queries of the brief, word for word, each ending with a semicolon at the end of a line.

-- Latest price for all instruments
SELECT 
    symbol,
    exchange,
    argMax(last_price, exchange_timestamp) as latest_price,
    argMax(volume, exchange_timestamp) as latest_volume,
    max(exchange_timestamp) as last_update
FROM tick_data
WHERE date = today()
  AND session_type = 'regular'
GROUP BY symbol, exchange
ORDER BY last_update DESC;

-- Total volume by instrument today
SELECT 
    symbol,
    exchange,
    sum(volume) as total_volume,
    sum(total_buy_quantity) as total_buy,
    sum(total_sell_quantity) as total_sell,
    count() as tick_count
FROM tick_data
WHERE date = today()
  AND session_type = 'regular'
GROUP BY symbol, exchange
ORDER BY total_volume DESC
LIMIT 20;

-- 1-minute OHLC bars (using materialized view)
SELECT 
    instrument_token,
    timestamp,
    last_price as close,
    low,
    high,
    volume,
    open_interest
FROM tick_data_1min
WHERE date = today()
ORDER BY timestamp DESC
LIMIT 100;

-- Or calculate from raw data
SELECT 
    symbol,
    toStartOfMinute(timestamp) as minute,
    min(low_price) as low,
    max(high_price) as high,
    argMin(open_price, timestamp) as open,
    argMax(close_price, timestamp) as close,
    sum(volume) as volume
FROM tick_data
WHERE date = today()
  AND symbol = 'NIFTY'
  AND session_type = 'regular'
GROUP BY symbol, minute
ORDER BY minute;

-- Current order book depth
SELECT 
    symbol,
    exchange,
    timestamp,
    bid_1_price, bid_1_quantity, bid_1_orders,
    ask_1_price, ask_1_quantity, ask_1_orders,
    bid_1_price - ask_1_price as spread
FROM tick_data
WHERE date = today()
  AND instrument_token = 256265
ORDER BY timestamp DESC
LIMIT 1;

-- OI changes over time
SELECT 
    symbol,
    toStartOfMinute(timestamp) as minute,
    argMax(open_interest, exchange_timestamp) as current_oi,
    argMax(oi_day_high, exchange_timestamp) as day_high_oi,
    argMax(oi_day_low, exchange_timestamp) as day_low_oi
FROM tick_data
WHERE date = today()
  AND open_interest > 0
GROUP BY symbol, minute
ORDER BY minute DESC;

-- Price movement over time range
SELECT 
    timestamp,
    exchange_timestamp,
    last_price,
    volume,
    total_buy_quantity,
    total_sell_quantity,
    session_type
FROM tick_data
WHERE date = today()
  AND instrument_token = 256265
  AND timestamp >= now() - INTERVAL 1 HOUR
ORDER BY timestamp;

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

-- Top gainers for the day
SELECT 
    symbol,
    argMax(last_price, timestamp) as current_price,
    min(last_price) as day_low,
    max(last_price) as day_high,
    (current_price - min(last_price)) / min(last_price) * 100 as gain_pct
FROM tick_data 
WHERE date = today() 
GROUP BY symbol
ORDER BY gain_pct DESC
LIMIT 10;

-- Volume analysis by minute for specific symbols
SELECT
    toStartOfMinute(timestamp) as minute,
    symbol,
    sum(volume) as total_volume
FROM tick_data
WHERE date = today() AND symbol IN ('RELIANCE', 'INFY', 'HDFC')
GROUP BY minute, symbol
ORDER BY minute DESC, total_volume DESC;

-- Bid-Ask spread analysis for the last hour
SELECT
    symbol,
    avg(ask_1_price - bid_1_price) as avg_spread,
    avg((ask_1_price - bid_1_price) / bid_1_price * 100) as spread_pct
FROM tick_data
WHERE date = today() AND timestamp > now() - INTERVAL 1 HOUR
GROUP BY symbol
ORDER BY avg_spread DESC;

-- Check table sizes
SELECT 
    database,
    table,
    formatReadableSize(sum(bytes)) as size,
    sum(rows) as rows
FROM system.parts
WHERE active
GROUP BY database, table
ORDER BY sum(bytes) DESC;

-- Check query performance
SELECT 
    query,
    query_duration_ms,
    read_rows,
    formatReadableSize(read_bytes) as read_size
FROM system.query_log
WHERE type = 'QueryFinish'
ORDER BY query_duration_ms DESC
LIMIT 10;

SELECT count(*) FROM tick_data;

SELECT count(*) FROM tick_data WHERE date = today();

SELECT symbol, last_price, volume FROM tick_data WHERE date = today() ORDER BY timestamp DESC LIMIT 10;

SELECT formatReadableSize(sum(bytes)) as size FROM system.parts WHERE table = 'tick_data';

-- The look-ups of its Python, with the parameter filled in.
SELECT symbol, tradingsymbol, exchange, sector, asset_class, instrument_type FROM hot_token_metadata WHERE instrument_token = 256265;

SELECT symbol, tradingsymbol, exchange, sector, asset_class, instrument_type FROM token_metadata WHERE instrument_token = 256265;
