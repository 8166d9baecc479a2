"""What type checkers know of the package, and the examples of its README."""

import os
import re
import subprocess
import sys

import pytest
from conftest import REPOSITORY

PROGRAM = '''
from __future__ import annotations
import datetime
from typing import Any
import tickhouse
from tickhouse import ClickHousePipeline, Pipeline

def on_ticks(ws: object, ticks: list[dict[str, Any]]) -> None:
    with Pipeline(data_dir="x", when_full="raise") as pipeline:
        try:
            taken: int = pipeline.push(ticks)
        except tickhouse.TickError as error:
            paths: list[str] = [fault.path for fault in error.faults]
            print(paths, error.accepted)
        for tick in ticks:
            pipeline.push_tick_data(tick)
        pipeline.flush(timeout=1.5)
        waiting: int = pipeline.stats()["waiting"]
        print(taken + waiting)

class Mine(ClickHousePipeline):
    pass

prices: list[float] = [tick["last_price"] for tick in tickhouse.parse_binary(b"", datetime.timezone.utc)]
'''

WRONG = """
import tickhouse
tickhouse.Pipeline("here")
tickhouse.Pipeline(when_full="drop")
tickhouse.Pipeline().stats()["dropped"]
tickhouse.parse_binary("text")
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What one run has found out about libraries serves the next."""
    return {"MYPY_CACHE_DIR": str(tmp_path_factory.mktemp("mypy"))}


def mypy(module, *arguments, cwd, cache):
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=cwd, env=os.environ | cache, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_strict_program_checks_and_a_wrong_one_does_not(tmp_path, cache):
    (tmp_path / "right.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(WRONG)
    status, text = mypy("mypy", "--strict", "right.py", "wrong.py", cwd=tmp_path, cache=cache)
    assert status == 1
    faults = set(re.findall(r"^(\S+?):(\d+): error", text, re.MULTILINE))
    assert faults == {("wrong.py", line) for line in "3456"}, text


def test_the_package_checks_and_its_stubs_are_those_of_what_was_built(tmp_path, cache):
    status, text = mypy("mypy", "--strict", "-p", "tickhouse", cwd=tmp_path, cache=cache)
    assert status == 0, text
    status, text = mypy("mypy.stubtest", "tickhouse", cwd=tmp_path, cache=cache)
    assert status == 0, text


def examples():
    text = (REPOSITORY / "python/README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    return blocks


def test_examples_of_the_readme_run(tmp_path):
    """All of them in one program, as a reader would type them; `python-live` marks those that need a market."""
    program = tmp_path / "examples.py"
    program.write_text("\n".join(examples()))
    (tmp_path / "message.bin").write_bytes(b"\x00\x01\x00\x08" + bytes([0, 6, 58, 1, 0, 2, 102, 186]))
    # nobody's real Redis
    environment = os.environ | {"TICKHOUSE_REDIS_PORT": "1"}
    command = [sys.executable, "-W", "error::ResourceWarning", str(program)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 last_price 0.333 is no multiple of 1/100" in done.stdout and "1573.7" in done.stdout
