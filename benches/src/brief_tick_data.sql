CREATE TABLE brief (
    instrument_token UInt32,
    symbol String,
    exchange String,
    timestamp DateTime64(3, 'Asia/Kolkata'),
    exchange_timestamp DateTime64(3, 'Asia/Kolkata'),
    
    -- Price data
    last_price Float64,
    open_price Float64,
    high_price Float64,
    low_price Float64,
    close_price Float64,
    average_traded_price Float64,
    
    -- Volume and OI
    volume UInt64,
    last_traded_quantity UInt32,
    total_buy_quantity UInt64,
    total_sell_quantity UInt64,
    open_interest UInt64,
    oi_day_high UInt64,
    oi_day_low UInt64,
    
    -- Market depth (L2/L3 data)
    bid_1_price Float64, bid_1_quantity UInt32, bid_1_orders UInt16,
    bid_2_price Float64, bid_2_quantity UInt32, bid_2_orders UInt16,
    bid_3_price Float64, bid_3_quantity UInt32, bid_3_orders UInt16,
    bid_4_price Float64, bid_4_quantity UInt32, bid_4_orders UInt16,
    bid_5_price Float64, bid_5_quantity UInt32, bid_5_orders UInt16,
    
    ask_1_price Float64, ask_1_quantity UInt32, ask_1_orders UInt16,
    ask_2_price Float64, ask_2_quantity UInt32, ask_2_orders UInt16,
    ask_3_price Float64, ask_3_quantity UInt32, ask_3_orders UInt16,
    ask_4_price Float64, ask_4_quantity UInt32, ask_4_orders UInt16,
    ask_5_price Float64, ask_5_quantity UInt32, ask_5_orders UInt16,
    
    -- Metadata
    packet_type String,
    session_type Enum8('pre_market' = 1, 'regular' = 2, 'post_market' = 3),
    data_quality Enum8('raw' = 1, 'enriched' = 2, 'corrected' = 3),
    
    -- Processing info
    processed_at DateTime64(3, 'UTC') DEFAULT now(),
    batch_id UUID,
    
    -- Derived fields for partitioning
    date Date DEFAULT toDate(timestamp),
    hour UInt8 DEFAULT toHour(timestamp)
) 
ENGINE = MergeTree()
PARTITION BY (date, hour)
ORDER BY (instrument_token, timestamp, exchange_timestamp)
SETTINGS index_granularity = 8192
