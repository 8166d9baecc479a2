"""The brief's way of loading token metadata, repaired as little as it takes to run: the whole file into memory, and inserts of
1,000 rows, as lists with named columns, since a list of dictionaries is refused. Prints seconds and peak memory.

    brief_token_metadata.py CLICKHOUSE_PORT DATABASE FILE
"""

import json
import math
import resource
import sys
import time
from datetime import date

import clickhouse_connect

TEXTS = ["symbol", "tradingsymbol", "name", "exchange", "segment", "sector", "asset_class", "instrument_type"]
COLUMNS = ["instrument_token"] + ["underlying" if name == "name" else name for name in TEXTS]
COLUMNS += ["expiry", "strike", "tick_size", "lot_size"]


def number(value):
    return 0.0 if value is None or math.isnan(value) else float(value)


def main():
    port, database, path = sys.argv[1:]
    client = clickhouse_connect.get_client(
        host="localhost", port=int(port), username="default", password="", database=database
    )
    started = time.perf_counter()
    with open(path) as file:
        token_metadata = json.load(file)
    loaded = time.perf_counter()
    rows = []
    for token, metadata in token_metadata.items():
        texts = [metadata.get(name) for name in TEXTS]
        expiry = metadata.get("expiry")
        expiry = date.fromisoformat(expiry) if isinstance(expiry, str) else date(1970, 1, 1)
        row = [int(token), *(text if isinstance(text, str) else "" for text in texts), expiry]
        row += [number(metadata.get("strike_price")), number(metadata.get("tick_size")), int(metadata.get("lot_size"))]
        rows.append(row)
        if len(rows) == 1000:
            client.insert("token_metadata", rows, column_names=COLUMNS)
            rows = []
    if rows:
        client.insert("token_metadata", rows, column_names=COLUMNS)
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"brief's way: {ended - started:.1f} s, of which json.load {loaded - started:.1f} s, peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
