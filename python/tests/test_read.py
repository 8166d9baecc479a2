"""What was recorded, read back: frames against ClickHouse's own answers, streams against the table, the notebooks and the
examples of docs/python.md. One system, the simulator as its exchange, for all of them."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import clickhouse_connect
import nbclient
import nbformat
import numpy
import pandas
import polars
import processes
import pyarrow
import pytest
from clients import IST
from conftest import REPOSITORY, another_python
from processes import poll

import tickhouse

pytestmark = pytest.mark.system

NAMES = ["RELIANCE", "NIFTY", "INFY"]
IDENTITY = ["recorder", "session", "socket", "sequence", "packet_index"]


class System(processes.Tickhouse):
    """`tickhouse up` on a simulator whose exchange never closes."""

    def __init__(self, directory, simulator):
        self.directory = directory
        self.http = processes.free_port()
        super().__init__(
            "up",
            "--data-dir", directory,
            "--url", simulator.socket,
            "--api-url", simulator.rest,
            "--clickhouse-http-port", self.http,
            "--clickhouse-tcp-port", 0,
            "--redis-port", 0,
            "--http-port", 0,
            cwd=directory,
        )  # fmt: skip

    def rows(self, query):
        self.find("$")  # fails with the output when the process has ended
        try:
            client = clickhouse_connect.get_client(host="localhost", port=self.http, username="default", password="")
            with client:
                return client.query(query).result_rows
        except clickhouse_connect.driver.exceptions.Error:
            return []

    def one(self, query):
        rows = self.rows(query)
        return rows[0][0] if rows else None


@pytest.fixture(scope="module")
def system():
    # not pytest's own temporary directory: the path of a socket in it would be too long
    with tempfile.TemporaryDirectory(prefix="tickhouse-") as directory:
        settings = {
            "TICKHOUSE_KITE_SUBSCRIBE": "NSE:*",
            "TICKHOUSE_INSTRUMENTS_CALENDAR": "always_open",
            "TICKHOUSE_DATA_DIR": directory,
        }
        simulator = processes.Simulator(directory, instruments=300, rate=500)
        os.environ |= settings
        running = None
        try:
            running = System(directory, simulator)
            poll("ticks of the names", lambda: (running.one(f"SELECT uniqExactIf(symbol, symbol IN {tuple(NAMES)}) FROM tick_data WHERE symbol != ''") or 0) == 3, 180)
            poll("ticks", lambda: running.one("SELECT count() FROM tick_data WHERE symbol = 'RELIANCE'") > 60, 120)
            yield running
        finally:
            for name in settings:
                del os.environ[name]
            simulator.stop()
            status = running and running.stop(60)
        assert status == 0, running.text()


@pytest.fixture(scope="module")
def client(system):
    return tickhouse.Client()


@pytest.fixture(scope="module")
def window(system):
    """Ten seconds that are stored and over."""
    end = datetime.now(IST).replace(microsecond=0)
    poll("stored ticks", lambda: system.one(f"SELECT min(timestamp) FROM (SELECT max(timestamp) AS timestamp FROM tick_data WHERE stream = '' GROUP BY socket) HAVING min(timestamp) > toDateTime64('{end:%Y-%m-%d %H:%M:%S}', 3, 'Asia/Kolkata')"), 60)
    return end - timedelta(seconds=10), end


def test_frames_hold_what_the_table_holds(system, client, window):
    begin, end = window
    between = f"timestamp >= toDateTime64('{begin:%Y-%m-%d %H:%M:%S}', 3, 'Asia/Kolkata') AND timestamp < toDateTime64('{end:%Y-%m-%d %H:%M:%S}', 3, 'Asia/Kolkata')"
    expected = system.rows(
        f"SELECT toUnixTimestamp64Milli(timestamp), instrument_token, last_price, toInt64(volume) FROM tick_data WHERE symbol IN {tuple(NAMES)} AND {between} "
        "ORDER BY timestamp, instrument_token, session, sequence, packet_index"
    )
    assert len(expected) > 20
    frame = client.ticks(NAMES, begin, end, frame="pandas")
    assert str(frame.timestamp.dtype) == "datetime64[ms, Asia/Kolkata]"
    found = zip(frame.timestamp.astype("int64"), frame.instrument_token, frame.last_price, frame.volume)
    assert [tuple(row) for row in found] == [tuple(row) for row in expected]
    arrow = client.ticks(NAMES, begin, end, frame="pyarrow")
    assert isinstance(arrow, pyarrow.Table) and arrow.num_rows == len(expected)
    many = client.ticks(NAMES, begin, end)
    assert isinstance(many, polars.DataFrame) and many["last_price"].to_list() == [row[2] for row in expected]
    by_instrument = client.ticks(NAMES, begin, end, order="instrument", columns=["instrument_token", "timestamp"])
    assert by_instrument.equals(by_instrument.sort("instrument_token", "timestamp", maintain_order=True))
    book = client.depth("RELIANCE", begin, end, frame="pandas")
    levels = system.rows(f"SELECT bid_1_quantity, ask_5_price FROM tick_data WHERE symbol = 'RELIANCE' AND {between} AND bid_1_price > 0 ORDER BY timestamp, session, sequence")
    assert list(zip(book.bid_1_quantity, book.ask_5_price)) == [tuple(row) for row in levels]
    # the difference of two counts has a sign
    assert ((book.bid_1_quantity - book.ask_1_quantity).abs() < 10**9).all()


def test_times_as_people_write_them(client, window):
    begin, end = window
    expected = client.ticks("RELIANCE", begin, end, frame="pyarrow").num_rows
    naive = begin.replace(tzinfo=None), end.replace(tzinfo=None)
    for first, last in (
        naive,
        (str(naive[0]), str(naive[1])),
        (begin.isoformat(), end.isoformat()),
        (pandas.Timestamp(naive[0]), pandas.Timestamp(end)),
        (pandas.Timestamp(begin).tz_convert("UTC"), end),
    ):
        assert client.ticks("RELIANCE", first, last, frame="pyarrow").num_rows == expected
    day = client.ticks("RELIANCE", date=begin.date(), frame="pyarrow").num_rows
    assert day >= expected and client.ticks("RELIANCE", begin.date(), frame="pyarrow").num_rows >= day
    assert client.ticks("RELIANCE", date=begin.date() - timedelta(days=400), columns="last_price", frame="pyarrow").num_rows == 0


def test_bars_gaps_and_instruments(client, window):
    bars = client.bars(["RELIANCE", "INFY"], "5s", *window, frame="pandas")
    assert set(bars.tradingsymbol) == {"RELIANCE", "INFY"} and (bars.high >= bars.low).all()
    ticks = client.bars("RELIANCE", "10 ticks", *window, frame="pandas")
    assert (ticks.tick_count[ticks.complete] == 10).all() and len(ticks) > 0
    assert list(client.gaps(frame="pandas").columns)[:3] == ["from", "to", "seconds"]
    shares = client.instruments(["RELIANCE", "INFY"], exchange="NSE", frame="pandas")
    assert sorted(shares.symbol) == ["INFY", "RELIANCE"]


def test_errors_say_what_to_do(client):
    with pytest.raises(tickhouse.ReadError, match="did you mean|search"):
        client.ticks("RELIANCEE")
    with pytest.raises(tickhouse.ReadError, match="there is no column 'nope'|there is no column \"nope\""):
        client.ticks("INFY", columns=["nope"])
    with pytest.raises(TypeError, match="India's"):
        client.ticks("INFY", 5)
    with pytest.raises(TypeError, match="may be UTC"):
        client.ticks("INFY", numpy.datetime64("2026-11-20T10:15"))
    with pytest.raises(ValueError, match="after to"):
        client.ticks("INFY", "now", "1h")
    with pytest.raises(ValueError, match="polars, pandas, pyarrow"):
        client.ticks("INFY", frame="numpy")
    with pytest.raises(tickhouse.ReadError, match="does not answer"):
        tickhouse.Client("http://127.0.0.1:9").ticks(1)
    with pytest.raises(tickhouse.ConfigError):
        tickhouse.Client("localhost")


def identity(tick):
    return tuple(tick[name] for name in IDENTITY)


def stored(system, tokens, begin, ends):
    """Identities in the table up to an end per origin."""
    sql = (
        f"SELECT {', '.join(IDENTITY)} FROM tick_data WHERE instrument_token IN {tuple(tokens)} AND stream = '' "
        f"AND timestamp >= fromUnixTimestamp64Milli({int(begin.timestamp() * 1000)}, 'Asia/Kolkata')"
    )
    rows = [tuple(row) for row in system.rows(sql)]
    return [row for row in rows if row[1:2] + row[3:] <= ends.get((row[0], row[2]), (0,))]


def test_streams_have_no_hole_and_nothing_twice(system, client):
    tokens = [row[0] for row in system.rows(f"SELECT DISTINCT instrument_token FROM tick_data WHERE symbol IN {tuple(NAMES)}")]
    chance = random.Random(5)
    for _ in range(8):
        begin = datetime.now(IST) - timedelta(seconds=chance.uniform(0, 15))
        begin = begin.replace(microsecond=begin.microsecond // 1000 * 1000)
        seen = []
        with client.stream(NAMES, begin, queue_ticks=chance.choice([1, 20_000])) as ticks:
            until = time.monotonic() + chance.uniform(0.5, 1.5)
            while time.monotonic() < until or (ticks.status["phase"] != "live" and time.monotonic() < until + 30):
                seen += ticks.take(timeout=0.2)
            assert ticks.status["phase"] == "live", ticks.status
        assert ticks.status is None
        assert all(tick["timestamp"] >= begin and tick["symbol"] in NAMES for tick in seen)
        ends = {}
        for tick in seen:
            origin = tick["recorder"], tick["socket"]
            here = tick["session"], tick["sequence"], tick["packet_index"]
            assert ends.get(origin, (0,)) < here, "in order"
            ends[origin] = here
        assert seen
        expected = poll("all of them in the table", lambda: len(found := stored(system, tokens, begin, ends)) >= len(seen) and found, 30)
        assert Counter(map(identity, seen)) == Counter(expected)


def test_asynchronous_iteration_and_control_c(client, system):
    async def some():
        found = []
        with client.stream("RELIANCE", "1m") as ticks:
            async for tick in ticks:
                found.append(tick)
                if len(found) == 50:
                    return found

    found = asyncio.run(asyncio.wait_for(some(), 30))
    assert found[0]["timestamp"].utcoffset() == timedelta(hours=5, minutes=30) and found[-1]["bid_1_price"] > 0
    program = "import tickhouse\nprint('begun', flush=True)\nfor tick in tickhouse.stream(1): print(tick)\n"
    with another_python("-c", program) as waiting:
        assert waiting.stdout.readline() == "begun\n"
        time.sleep(1)
        waiting.send_signal(signal.SIGINT)
        _, error = waiting.communicate(timeout=20)
    assert waiting.returncode not in (0, None) and "KeyboardInterrupt" in error


def test_a_reader_that_stops_leaves_the_rest_to_the_next(client, system):
    tokens = [row[0] for row in system.rows(f"SELECT DISTINCT instrument_token FROM tick_data WHERE symbol IN {tuple(NAMES)}")]
    begin = datetime.now(IST).replace(microsecond=0) - timedelta(seconds=20)
    seen = []

    async def some(ticks, count):
        async for tick in ticks:
            seen.append(tick)
            if (count := count - 1) == 0:
                break

    async def stopped_in_many_ways(ticks):
        await some(ticks, 3)
        seen.extend(ticks.take(4, timeout=10))
        await some(ticks, 5)
        for number in range(12):
            task = asyncio.create_task(some(ticks, 1_000_000))
            await asyncio.sleep(0.05 * number)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        seen.append(next(ticks))

    with client.stream(NAMES, begin) as ticks:
        asyncio.run(asyncio.wait_for(stopped_in_many_ways(ticks), 60))
    ends = {}
    for tick in seen:
        origin = tick["recorder"], tick["socket"]
        here = tick["session"], tick["sequence"], tick["packet_index"]
        assert ends.get(origin, (0,)) < here, "in order"
        ends[origin] = here
    expected = poll("all of them in the table", lambda: len(found := stored(system, tokens, begin, ends)) >= len(seen) and found, 30)
    assert Counter(map(identity, seen)) == Counter(expected)


FORKS = """
import os, sys
import tickhouse
client = tickhouse.Client()
ticks = client.stream("RELIANCE", "1m")
assert len(ticks.take(1, 20)) == 1 and tickhouse.ticks("RELIANCE", "1m", frame="pyarrow").num_rows > 0
child = os.fork()
if child == 0:
    for parents in (lambda: client.ticks("RELIANCE", "1m"), ticks.take, lambda: next(ticks), lambda: ticks.status):
        try:
            parents()
            os._exit(1)
        except tickhouse.ReadError as error:
            assert "fork" in str(error)
    ticks.close()
    del ticks
    own = tickhouse.Client().stream("RELIANCE", "1m").take(1, 20)
    rows = tickhouse.ticks("RELIANCE", "1m", frame="pyarrow").num_rows
    os._exit(0 if own and rows > 0 else 2)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert len(ticks.take(1, 20)) == 1 and tickhouse.ticks("RELIANCE", "1m", frame="pyarrow").num_rows > 0
"""


def test_a_fork_makes_its_own_connections(system):
    # a session of its own: what hangs is ended with its child
    with another_python("-c", FORKS, start_new_session=True) as process:
        try:
            _, error = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, error


@pytest.mark.parametrize("name", ["nifty_bars", "spread_and_depth", "backtest"])
def test_notebooks(name, system, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(REPOSITORY / f"python/notebooks/{name}.ipynb", 4)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook.cells), "outputs are stripped"
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any(output.output_type in ("execute_result", "display_data") for output in shown)


def test_examples_of_the_docs_run(system, tmp_path):
    text = (REPOSITORY / "docs/python.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 4
    program = tmp_path / "examples.py"
    program.write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
