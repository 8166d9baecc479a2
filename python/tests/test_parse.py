"""parse_binary beside the original, KiteTicker._parse_binary, value for value and type for type."""

import base64
import json
import os
import random
import struct
import time
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
import tickhouse
from conftest import REPOSITORY
from kiteconnect import KiteTicker

DATA = REPOSITORY / "tests/data"
LENGTHS = (8, 28, 32, 44, 184)
SEGMENTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12)
# where prices stand in each length of packet
PRICES = {
    8: (4,),
    28: (4, 8, 12, 16, 20),
    32: (4, 8, 12, 16, 20),
    44: (4, 12, 28, 32, 36, 40),
    184: (4, 12, 28, 32, 36, 40, *range(68, 184, 12)),
}


def original(payload):
    return KiteTicker("key", "token")._parse_binary(payload)


def container(*bodies):
    return struct.pack(">H", len(bodies)) + b"".join(struct.pack(">H", len(body)) + body for body in bodies)


def same(payload):
    """Equal values, types and order of keys; both ways of JSON show what `==` passes over, as 0 for 0.0."""
    ours, theirs = tickhouse.parse_binary(payload), original(payload)
    assert ours == theirs
    assert repr(ours) == repr(theirs)
    return ours


def random_body(chance):
    """A packet with any bytes but prices below zero, which the original can't read."""
    length = chance.choice(LENGTHS)
    body = bytearray(chance.randbytes(length))
    body[3] = chance.choice(SEGMENTS)
    for at in PRICES[length]:
        body[at] &= 0x7F
        if chance.random() < 0.1:
            body[at : at + 4] = bytes(4)
    return bytes(body)


def test_real_packets():
    bodies = [base64.b64decode((DATA / f"mocks_ticker_{name}.packet").read_bytes()) for name in ("quote", "full")]
    quote, full = same(container(*bodies))
    expected = json.loads((DATA / "mocks_ticker_full.json").read_text())
    assert full["last_price"] == expected["last_price"] and full["oi"] == expected["oi"]
    assert quote["mode"] == "quote" and len(full["depth"]["sell"]) == 5


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "UTC", "America/New_York"])
def test_random_packets_on_hosts_of_several_zones(zone):
    chance = random.Random(7)
    seen = set()
    before = os.environ["TZ"]
    os.environ["TZ"] = zone
    time.tzset()
    try:
        for _ in range(300):
            for tick in same(container(*(random_body(chance) for _ in range(chance.randrange(12))))):
                seen.add((tick["mode"], tick["tradable"], len(tick)))
    finally:
        os.environ["TZ"] = before
        time.tzset()
    # five kinds of packet, each with and without an index's token
    assert len(seen) == 10


def test_what_is_no_packet():
    for payload in (b"", b"\0", b"\xff", container(), container(b"\0" * 9), container(b"\0" * 8, b"\0" * 5) + b"more"):
        same(payload)
    assert len(same(container(bytes(8), bytes(60), bytes(8)))) == 2


def test_a_cut_message_is_an_error():
    """The original mostly raises struct.error, but takes a full packet that was cut to 44 bytes for a quote."""
    whole = container(bytes(range(184)))
    for length in range(2, len(whole)):
        with pytest.raises(tickhouse.FrameError, match="message ends at byte"):
            tickhouse.parse_binary(whole[:length])
    assert original(whole[: 4 + 44])[0]["mode"] == "quote"


def test_prices_below_zero_are_right_where_the_original_is_not():
    body = struct.pack(">Ii", 53253383, -376300)
    assert tickhouse.parse_binary(container(body))[0]["last_price"] == -3763.0
    assert original(container(body))[0]["last_price"] == (2**32 - 376300) / 100


def test_times_of_a_zone():
    body = base64.b64decode((DATA / "mocks_ticker_full.packet").read_bytes())
    india = ZoneInfo("Asia/Kolkata")
    (tick,) = tickhouse.parse_binary(container(body), tz=india)
    assert tick["exchange_timestamp"] == datetime(2021, 7, 5, 10, 41, 27, tzinfo=india)
    (tick,) = tickhouse.parse_binary(container(body), timezone.utc)
    assert tick["last_trade_time"].tzinfo is timezone.utc
    assert tickhouse.parse_binary(bytearray(container(body))) == original(container(body))
    with pytest.raises(TypeError):
        tickhouse.parse_binary("text")


def test_patch():
    class Mine(KiteTicker):
        pass

    assert tickhouse.patch(Mine) is Mine
    payload = container(*(random_body(random.Random(3)) for _ in range(20)))
    assert Mine("k", "t")._parse_binary(payload) == original(payload)
    negative = container(struct.pack(">Ii", 53253383, -1))
    assert Mine("k", "t")._parse_binary(negative)[0]["last_price"] == -0.01
    with pytest.raises(TypeError, match="KiteTicker"):
        tickhouse.patch(object)
