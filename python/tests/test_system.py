"""The whole way: the simulator as Kite, pykiteconnect's own KiteTicker, Pipeline, Redis, the loader, ClickHouse. What arrives is
what the simulator's ledger says it sent on that connection, tick by tick."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import clickhouse_connect
import processes
import pytest
import wire
from clients import IST
from processes import poll

pytestmark = pytest.mark.system

TICKS = 6_000
# what a packet has, and the columns of the same
COLUMNS = {
    "last_price": "last_price",
    "open": "open_price",
    "high": "high_price",
    "low": "low_price",
    "close": "close_price",
    "average_traded_price": "average_traded_price",
    "volume": "volume",
    "last_traded_quantity": "last_traded_quantity",
    "total_buy_quantity": "total_buy_quantity",
    "total_sell_quantity": "total_sell_quantity",
    "oi": "open_interest",
    "oi_day_high": "oi_day_high",
    "oi_day_low": "oi_day_low",
}
PRICES = wire.SIGNED


class System(processes.Tickhouse):
    """`tickhouse up` on a simulator; its own recorder follows one instrument only."""

    def __init__(self, directory, simulator):
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
                return client.query(query).named_results()
        except clickhouse_connect.driver.exceptions.Error:
            return None

    def count(self, query):
        rows = self.rows(query)
        return next(iter(next(iter(rows)).values())) if rows is not None else 0


@pytest.fixture(scope="module")
def system():
    settings = {"TICKHOUSE_KITE_SUBSCRIBE": "NSE:*@ltp", "TICKHOUSE_INSTRUMENTS_CALENDAR": "always_open"}
    # not pytest's own temporary directory: the path of a socket in it would be too long
    with tempfile.TemporaryDirectory(prefix="tickhouse-") as directory:
        simulator = processes.Simulator(directory)
        os.environ |= settings
        try:
            running = System(directory, simulator)
        except BaseException:
            simulator.stop()
            raise
        finally:
            for name in settings:
                del os.environ[name]
        try:
            poll("tick of the recorder", lambda: running.count("SELECT count() FROM tick_data"), 180)
            yield Path(directory), simulator, running
        finally:
            simulator.stop()
            status = running.stop(60)
        assert status == 0, running.text()


def tokens_of(system):
    """Some of each segment."""
    query = "SELECT instrument_token AS token FROM instruments GROUP BY token ORDER BY token % 256, token"
    by_segment = {}
    for row in system.rows(query):
        by_segment.setdefault(row["token"] % 256, []).append(row["token"])
    return [token for tokens in by_segment.values() for token in tokens[:25]]


def equal(packet, row):
    """Fails unless the row has what the packet has."""
    assert (packet.token, packet.mode) == (row["instrument_token"], row["packet_type"].removeprefix("index_"))
    for name in packet.values.keys() & COLUMNS.keys():
        expected = packet.rupees(name) if name in PRICES else packet.values[name]
        assert row[COLUMNS[name]] == expected, name
    for name, column in (("exchange_timestamp", "exchange_timestamp"), ("last_trade_time", "last_trade_time")):
        if packet.values.get(name):
            assert row[column].replace(tzinfo=IST) == datetime.fromtimestamp(packet.values[name], IST)
    for side, levels in (("bid", packet.bids), ("ask", packet.asks)):
        for number, (quantity, price, orders) in enumerate(levels, 1):
            found = tuple(row[f"{side}_{number}_{what}"] for what in ("quantity", "price", "orders"))
            assert found == (quantity, price / packet.divisor, orders)


def test_what_kiteticker_pushes_is_what_the_simulator_sent(system):
    directory, simulator, running = system
    tokens = poll("instruments", lambda: tokens_of(running), 30)
    plan = {
        "root": simulator.socket,
        "data_dir": str(directory),
        "tokens": tokens,
        "modes": {"full": tokens[::2], "ltp": tokens[1::6]},
        "ticks": TICKS,
        "seconds": 60,
    }
    assert len(tokens) > 100
    program = Path(__file__).with_name("ticker_pipeline.py")
    done = subprocess.run(
        [sys.executable, str(program)], input=json.dumps(plan), capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    pushed, stats = said["pushed"], said["stats"]
    assert pushed >= TICKS
    assert (stats["accepted"], stats["journaled"], stats["refused"], stats["turned_away"]) == (pushed, pushed, 0, 0)

    where = "FROM tick_data WHERE recorder = 'main-push'"
    poll("pushed ticks in ClickHouse", lambda: running.count(f"SELECT count() {where}") >= pushed, 60)
    rows = list(running.rows(f"SELECT * {where} ORDER BY session, sequence, packet_index"))
    # its ledger is whole once it has ended
    simulator.stop()
    ledger = wire.ledger(simulator.ledger)
    (own,) = [line["c"] for line in ledger if line["kind"] == "open" and line["api_key"] == "ticker"]
    frames = [line for line in ledger if line["kind"] == "frame" and line["c"] == own]
    sent = [packet for line in frames for packet in line["decoded"]]
    # the ticker closes while more is under way
    assert len(rows) == pushed <= len(sent)
    for packet, row in zip(sent, rows):
        equal(packet, row)
    assert {packet.segment for packet in sent[:pushed]} == set(wire.SEGMENTS)
    assert {packet.length for packet in sent[:pushed]} == {8, 28, 32, 44, 184}
