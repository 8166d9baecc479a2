"""Tickhouse from Python: record ticks, and read back what was recorded.

What is public stands here and in `tickhouse.errors`. `tickhouse._core` is the part that is written in Rust.
"""

from tickhouse._core import __version__, parse_binary
from tickhouse.errors import FrameError, TickhouseError

__all__ = [
    "FrameError",
    "TickhouseError",
    "__version__",
    "parse_binary",
]
