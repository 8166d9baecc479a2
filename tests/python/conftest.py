import os
import time

import processes
import pytest

# Python's client turns Unix seconds into the host's local time: see test_fixtures.py
os.environ["TZ"] = "Asia/Kolkata"
time.tzset()


@pytest.fixture
def simulator(tmp_path):
    """A running simulator for one test."""
    running = processes.Simulator(tmp_path)
    yield running
    running.stop()
