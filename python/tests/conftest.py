"""The package as users have it: installed from the wheel. Oracles and processes are those of tests/python."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/python"))

# Python's client turns Unix seconds into the host's local time: see tests/python/test_fixtures.py
os.environ["TZ"] = "Asia/Kolkata"
time.tzset()
# nobody's own settings
for name in [name for name in os.environ if name.startswith("TICKHOUSE_") and name not in ("TICKHOUSE_BIN", "TICKHOUSE_TEST_FULL")]:
    del os.environ[name]
os.environ["XDG_CONFIG_HOME"] = "/nonexistent"


@contextmanager
def another_python(*arguments, **how):
    """Another Python, which does not outlive the test."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | how
    with subprocess.Popen([sys.executable, *map(str, arguments)], **how) as process:
        try:
            yield process
        finally:
            process.kill()
