"""The brief's own consumer, repaired as little as it takes to run: it reads on from the last id instead of `$`, which loses
what arrives between two reads; rows are lists with named columns, since a list of dictionaries is refused; it ends
after a number of rows. Prints rows per second.

    brief_consumer.py REDIS_PORT CLICKHOUSE_PORT DATABASE STREAM ROWS
"""

import sys
import time
import uuid
from datetime import datetime

import clickhouse_connect
import redis


def main():
    redis_port, clickhouse_port, database, stream_name, wanted = sys.argv[1:]
    redis_client = redis.Redis(host="localhost", port=int(redis_port), decode_responses=True)
    ch_client = clickhouse_connect.get_client(
        host="localhost", port=int(clickhouse_port), username="default", password="", database=database
    )
    batch_id = uuid.uuid4()
    last_id = "0"
    done = 0
    started = time.perf_counter()
    while done < int(wanted):
        messages = redis_client.xread({stream_name: last_id}, count=100, block=1000)
        if not messages:
            sys.exit(f"the stream ended after {done} rows")
        rows = []
        for _, msgs in messages:
            for msg_id, data in msgs:
                ts = datetime.fromisoformat(data["timestamp"])
                row = {
                    "instrument_token": int(data["instrument_token"]),
                    "symbol": data["symbol"],
                    "exchange": data["exchange"],
                    "timestamp": ts,
                    "exchange_timestamp": datetime.fromisoformat(data.get("exchange_timestamp", data["timestamp"])),

                    # Price data
                    "last_price": float(data.get("last_price", 0)),
                    "open_price": float(data.get("open_price", 0)),
                    "high_price": float(data.get("high_price", 0)),
                    "low_price": float(data.get("low_price", 0)),
                    "close_price": float(data.get("close_price", 0)),
                    "average_traded_price": float(data.get("average_traded_price", 0)),

                    # Volume and OI
                    "volume": int(data.get("volume", 0)),
                    "last_traded_quantity": int(data.get("last_traded_quantity", 0)),
                    "total_buy_quantity": int(data.get("total_buy_quantity", 0)),
                    "total_sell_quantity": int(data.get("total_sell_quantity", 0)),
                    "open_interest": int(data.get("open_interest", 0)),
                    "oi_day_high": int(data.get("oi_day_high", 0)),
                    "oi_day_low": int(data.get("oi_day_low", 0)),

                    # Market depth - Bid levels
                    "bid_1_price": float(data.get("bid_1_price", 0)),
                    "bid_1_quantity": int(data.get("bid_1_quantity", 0)),
                    "bid_1_orders": int(data.get("bid_1_orders", 0)),
                    "bid_2_price": float(data.get("bid_2_price", 0)),
                    "bid_2_quantity": int(data.get("bid_2_quantity", 0)),
                    "bid_2_orders": int(data.get("bid_2_orders", 0)),
                    "bid_3_price": float(data.get("bid_3_price", 0)),
                    "bid_3_quantity": int(data.get("bid_3_quantity", 0)),
                    "bid_3_orders": int(data.get("bid_3_orders", 0)),
                    "bid_4_price": float(data.get("bid_4_price", 0)),
                    "bid_4_quantity": int(data.get("bid_4_quantity", 0)),
                    "bid_4_orders": int(data.get("bid_4_orders", 0)),
                    "bid_5_price": float(data.get("bid_5_price", 0)),
                    "bid_5_quantity": int(data.get("bid_5_quantity", 0)),
                    "bid_5_orders": int(data.get("bid_5_orders", 0)),

                    # Market depth - Ask levels
                    "ask_1_price": float(data.get("ask_1_price", 0)),
                    "ask_1_quantity": int(data.get("ask_1_quantity", 0)),
                    "ask_1_orders": int(data.get("ask_1_orders", 0)),
                    "ask_2_price": float(data.get("ask_2_price", 0)),
                    "ask_2_quantity": int(data.get("ask_2_quantity", 0)),
                    "ask_2_orders": int(data.get("ask_2_orders", 0)),
                    "ask_3_price": float(data.get("ask_3_price", 0)),
                    "ask_3_quantity": int(data.get("ask_3_quantity", 0)),
                    "ask_3_orders": int(data.get("ask_3_orders", 0)),
                    "ask_4_price": float(data.get("ask_4_price", 0)),
                    "ask_4_quantity": int(data.get("ask_4_quantity", 0)),
                    "ask_4_orders": int(data.get("ask_4_orders", 0)),
                    "ask_5_price": float(data.get("ask_5_price", 0)),
                    "ask_5_quantity": int(data.get("ask_5_quantity", 0)),
                    "ask_5_orders": int(data.get("ask_5_orders", 0)),

                    # Metadata
                    "packet_type": data.get("packet_type", ""),
                    "session_type": data.get("session_type", "regular"),
                    "data_quality": data.get("data_quality", "raw"),
                    "batch_id": str(batch_id),

                    # Derived fields (auto-calculated by ClickHouse)
                    "date": ts.date(),
                    "hour": ts.hour
                }
                rows.append(row)
                last_id = msg_id
        ch_client.insert("tick_data", [list(row.values()) for row in rows], column_names=list(rows[0]))
        done += len(rows)
    print(done / (time.perf_counter() - started))
    stored = ch_client.query("SELECT count() FROM tick_data").first_row[0]
    if stored != done:
        sys.exit(f"{done} rows were inserted, {stored} are there")


if __name__ == "__main__":
    main()
