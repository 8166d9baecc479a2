"""Starts Tickhouse's processes for a test and ends them, each by its own id."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


def binary():
    """The tickhouse program: TICKHOUSE_BIN, else what `cargo build` makes."""
    path = Path(os.environ.get("TICKHOUSE_BIN", REPOSITORY / "target/debug/tickhouse"))
    assert path.exists(), f"{path} is missing: cargo build -p tickhouse, or set TICKHOUSE_BIN"
    return path


def poll(what, check, seconds):
    """The first true answer of `check`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"after {seconds} s still no {what}"
        time.sleep(0.05)


def free_port():
    """A port that nobody had a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Tickhouse:
    """A tickhouse process whose output is kept for the case that something fails."""

    def __init__(self, *arguments, cwd):
        self.output = deque(maxlen=400)
        self.process = subprocess.Popen(
            [str(binary()), *map(str, arguments)],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.output.append(line)

    def text(self):
        return "".join(list(self.output))

    def find(self, pattern):
        """The first match in the output so far; fails when the process has ended without one."""
        found = re.search(pattern, self.text())
        if not found and self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}:\n{self.text()}")
        return found

    def stop(self, seconds=30):
        """Asks it to end, and waits until it has."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end within {seconds} s:\n{self.text()}") from None
        finally:
            self.reader.join(5)
        return self.process.returncode


class Simulator(Tickhouse):
    """`tickhouse sim` on a port of its own."""

    def __init__(self, directory, *arguments, instruments=900, rate=3_000):
        self.ledger = Path(directory) / "ledger.jsonl"
        super().__init__(
            "sim",
            "--listen", "127.0.0.1:0",
            "--instruments", instruments,
            "--rate", rate,
            "--seed", 7,
            "--ledger", self.ledger,
            *arguments,
            cwd=directory,
        )  # fmt: skip
        self.port = int(poll("address of the simulator", lambda: self.find(ADDRESS), 20).group(1))

    @property
    def rest(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self):
        return f"ws://127.0.0.1:{self.port}"
