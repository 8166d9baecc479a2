"""What Kite's Python client makes of the feed, pushed: row for row equal to what the recorder stored of the same frames."""

import base64
import gzip
import json
import os
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import clickhouse_connect
import processes
import pytest
import wire
from kiteconnect import KiteTicker
from processes import poll

pytestmark = pytest.mark.demo

FRAMES = 240
SUBSCRIBE = "NSE:*@full,NFO:*@quote,BSE:*@quote,BFO:*@ltp,CDS:*@full,BCD:*@full,MCX:*@ltp,NCO:*@full"
# who and when, not what
OWN = {"timestamp", "date", "hour", "recorder", "session", "socket", "sequence", "snapshot", "batch_id", "processed_at"}


class Before522(KiteTicker):
    """The client before 5.2.2: it differs from that in nothing but not knowing NCO (compared with 5.2.1)."""

    EXCHANGE_MAP = KiteTicker.EXCHANGE_MAP | {"nco": None}


class System(processes.Tickhouse):
    """`tickhouse up` on a simulator, taking pushes."""

    def __init__(self, directory, simulator):
        self.directory = Path(directory)
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

    def client(self):
        return clickhouse_connect.get_client(host="localhost", port=self.http, username="default", password="")

    def rows(self, query):
        self.find("$")  # fails with the output when the process has ended
        try:
            with self.client() as client:
                return client.query(query).result_rows
        except clickhouse_connect.driver.exceptions.Error:
            return None

    def push(self, body, query="", content_type="application/json", token=None, **headers):
        address = json.loads((self.directory / "run/serve.json").read_text())["push"]
        token = token or (self.directory / "push-token").read_text().strip()
        request = urllib.request.Request(
            f"http://{address}/v1/ticks{query}",
            data=body,
            headers={"content-type": content_type, "authorization": f"Bearer {token}"} | headers,
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def system():
    settings = {
        "TICKHOUSE_PUSH_ENABLED": "true",
        "TICKHOUSE_PUSH_LISTEN": "127.0.0.1:0",
        "TICKHOUSE_KITE_SUBSCRIBE": SUBSCRIBE,
        "TICKHOUSE_INSTRUMENTS_CALENDAR": "always_open",
    }
    # not pytest's own temporary directory: the path of a socket in it would be too long
    with tempfile.TemporaryDirectory(prefix="tickhouse-") as directory:
        simulator = processes.Simulator(directory)
        os.environ |= settings
        running = System(directory, simulator)
        for name in settings:
            del os.environ[name]
        try:
            poll("200 frames", lambda: enough(running), 180)
            # from here on nothing changes but by pushes
            simulator.stop()
            yield running, wire.ledger(simulator.ledger)
        finally:
            simulator.stop()
            status = running.stop(60)
        assert status == 0, running.text()


def enough(system):
    counted = system.rows("SELECT count() FROM frames WHERE kind = 'frame' AND ticks > 0 AND recorder = 'main'")
    return counted and counted[0][0] >= FRAMES + 50


@contextmanager
def host_in(zone):
    """As if this process ran on a host of that zone."""
    before = os.environ["TZ"]
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        os.environ["TZ"] = before
        time.tzset()


def push_as(system, number, payload):
    """Pushes one message as one of four users does: what on_ticks is given, by a client, from a host, as a text."""
    kind = number % 4
    if kind == 0:
        body = json.dumps(KiteTicker("k", "t")._parse_binary(payload), default=datetime.isoformat)
        return system.push(body.encode(), "?source=pykiteconnect/5.2.2")
    if kind == 1:
        body = json.dumps(Before522("k", "t")._parse_binary(payload), default=str)
        return system.push(body.encode(), "?source=pykiteconnect/5.2.1")
    if kind == 2:
        with host_in("UTC"):
            ticks = KiteTicker("k", "t")._parse_binary(payload)
            lines = "\n".join(json.dumps(tick, default=str) for tick in ticks)
        query, packed = "?source=pykiteconnect/5.2.2&zone=UTC", gzip.compress(lines.encode())
        return system.push(packed, query, "application/x-ndjson", **{"content-encoding": "gzip"})
    ticks = KiteTicker("k", "t")._parse_binary(payload)
    body = json.dumps(ticks, default=lambda at: int(at.timestamp()))
    return system.push(body.encode(), "?source=pykiteconnect/5.2.2")


def test_pushed_rows_are_those_of_the_recorder(system):
    system, ledger = system
    sent = [line for line in ledger if line["kind"] == "frame" and line["packets"]]
    first = [line for line in sent if line["c"] == sent[0]["c"]][:FRAMES]
    assert len(first) == FRAMES
    receipts = [push_as(system, number, base64.b64decode(line["b64"])) for number, line in enumerate(first)]
    assert [receipt["accepted"] for receipt in receipts] == [line["packets"] for line in first]
    assert [receipt["sequence"] for receipt in receipts] == list(range(1, FRAMES + 1))
    poll(
        "last push in ClickHouse",
        lambda: (system.rows("SELECT max(sequence) FROM frames WHERE recorder = 'main-push'") or [[0]])[0][0] == FRAMES,
        60,
    )
    with system.client() as client:
        direct = client.query(
            "SELECT sequence FROM frames WHERE recorder = 'main' AND kind = 'frame' AND ticks > 0 AND session = "
            f"(SELECT min(session) FROM frames WHERE recorder = 'main') ORDER BY sequence LIMIT {FRAMES}"
        )
        place = {sequence: number for number, (sequence,) in enumerate(direct.result_rows)}
        last = max(place)
        kinds = set()

        def by_place(recorder, number_of):
            where = f"recorder = '{recorder}' AND sequence <= {last} ORDER BY sequence, packet_index"
            found = client.query(f"SELECT * FROM tick_data WHERE {where}")
            rows = {}
            for values in found.result_rows:
                row = dict(zip(found.column_names, values, strict=True))
                if row["sequence"] in number_of:
                    rows[number_of[row["sequence"]], row["packet_index"]] = row
            return rows

        recorded = by_place("main", place)
        pushed = by_place("main-push", {number + 1: number for number in range(FRAMES)})
    assert len(recorded) == sum(line["packets"] for line in first)
    assert recorded.keys() == pushed.keys()
    for key, row in recorded.items():
        other = pushed[key]
        assert row.keys() == other.keys()
        # without an exchange time the receive time stands there, which is each one's own
        own = OWN | ({"exchange_timestamp"} if row["exchange_timestamp"] == row["timestamp"] else set())
        differ = {name: (row[name], other[name]) for name in row if name not in own and row[name] != other[name]}
        assert not differ, f"frame {key[0]}, packet {key[1]}: {differ}"
        assert other["recorder"] == "main-push" and not other["snapshot"]
        kinds.add((row["packet_type"], row["instrument_token"] & 0xFF))
    assert {kind for kind, _ in kinds} == {"ltp", "quote", "full", "index_quote", "index_full"}
    assert {segment for _, segment in kinds} == set(wire.SEGMENTS)
    assert {number % 4 for number, _ in (key for key in pushed if pushed[key]["instrument_token"] & 0xFF == 12)} >= {0, 1}


def test_a_stranger_and_a_faulty_dictionary_are_refused(system):
    system, _ = system
    tick = {"tradable": True, "mode": "ltp", "instrument_token": 408065, "last_price": 1573.7}
    for body, token, status, part in [
        (tick, "0" * 64, 401, "unauthorised"),
        (tick | {"last_price": float("nan")}, None, 400, "[0].last_price"),
        ([tick, tick | {"last_price": 1573.701}], None, 400, "[1].last_price"),
        (tick | {"instrument_token": 99 * 256 + 12}, None, 400, "declare the source"),
    ]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            system.push(json.dumps(body).encode(), token=token)
        assert refused.value.code == status
        assert part in refused.value.read().decode()
