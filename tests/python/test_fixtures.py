"""The real payloads are what their provenance says; the oracle and Kite's client agree on them."""

import base64
import hashlib
import json
import os
import struct
import time
from datetime import datetime

import clients
import processes
import pytest
import wire
from kiteconnect import KiteTicker

DATA = processes.REPOSITORY / "tests/data"


def parse(payload):
    return KiteTicker("key", "token")._parse_binary(payload)


def plain(ticks):
    return json.loads(json.dumps(ticks, default=datetime.isoformat))


def container(*bodies):
    return struct.pack(">H", len(bodies)) + b"".join(struct.pack(">H", len(body)) + body for body in bodies)


def messages():
    for name in ("mocks_ticker_quote.packet", "mocks_ticker_full.packet"):
        yield container(base64.b64decode((DATA / name).read_bytes()))


def test_every_file_is_what_its_provenance_says():
    listed = set()
    for source in json.loads((DATA / "metadata.json").read_text())["sources"]:
        assert source["repository"] and len(source["commit"]) == 40 and source["license"]
        for file in source["files"]:
            content = (DATA / file["file"]).read_bytes()
            assert len(content) == file["bytes"], file["file"]
            assert hashlib.sha256(content).hexdigest() == file["sha256"], file["file"]
            listed.add(file["file"])
    real = {path.name for path in DATA.glob("mocks_*")}
    assert real == listed


def test_oracle_and_client_agree_on_real_messages():
    checked = 0
    for payload in messages():
        packets = wire.message(payload)
        assert plain(parse(payload)) == [clients.expected_tick(packet) for packet in packets]
        checked += len(packets)
    assert checked == 2


def test_oracle_gives_the_published_values():
    for name in ("mocks_ticker_quote", "mocks_ticker_full"):
        expected = json.loads((DATA / f"{name}.json").read_text())
        packet = wire.packet(base64.b64decode((DATA / f"{name}.packet").read_bytes()))
        assert packet.token == expected["instrument_token"]
        assert packet.rupees("last_price") == expected["last_price"]
        assert packet.values["volume"] == expected["volume"]
        assert packet.rupees("average_traded_price") == expected["average_price"]
        assert {key: packet.rupees(key) for key in ("open", "high", "low", "close")} == expected["ohlc"]
    assert packet.asks[4] == (724, 157395, 5) and packet.bids[0] == (5, 157340, 1)
    assert expected["timestamp"] == "2021-07-05T10:41:27+05:30"
    assert clients.local(packet.values["exchange_timestamp"]) == "2021-07-05T10:41:27"


@pytest.mark.parametrize(
    ("segment", "raw", "price"),
    [(1, 157370, 1573.7), (3, 845025000, 84.5025), (6, 845025, 84.5025), (7, 573400, 5734.0), (12, 85730000, 8573.0)],
)
def test_divisors(segment, raw, price):
    """The client of 5.2.2 divides NCO by 10,000, as Tickhouse does; up to 5.2.0 it divided by 100."""
    body = struct.pack(">Ii", 1594 << 8 | segment, raw)
    assert parse(container(body))[0]["last_price"] == price
    assert wire.packet(body).rupees("last_price") == price


def test_known_wrong_a_price_below_zero():
    """MCX crude traded below zero in April 2020. The client reads prices as unsigned."""
    body = struct.pack(">Ii", 53253383, -376300)
    assert wire.packet(body).rupees("last_price") == -3763.0
    assert parse(container(body))[0]["last_price"] == (2**32 - 376300) / 100


def test_known_wrong_times_are_those_of_the_host():
    """The same message gives another time in New York: a naive one, without a word about the zone."""
    payload = container(base64.b64decode((DATA / "mocks_ticker_full.packet").read_bytes()))
    here = parse(payload)[0]["exchange_timestamp"]
    try:
        os.environ["TZ"] = "America/New_York"
        time.tzset()
        there = parse(payload)[0]["exchange_timestamp"]
    finally:
        os.environ["TZ"] = "Asia/Kolkata"
        time.tzset()
    assert here.tzinfo is None and there.tzinfo is None
    assert (here - there).total_seconds() in (9.5 * 3600, 10.5 * 3600)
