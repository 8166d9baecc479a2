"""The package as users have it: installed from the wheel. Oracles and processes are those of tests/python."""

import os
import sys
import time
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
