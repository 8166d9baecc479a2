"""Tickhouse from Python: record ticks, and read back what was recorded.

What is public stands here and in `tickhouse.errors`. `tickhouse._core` is the part that is written in Rust.
"""

from tickhouse._core import Pipeline, __version__, parse_binary
from tickhouse._kite import patch
from tickhouse._read import Client, Stream, bars, chain, depth, gaps, instruments, stream, ticks
from tickhouse.errors import (
    Closed,
    ConfigError,
    Fault,
    FlushTimeout,
    FrameError,
    Full,
    JournalError,
    ReadError,
    TickError,
    TickhouseError,
)

ClickHousePipeline = Pipeline

__all__ = [
    "ClickHousePipeline",
    "Client",
    "Closed",
    "ConfigError",
    "Fault",
    "FlushTimeout",
    "FrameError",
    "Full",
    "JournalError",
    "Pipeline",
    "ReadError",
    "Stream",
    "TickError",
    "TickhouseError",
    "__version__",
    "bars",
    "chain",
    "depth",
    "gaps",
    "instruments",
    "parse_binary",
    "patch",
    "stream",
    "ticks",
]
