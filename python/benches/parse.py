"""How fast parse_binary is beside KiteTicker._parse_binary: messages of 200 packets, as Kite sends them in a busy second.

    python python/benches/parse.py        with the release wheel and kiteconnect installed
"""

import random
import struct
import time

import tickhouse
from kiteconnect import KiteTicker

PACKETS = 200
ROUNDS = 7
LENGTHS = {"ltp": 8, "index": 32, "quote": 44, "full": 184}


def message(length):
    chance = random.Random(7)
    bodies = []
    for _ in range(PACKETS):
        body = bytearray(chance.randrange(0, 0x40) if at % 4 == 0 else chance.randrange(256) for at in range(length))
        body[3] = 9 if length == 32 else 1
        # times of a few seconds, as those of one message are
        for at in (28,) if length == 32 else (44, 60) if length == 184 else ():
            struct.pack_into(">I", body, at, 1_795_146_300 + chance.randrange(4))
        bodies.append(struct.pack(">H", length) + body)
    return struct.pack(">H", PACKETS) + b"".join(bodies)


def rate(parse, payload):
    """Ticks a second, of the best of some rounds: others use this machine too."""
    best = 0.0
    for _ in range(ROUNDS):
        messages, began = 0, time.perf_counter()
        while (took := time.perf_counter() - began) < 0.15:
            parse(payload)
            messages += 1
        best = max(best, messages * PACKETS / took)
    return best


def main():
    original = KiteTicker("key", "token")._parse_binary
    print(f"{'packets':<8}{'pykiteconnect':>16}{'tickhouse':>16}{'ratio':>8}")
    for name, length in LENGTHS.items():
        payload = message(length)
        assert original(payload) == tickhouse.parse_binary(payload)
        theirs, ours = rate(original, payload), rate(tickhouse.parse_binary, payload)
        print(f"{name:<8}{theirs:>14,.0f}/s{ours:>14,.0f}/s{ours / theirs:>8.1f}")


if __name__ == "__main__":
    main()
