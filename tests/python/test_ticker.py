"""Kite's own WebSocket client, unmodified, on the simulator: every packet kind, values equal to the ledger."""

import json
import threading
import urllib.request
from collections import defaultdict

import clients
import processes
import wire
from kiteconnect import KiteConnect

PER_SEGMENT = 24


def choose(simulator):
    """Some tokens of each segment, in three equal parts: ltp, quote (what a bare subscribe gives), full."""
    kite = KiteConnect("key", "token", root=simulator.rest)
    by_segment = defaultdict(list)
    for instrument in kite.instruments():
        by_segment[instrument["instrument_token"] & 0xFF].append(instrument["instrument_token"])
    assert {wire.SEGMENTS[segment] for segment in by_segment} == set(wire.SEGMENTS.values())
    tokens = [token for of_segment in by_segment.values() for token in of_segment[:PER_SEGMENT]]
    return tokens, {"ltp": tokens[0::3], "full": tokens[2::3]}


def test_every_packet_kind_has_the_values_of_the_ledger(simulator):
    tokens, modes = choose(simulator)
    said = clients.run_ticker(simulator.socket, tokens, modes, messages=100)
    assert simulator.stop() == 0, simulator.text()
    ticks = [line["ticks"] for line in said if "ticks" in line]
    assert len(ticks) >= 100
    lines = wire.ledger(simulator.ledger)
    frames = [line["decoded"] for line in lines if line["kind"] == "frame" and line["c"] == 1]
    assert len(frames) >= len(ticks)
    kinds = set()
    # the client closed first, so it has read a beginning of what was sent
    for number, (got, sent) in enumerate(zip(ticks, frames, strict=False)):
        assert got == [clients.expected_tick(packet) for packet in sent], f"message {number + 1}"
        kinds |= {(wire.SEGMENTS[packet.segment], packet.length) for packet in sent}
    tradable = set(wire.SEGMENTS.values()) - {"INDICES"}
    assert kinds == {(name, length) for name in tradable for length in (8, 44, 184)} | {
        ("INDICES", length) for length in (8, 28, 32)
    }
    prices = [packet.values["last_price"] for sent in frames for packet in sent]
    assert all(price > 0 for price in prices)


def test_requests_and_text_messages_arrive(simulator):
    tokens, _ = choose(simulator)
    tokens = tokens[:3]
    order = json.dumps({"tradingsymbol": "INFY", "status": "COMPLETE"}).encode()
    done = threading.Event()

    def place_orders():
        request = urllib.request.Request(
            f"{simulator.rest}/sim/order", data=order, headers={"content-type": "application/json"}
        )
        while not done.wait(0.2):
            urllib.request.urlopen(request, timeout=5).read()

    thread = threading.Thread(target=place_orders)
    thread.start()
    try:
        said = clients.run_ticker(simulator.socket, tokens, {"full": tokens}, orders=1)
    finally:
        done.set()
        thread.join()
    orders = [line["order"] for line in said if "order" in line]
    assert (orders[0]["tradingsymbol"], orders[0]["status"]) == ("INFY", "COMPLETE")
    assert orders[0]["order_timestamp"], "merged into a complete postback"
    simulator.stop()
    lines = [line for line in wire.ledger(simulator.ledger) if line.get("c") == 1]
    requests = [json.loads(line["text"]) for line in lines if line["kind"] == "request"]
    assert requests == [{"a": "subscribe", "v": tokens}, {"a": "mode", "v": ["full", tokens]}]
    texts = [json.loads(line["text"])["type"] for line in lines if line["kind"] == "text"]
    assert texts[:2] == ["instruments_meta", "app_code"]


def test_too_many_instruments_is_an_error_message_not_a_disconnect(tmp_path):
    simulator = processes.Simulator(tmp_path, instruments=3_300, rate=500)
    try:
        kite = KiteConnect("key", "token", root=simulator.rest)
        tokens = [instrument["instrument_token"] for instrument in kite.instruments()][:3_200]
        said = clients.run_ticker(simulator.socket, tokens, {}, seconds=6, over_limit=True)
    finally:
        simulator.stop()
    errors = [line["error"] for line in said if "error" in line]
    assert errors[0][0] == 0 and "more than 3000 instruments" in errors[0][1]
