"""How many full ticks a second one thread of Python hands over: Pipeline beside what people write instead, json.dumps and XADD
of flat fields by redis-py, one by one and in pipelines of 200.

    python python/benches/push.py        with the release wheel, kiteconnect and redis installed, redis-server in the path

Pipeline's figure is up to the end of flush(): everything is in the journal's file. XADD's is up to the answers of Redis.
"""

import json
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import redis
import tickhouse
from kiteconnect import KiteTicker

TICKS = 200
ROUNDS = 5
SECONDS = 0.5


def ticks():
    """As on_ticks gets them from pykiteconnect: every object its own."""
    chance = random.Random(7)
    bodies = []
    for _ in range(TICKS):
        body = bytearray(chance.randrange(0, 0x40) if at % 4 == 0 else chance.randrange(256) for at in range(184))
        body[3] = 1
        for at in (44, 60):
            struct.pack_into(">I", body, at, 1_795_146_300 + chance.randrange(4))
        bodies.append(struct.pack(">H", 184) + body)
    payload = struct.pack(">H", TICKS) + b"".join(bodies)
    return KiteTicker("key", "token")._parse_binary(payload)


def rate(work, end=lambda: None):
    best = 0.0
    for _ in range(ROUNDS):
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            work()
            count += TICKS
        end()
        best = max(best, count / (time.perf_counter() - began))
    return best


def flat(tick):
    """One field per column, as the brief's XADD has them."""
    fields = {name: value for name, value in tick.items() if not isinstance(value, dict)}
    fields |= {f"{name}_price": value for name, value in tick["ohlc"].items()}
    for side, word in (("buy", "bid"), ("sell", "ask")):
        for number, level in enumerate(tick["depth"][side], 1):
            for name, value in level.items():
                fields[f"{word}_{number}_{name}"] = value
    return {name: str(value) for name, value in fields.items()}


def xadd(client, batch):
    for tick in batch:
        client.xadd("bench", flat(tick), maxlen=100_000, approximate=True)


def xadd_in_pipelines(client, batch):
    with client.pipeline(transaction=False) as pipe:
        xadd(pipe, batch)
        pipe.execute()


class Server:
    """A redis-server that keeps nothing."""

    def __enter__(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.directory = tempfile.mkdtemp(prefix="tickhouse-bench-")
        arguments = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(arguments, cwd=self.directory, stdout=subprocess.DEVNULL)
        self.url = f"redis://127.0.0.1:{port}"
        client = redis.Redis.from_url(self.url)
        for _ in range(200):
            try:
                client.ping()
                return self
            except redis.ConnectionError:
                time.sleep(0.05)
        raise RuntimeError("redis-server does not answer")

    def __exit__(self, *_exception):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    batch = ticks()
    results = {"json.dumps": rate(lambda: [json.dumps(tick, default=str) for tick in batch])}
    with Server() as server:
        client = redis.Redis.from_url(server.url)
        results["redis-py XADD"] = rate(lambda: xadd(client, batch))
        results["redis-py XADD, 200 at once"] = rate(lambda: xadd_in_pipelines(client, batch))
        client.flushall()
        with tempfile.TemporaryDirectory() as directory:
            with tickhouse.Pipeline(data_dir=directory, redis_url=server.url) as pipeline:

                def one_by_one():
                    for tick in batch:
                        pipeline.push_tick_data(tick)

                results["Pipeline.push_tick_data"] = rate(one_by_one, pipeline.flush)
                results["Pipeline.push"] = rate(lambda: pipeline.push(batch), pipeline.flush)
                stats = pipeline.stats()
                assert stats["journaled"] == stats["accepted"] and not stats["refused"], stats
                pipeline.close(0)
    slowest = results["redis-py XADD"]
    print(f"{'full ticks of one thread':<28}{'ticks/s':>12}{'ratio':>8}")
    for name, found in results.items():
        print(f"{name:<28}{found:>12,.0f}{found / slowest:>8.1f}")


if __name__ == "__main__":
    main()
