"""The unmodified KiteTicker, in a process of its own: Twisted's reactor does not start twice.

Reads a plan as JSON from standard input, writes what it was called back with as JSON lines: {"ticks": [...]},
{"order": {...}}, {"error": [code, reason]}, {"close": [code, reason]}. Ends when every token was seen in its mode and
`messages` callbacks came (with `over_limit`: when an error came), or with status 3 after `seconds`.
"""

import json
import logging
import sys
import threading

from kiteconnect import KiteTicker

logging.basicConfig(level=logging.WARNING)
plan = json.load(sys.stdin)
wanted = {token: "quote" for token in plan["tokens"]}
for mode, tokens in plan["modes"].items():
    wanted |= dict.fromkeys(tokens, mode)
unseen = {(token, mode) for token, mode in wanted.items()}
orders_wanted = plan.get("orders", 0)
messages = 0
errors = 0
closed = threading.Event()
ticker = KiteTicker(plan["api_key"], plan["access_token"], root=plan["root"], reconnect=False)


def say(**what):
    print(json.dumps(what, default=lambda time: time.isoformat()), flush=True)


def done():
    if plan.get("over_limit"):
        return errors > 0
    return messages >= plan["messages"] and not unseen and orders_wanted <= 0


def on_connect(ws, _response):
    ws.subscribe(plan["tokens"])
    for mode, tokens in plan["modes"].items():
        ws.set_mode(mode, tokens)


def on_ticks(ws, ticks):
    global messages
    messages += 1
    say(ticks=ticks)
    unseen.difference_update((tick["instrument_token"], tick["mode"]) for tick in ticks)
    if done():
        ws.close()


def on_order_update(ws, order):
    global orders_wanted
    orders_wanted -= 1
    say(order=order)
    if done():
        ws.close()


def on_error(ws, code, reason):
    global errors
    errors += 1
    say(error=[code, reason])
    if done():
        ws.close()


def on_close(_ws, code, reason):
    say(close=[code, reason])
    closed.set()


ticker.on_connect = on_connect
ticker.on_ticks = on_ticks
ticker.on_order_update = on_order_update
ticker.on_close = on_close
ticker.on_error = on_error
ticker.connect(threaded=True)
if not closed.wait(plan["seconds"]):
    say(unseen=sorted(unseen)[:20], messages=messages)
    sys.exit(3)
