"""A Redis of a test's own, and what stands in its streams: records, read by the documented layout."""

import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass

import processes
import redis
import wire

HEADER = struct.Struct("<BBHIQQqH")
PUSHED = 6


@dataclass
class Record:
    """A record of kind `pushed`."""

    session: int
    sequence: int
    received_at: int
    packets: list


def record(content):
    """The record of an entry's field `r`: 34 bytes, in the first record of a session 16 more, the message."""
    version, kind, _socket, length, session, sequence, received_at, snapshots = HEADER.unpack_from(content)
    assert kind == PUSHED and snapshots == 0 and version in (1, 2)
    start = HEADER.size + (16 if version == 2 else 0)
    assert len(content) == start + length
    return Record(session, sequence, received_at, wire.message(content[start:]))


class Redis:
    """A redis-server on a port of its own, nothing kept."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="tickhouse-redis-")
        self.port = processes.free_port()
        self.process = None
        self.start()

    def start(self):
        program = shutil.which("redis-server")
        assert program, "redis-server is missing: cargo xtask install"
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [program, *arguments], cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.client = redis.Redis(host="127.0.0.1", port=self.port)
        processes.poll("answer of Redis", self._answers, 20)

    def _answers(self):
        try:
            return self.client.ping()
        except redis.exceptions.ConnectionError:
            return None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def records(self, recorder="main"):
        """All records of the stream of pushes, in its order."""
        entries = self.client.xrange(f"ticks:stream:{recorder}-push:0")
        return [record(fields[b"r"]) for _, fields in entries]

    def packets(self, recorder="main"):
        return [packet for found in self.records(recorder) for packet in found.packets]

    def stop(self):
        self.client.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
