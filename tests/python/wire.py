"""Kite's binary messages, read by a table of offsets from the documents.

The oracle of the client tests: it shares no code with Tickhouse and none with the clients.
https://kite.trade/docs/connect/v3/websocket/
"""

import base64
import json
import struct
from dataclasses import dataclass, field

SEGMENTS = {1: "NSE", 2: "NFO", 3: "CDS", 4: "BSE", 5: "BFO", 6: "BCD", 7: "MCX", 9: "INDICES", 12: "NCO"}
DIVISORS = {3: 10_000_000, 6: 10_000, 12: 10_000}

QUOTE = {
    "last_price": 4,
    "last_traded_quantity": 8,
    "average_traded_price": 12,
    "volume": 16,
    "total_buy_quantity": 20,
    "total_sell_quantity": 24,
    "open": 28,
    "high": 32,
    "low": 36,
    "close": 40,
}
FULL = QUOTE | {"last_trade_time": 44, "oi": 48, "oi_day_high": 52, "oi_day_low": 56, "exchange_timestamp": 60}
INDEX_QUOTE = {"last_price": 4, "high": 8, "low": 12, "open": 16, "close": 20, "net_change": 24}
LAYOUTS = {
    8: {"last_price": 4},
    28: INDEX_QUOTE,
    32: INDEX_QUOTE | {"exchange_timestamp": 28},
    44: QUOTE,
    184: FULL,
}
SIGNED = {"last_price", "average_traded_price", "open", "high", "low", "close", "net_change"}


@dataclass
class Packet:
    """One packet in raw integers."""

    token: int
    length: int
    values: dict
    bids: list = field(default_factory=list)
    asks: list = field(default_factory=list)

    @property
    def segment(self):
        return self.token & 0xFF

    @property
    def divisor(self):
        return DIVISORS.get(self.segment, 100)

    @property
    def mode(self):
        return {8: "ltp", 28: "quote", 44: "quote", 32: "full", 184: "full"}[self.length]

    def rupees(self, name):
        return self.values[name] / self.divisor


def packet(body):
    """The packet of one body."""
    layout = LAYOUTS[len(body)]
    values = {
        name: struct.unpack_from(">i" if name in SIGNED else ">I", body, offset)[0]
        for name, offset in layout.items()
    }
    found = Packet(struct.unpack_from(">I", body)[0], len(body), values)
    if len(body) == 184:
        levels = [struct.unpack_from(">IiH", body, 64 + 12 * level) for level in range(10)]
        found.bids, found.asks = levels[:5], levels[5:]
    return found


def message(payload):
    """The packets of one binary message."""
    (count,), at, packets = struct.unpack_from(">H", payload), 2, []
    for _ in range(count):
        (length,) = struct.unpack_from(">H", payload, at)
        packets.append(packet(payload[at + 2 : at + 2 + length]))
        at += 2 + length
    assert at == len(payload), f"{len(payload) - at} bytes follow the last packet"
    return packets


def ledger(path):
    """The lines of a simulator's ledger; frames carry their `packets`."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            if entry["kind"] == "frame":
                entry["decoded"] = message(base64.b64decode(entry["b64"]))
                assert len(entry["decoded"]) == entry["packets"]
            lines.append(entry)
    return lines
