"""What Kite's Python client makes of a packet, and how to run it."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")


def local(seconds):
    """A naive time of the host, which these tests put into India. The client has no word for "none": 0 is 1970."""
    return datetime.fromtimestamp(seconds, IST).replace(tzinfo=None).isoformat()


def expected_tick(packet):
    """The client's dictionary for a packet, by its documents and, where it is known to differ, by its code."""
    tick = {
        "tradable": packet.segment != 9,
        "mode": packet.mode,
        "instrument_token": packet.token,
        "last_price": packet.rupees("last_price"),
    }
    if packet.length == 8:
        return tick
    tick["ohlc"] = {name: packet.rupees(name) for name in ("open", "high", "low", "close")}
    # known to differ: `change` is neither on the wire nor absolute. The client computes a percentage of the previous
    # close, for indices too, and passes over the signed absolute change that Kite sends in their bytes 24 to 27
    last, close = tick["last_price"], tick["ohlc"]["close"]
    tick["change"] = (last - close) * 100 / close if close else 0
    if packet.length in (44, 184):
        for name in ("last_traded_quantity", "total_buy_quantity", "total_sell_quantity"):
            tick[name] = packet.values[name]
        tick["average_traded_price"] = packet.rupees("average_traded_price")
        tick["volume_traded"] = packet.values["volume"]
    if packet.length in (32, 184):
        tick["exchange_timestamp"] = local(packet.values["exchange_timestamp"])
    if packet.length == 184:
        tick["last_trade_time"] = local(packet.values["last_trade_time"])
        for name in ("oi", "oi_day_high", "oi_day_low"):
            tick[name] = packet.values[name]
        tick["depth"] = {
            side: [
                {"quantity": quantity, "price": price / packet.divisor, "orders": orders}
                for quantity, price, orders in levels
            ]
            for side, levels in (("buy", packet.bids), ("sell", packet.asks))
        }
    return tick


def run_ticker(root, tokens, modes, messages=1, seconds=30, **more):
    """Runs KiteTicker until it has seen everything; what it was called back with."""
    plan = {
        "root": root,
        "api_key": "key",
        "access_token": "token",
        "tokens": tokens,
        "modes": modes,
        "messages": messages,
        "seconds": seconds,
    }
    program = Path(__file__).with_name("ticker_client.py")
    done = subprocess.run(
        [sys.executable, str(program)],
        input=json.dumps(plan | more),
        capture_output=True,
        text=True,
        timeout=seconds + 20,
        check=False,
    )
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return [json.loads(line) for line in done.stdout.splitlines()]
