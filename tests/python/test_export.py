"""`tickhouse export`, read by what users read it with: equal counts and sums, equal instants, every symbol."""

import json
import os
import subprocess
from datetime import date, datetime, timezone
from pathlib import Path

import clickhouse_connect
import duckdb
import polars as pl
import processes
import pytest

SYMBOLS = ["INFY", "M&M", "NIFTY 50", "a/b", "BAJAJ-AUTO", "..", "नि", "it's", ""]
DAYS = ["2026-11-16", "2026-11-18"]
SUMS = "count(*), sum(volume), sum(sequence), count(distinct symbol), sum(bid_1_price), min(last_price), max(last_price)"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A ClickHouse with the schema and two days of ticks."""
    here = tmp_path_factory.mktemp("export")
    tickhouse(here, "clickhouse", "start", "--http-port", "0", "--tcp-port", "0")
    try:
        tickhouse(here, "migrate")
        for number, day in enumerate(DAYS):
            names = ", ".join("'" + symbol.replace("'", "\\'") + "'" for symbol in SYMBOLS)
            query = f"""
                INSERT INTO tick_data (instrument_token, symbol, exchange, timestamp, exchange_timestamp, last_price,
                    bid_1_price, ask_1_price, bid_1_quantity, ask_1_quantity, volume, packet_type, session_type, data_quality,
                    batch_id, sequence)
                SELECT 256 * (number % {len(SYMBOLS)} + 1) + 1, [{names}][number % {len(SYMBOLS)} + 1], 'NSE',
                    toDateTime64('{day} 09:15:00', 3, 'Asia/Kolkata') + number / 10 AS timestamp, toStartOfSecond(timestamp),
                    round(1000 + number % 777 * 0.05, 2) AS last_price, round(last_price - 0.05, 2), round(last_price + 0.05, 2),
                    number % 100 + 1, number % 50 + 1, number * 7, 'full', 'regular', 'enriched',
                    generateUUIDv4(), number + {number}
                FROM numbers(20000)"""
            tickhouse(here, "sql", query)
        yield here
    finally:
        tickhouse(here, "clickhouse", "stop")


def tickhouse(here, *arguments):
    """Runs the program to its end."""
    done = subprocess.run(
        [str(processes.binary()), *map(str, arguments), "--data-dir", str(here / "data")],
        cwd=here, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def export(here, out, *arguments):
    return json.loads(tickhouse(here, "export", "--from", DAYS[0], "--to", "2026-11-20", "--out", out, "--json", *arguments))


def asked(here, query):
    """What the server answers over clickhouse-connect."""
    port = int(tickhouse(here, "clickhouse", "client-url").strip().rsplit(":", 1)[1])
    with clickhouse_connect.get_client(host="127.0.0.1", port=port, database="trading") as client:
        return client.query(query).result_rows


def rounded(row):
    return [round(float(value), 4) for value in row]


@pytest.mark.parametrize("partition", ["date", "date,symbol"])
def test_duckdb_and_polars_read_parquet_with_equal_sums(engine, tmp_path, partition):
    report = export(engine, tmp_path, "--partition", partition)
    assert report["rows"] == 40_000
    assert report["files"] == (len(DAYS) if partition == "date" else len(DAYS) * len(SYMBOLS))
    wanted = asked(engine, f"SELECT {SUMS} FROM tick_data")[0]
    glob = f"{tmp_path}/tick_data/**/*.parquet"

    # by its path alone: the folders' names are columns too, and are decoded
    got = duckdb.sql(f"SELECT {SUMS} FROM read_parquet('{glob}', hive_partitioning = false)").fetchall()[0]
    assert rounded(got) == rounded(wanted)
    by_day = duckdb.sql(f"SELECT date, count(*) FROM read_parquet('{glob}', hive_partitioning = true) GROUP BY 1 ORDER BY 1")
    assert by_day.fetchall() == [(date.fromisoformat(day), 20_000) for day in DAYS]

    lazy = pl.scan_parquet(f"{tmp_path}/tick_data", hive_partitioning=True)
    totals = lazy.select(
        pl.len(), pl.col("volume").sum(), pl.col("sequence").sum(), pl.col("symbol").n_unique(),
        pl.col("bid_1_price").sum(), pl.col("last_price").min(), pl.col("last_price").max().alias("most"),
    )  # fmt: skip
    # of the folders' names, the empty one is Hive's null: one value as well
    assert rounded(totals.collect().row(0)) == rounded(wanted)
    for symbol in ("M&M", "NIFTY 50", "a/b", ".."):
        [(rows, volume)] = asked(engine, f"SELECT count(), sum(volume) FROM tick_data WHERE symbol = '{symbol}'")
        mine = lazy.filter(pl.col("symbol") == symbol, pl.col("date") == date.fromisoformat(DAYS[0])).collect()
        assert mine.height * 2 in range(rows - 2, rows + 3)
        query = f"SELECT count(*), sum(volume) FROM read_parquet('{glob}', hive_partitioning = true) WHERE symbol = '{symbol}'"
        assert duckdb.sql(query).fetchall()[0] == (rows, volume)
        assert mine["timestamp"].dtype == pl.Datetime("ms", "UTC")
        assert mine["session_type"].unique().to_list() == ["regular"]
    first = lazy.select(pl.col("timestamp").min()).collect().item()
    assert first == datetime(2026, 11, 16, 3, 45, tzinfo=timezone.utc), "09:15 in India"
    # sorted within each file
    for path in Path(tmp_path).glob("tick_data/**/*.parquet"):
        keys = pl.read_parquet(path, columns=["instrument_token", "timestamp"], hive_partitioning=False)
        assert keys.equals(keys.sort("instrument_token", "timestamp"))


def test_csv_and_arrow_hold_the_same(engine, tmp_path):
    wanted = rounded(asked(engine, f"SELECT {SUMS} FROM tick_data")[0])
    export(engine, tmp_path, "--format", "csv")
    query = f"SELECT {SUMS} FROM read_csv('{tmp_path}/tick_data/**/*.csv', hive_partitioning = false, allow_quoted_nulls = false)"
    assert rounded(duckdb.sql(query).fetchall()[0]) == wanted
    export(engine, tmp_path, "--format", "arrow")
    frame = pl.concat(pl.read_ipc(path) for path in sorted(Path(tmp_path).glob("tick_data/**/*.arrow")))  # noqa: F841
    got = frame.select(pl.len(), pl.col("volume").sum(), pl.col("sequence").sum(), pl.col("symbol").n_unique()).row(0)
    assert rounded(got) == wanted[:4]
    assert frame["timestamp"].dt.convert_time_zone("UTC").min() == datetime(2026, 11, 16, 3, 45, tzinfo=timezone.utc)


def test_the_manifest_tells_rows_and_digests(engine, tmp_path):
    import hashlib

    export(engine, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["version"] == 1 and manifest["kind"] == "export" and manifest["source"]["database"] == "trading"
    paths = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("**/*.parquet"))
    assert [entry["path"] for entry in manifest["files"]] == paths
    for entry in manifest["files"]:
        data = (tmp_path / entry["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
        assert pl.scan_parquet(tmp_path / entry["path"]).select(pl.len()).collect().item() == entry["rows"]
    assert export(engine, tmp_path)["kept_files"] == len(paths)


@pytest.mark.skipif("TICKHOUSE_NAUTILUS_PYTHON" not in os.environ, reason="needs a Python that has nautilus_trader")
def test_the_recipe_for_nautilus_trader(engine, tmp_path):
    export(engine, tmp_path / "export")
    recipe = processes.REPOSITORY / "docs/examples/nautilus_catalog.py"
    python = os.environ["TICKHOUSE_NAUTILUS_PYTHON"]
    made = [python, recipe, tmp_path / "export", tmp_path / "catalog", "INFY", "NSE"]
    assert subprocess.run(made, capture_output=True, text=True, check=True).stdout == "4446 quotes of INFY.NSE\n"
    look = (
        "import sys; from nautilus_trader.persistence.catalog import ParquetDataCatalog as C; c = C(sys.argv[1]); "
        "q = c.quote_ticks(); print(len(q), sum(int(t.bid_size) for t in q), round(sum(float(t.bid_price) for t in q), 2), "
        "q[0].ts_event, [str(i.id) for i in c.instruments()])"
    )
    read = subprocess.run([python, "-c", look, tmp_path / "catalog"], capture_output=True, text=True, check=True)
    query = "SELECT count(), sum(bid_1_quantity), round(sum(bid_1_price), 2) FROM tick_data WHERE symbol = 'INFY'"
    count, size, price = asked(engine, query)[0]
    assert read.stdout == f"{count} {size} {price} 1794800700000000000 ['INFY.NSE']\n"
