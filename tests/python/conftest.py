import os
import tempfile
import time

import processes
import pytest
from demo import Demo
from processes import poll

# Python's client turns Unix seconds into the host's local time: see test_fixtures.py
os.environ["TZ"] = "Asia/Kolkata"
time.tzset()


@pytest.fixture
def simulator(tmp_path):
    """A running simulator for one test."""
    running = processes.Simulator(tmp_path)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def demo():
    """A running demo for all tests that change nothing in it but by adding rows of their own."""
    # not pytest's own temporary directory: the path of a socket in it would be too long
    with tempfile.TemporaryDirectory(prefix="tickhouse-") as directory:
        running = Demo(directory)
        try:
            poll("tick in ClickHouse", running.is_live, 180)
            yield running
        finally:
            status = running.stop(60)
        assert status == 0, running.text()
