"""The brief's way with historical candles: load the JSON, look up each instrument in token_metadata, build a dictionary per
candle, insert into tick_data in batches of 1,000. Rows are lists with named columns, since a list of dictionaries is refused.
Ends after a number of candles. Prints candles per second.

    brief_ohlc.py FILE CLICKHOUSE_PORT DATABASE CANDLES
"""

import json
import sys
import time
import uuid
from datetime import datetime

import clickhouse_connect

BATCH = 1000


def main():
    path, port, database, wanted = sys.argv[1:]
    wanted = int(wanted)
    client = clickhouse_connect.get_client(
        host="localhost", port=int(port), username="default", password="", database=database
    )
    started = time.perf_counter()
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    loaded = time.perf_counter()
    batch_id = uuid.uuid4()
    rows, done, names = [], 0, None

    def flush():
        client.insert("tick_data", [list(row.values()) for row in rows], column_names=names)
        rows.clear()

    for token, candles in data.items():
        found = client.query(
            "SELECT symbol, exchange FROM token_metadata WHERE instrument_token = %(token)s LIMIT 1",
            parameters={"token": int(token)},
        ).result_rows
        if not found:
            continue
        symbol, exchange = found[0]
        for candle in candles:
            at = datetime.fromisoformat(candle[0])
            row = {
                "instrument_token": int(token),
                "symbol": symbol,
                "exchange": exchange,
                "timestamp": at,
                "exchange_timestamp": at,
                "last_price": float(candle[4]),
                "open_price": float(candle[1]),
                "high_price": float(candle[2]),
                "low_price": float(candle[3]),
                "close_price": float(candle[4]),
                "volume": int(candle[5]),
                "open_interest": int(candle[6]) if len(candle) > 6 else 0,
                "packet_type": "candle_minute",
                "session_type": "regular",
                "data_quality": "enriched",
                "batch_id": batch_id,
            }
            names = list(row)
            rows.append(row)
            done += 1
            if len(rows) == BATCH:
                flush()
            if done == wanted:
                break
        if done == wanted:
            break
    if rows:
        flush()
    ended = time.perf_counter()
    print(json.dumps({"candles": done, "load_seconds": loaded - started, "insert_seconds": ended - loaded}))


if __name__ == "__main__":
    main()
