"""PyPI kiteconnect on the messages of benches/decoders: prints its version and packets per second.

Timed: `KiteTicker._parse_binary`, which gives dictionaries with prices in rupees; reading them costs nothing extra here.
"""

import struct
import sys
import time
from importlib.metadata import version
from pathlib import Path

from kiteconnect import KiteTicker


def messages(data):
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def main():
    ticker = KiteTicker("key", "token")
    all_messages = list(messages(Path(sys.argv[1]).read_bytes()))
    rates = []
    for _ in range(15):
        started = time.perf_counter()
        packets = sum(len(ticker._parse_binary(message)) for message in all_messages)
        rates.append(packets / (time.perf_counter() - started))
    print(f"| kiteconnect {version('kiteconnect')} (PyPI) | {sorted(rates)[len(rates) // 2] / 1e6:.4f} |")


if __name__ == "__main__":
    main()
