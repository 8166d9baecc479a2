"""The brief's program: the unmodified KiteTicker, whose on_ticks hands each tick to a pipeline. A process of its own, because
Twisted's reactor does not start twice. Reads its plan as JSON from standard input, and says what it counted at the end."""

import json
import sys
import threading

from kiteconnect import KiteTicker
from tickhouse import ClickHousePipeline

plan = json.load(sys.stdin)
pipeline = ClickHousePipeline(data_dir=plan["data_dir"])
ticker = KiteTicker("ticker", "token", root=plan["root"], reconnect=False)
closed = threading.Event()
pushed = 0
faults = []


def on_connect(ws, _response):
    ws.subscribe(plan["tokens"])
    for mode, tokens in plan["modes"].items():
        ws.set_mode(mode, tokens)


def on_ticks(ws, ticks):
    global pushed
    for tick in ticks:
        pipeline.push_tick_data(tick)
    pushed += len(ticks)
    if pushed >= plan["ticks"]:
        ws.close()


def on_error(_ws, code, reason):
    faults.append([code, reason])


ticker.on_connect = on_connect
ticker.on_ticks = on_ticks
ticker.on_error = on_error
ticker.on_close = lambda _ws, _code, _reason: closed.set()
ticker.connect(threaded=True)
if not closed.wait(plan["seconds"]):
    sys.exit(f"after {plan['seconds']} s {pushed} ticks: {faults}")
pipeline.flush()
stats = pipeline.stats()
pipeline.close()
print(json.dumps({"pushed": pushed, "stats": stats}))
