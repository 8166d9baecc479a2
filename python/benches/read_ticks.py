"""Ten million ticks into a frame: this package beside plain clickhouse-connect, each in a process of its own.

    python python/benches/read_ticks.py --url http://127.0.0.1:8123 [--rows 10000000]

Makes the database `bench_read_ticks` there by `tickhouse migrate` (once; drop it yourself), prints time and peak memory of each way, and
fails when the ways do not agree on the sum of a column. Needs the wheel, clickhouse-connect, pandas, polars, pyarrow.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

DATABASE = "bench_read_ticks"
DAY = "2026-11-20"
FILL = """
INSERT INTO tick_data (instrument_token, symbol, exchange, timestamp, exchange_timestamp, last_price, open_price, high_price, low_price,
    close_price, average_traded_price, volume, last_traded_quantity, total_buy_quantity, total_sell_quantity, open_interest,
    bid_1_price, bid_1_quantity, ask_1_price, ask_1_quantity, packet_type, session_type, data_quality, batch_id, recorder, session, sequence)
SELECT 408065 + 256 * (number % 500), concat('SYM', toString(number % 500)), 'NSE',
    toDateTime64('{day} 09:15:00', 3, 'Asia/Kolkata') + toIntervalMillisecond(intDiv(number, 500) * 1080 + number % 500) AS at, toStartOfSecond(at),
    round(1000 + number % 500 + 5 * sin(number / 91), 2), 1000, 1010, 990, 1001, 1003.5, intDiv(number, 500) * 75, 75,
    100000 + number % 5000, 90000 + number % 7000, number % 90000, 1000.05, number % 999, 1000.1, number % 777,
    'full', 'regular', 'enriched', generateUUIDv4(1), 'bench', 1, number
FROM numbers({rows})
"""
WAYS = [
    "connect query_df",
    "connect query_arrow",
    "connect query_df_arrow",
    "tickhouse pyarrow",
    "tickhouse polars",
    "tickhouse pandas",
]


def connect(url):
    import clickhouse_connect

    return clickhouse_connect.get_client(dsn=f"{url}/{DATABASE}")


def read(way, url):
    """The frame, by one way."""
    package, how = way.split()
    if package == "tickhouse":
        import tickhouse

        return tickhouse.Client(url, database=DATABASE).ticks(date=DAY, order="instrument", frame=how)
    from tickhouse._core import __version__  # noqa: F401  so that both ways have loaded the same

    columns = (
        "timestamp, exchange_timestamp, instrument_token, symbol, exchange, last_price, last_traded_quantity, volume, average_traded_price, "
        "open_price, high_price, low_price, close_price, open_interest, total_buy_quantity, total_sell_quantity, bid_1_price, bid_1_quantity, "
        "ask_1_price, ask_1_quantity, packet_type, session_type, snapshot"
    )
    return getattr(connect(url), how)(f"SELECT {columns} FROM tick_data ORDER BY instrument_token, timestamp")


def one(way, url):
    began = time.perf_counter()
    frame = read(way, url)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    prices = frame["last_price"]
    if hasattr(prices, "to_numpy") and hasattr(prices, "num_chunks"):
        prices = prices.to_numpy()
    total = float(prices.sum())
    print(json.dumps({"rows": len(frame), "seconds": seconds, "megabytes": peak, "sum": total}))


def fill(url, rows):
    program = os.environ.get("TICKHOUSE_BIN", "tickhouse")
    settings = {"TICKHOUSE_CLICKHOUSE_MODE": "external", "TICKHOUSE_CLICKHOUSE_URL": url, "TICKHOUSE_CLICKHOUSE_DATABASE": DATABASE}
    subprocess.run([program, "migrate"], env=os.environ | settings, check=True, stdout=subprocess.DEVNULL)
    client = connect(url)
    have = client.command("SELECT count() FROM tick_data")
    if have != rows:
        client.command("TRUNCATE TABLE tick_data")
        client.command(FILL.format(day=DAY, rows=rows), settings={"max_partitions_per_insert_block": 100})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8123")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        return one(given.way, given.url)
    fill(given.url, given.rows)
    sums = set()
    print(f"{'way':<26}{'seconds':>9}{'peak MB':>9}{'rows':>12}")
    for way in WAYS:
        done = subprocess.run([sys.executable, __file__, "--url", given.url, "--way", way], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        sums.add(round(found["sum"]))
        print(f"{way:<26}{found['seconds']:>9.2f}{found['megabytes']:>9.0f}{found['rows']:>12}")
    assert len(sums) == 1, f"the ways do not agree: {sums}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
