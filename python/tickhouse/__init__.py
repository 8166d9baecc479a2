"""Tickhouse from Python: record ticks, and read back what was recorded.

What is public stands here and in `tickhouse.errors`. `tickhouse._core` is the part that is written in Rust.
"""

from tickhouse._core import Pipeline, __version__, parse_binary
from tickhouse._kite import patch
from tickhouse.errors import (
    Closed,
    ConfigError,
    Fault,
    FlushTimeout,
    FrameError,
    Full,
    JournalError,
    TickError,
    TickhouseError,
)

ClickHousePipeline = Pipeline

__all__ = [
    "ClickHousePipeline",
    "Closed",
    "ConfigError",
    "Fault",
    "FlushTimeout",
    "FrameError",
    "Full",
    "JournalError",
    "Pipeline",
    "TickError",
    "TickhouseError",
    "__version__",
    "parse_binary",
    "patch",
]
