"""What can go wrong. Every exception of this package is a `TickhouseError`."""

import queue
from dataclasses import dataclass


class TickhouseError(Exception):
    """Something failed; the text says what, and what to do."""


class ConfigError(TickhouseError, ValueError):
    """A setting is wrong: in a keyword, the environment, or tickhouse.toml. The text has every fault."""


class FrameError(TickhouseError, ValueError):
    """A binary message ends inside a packet."""


class JournalError(TickhouseError):
    """The journal can't be opened (another process writes it), or took nothing more before the end."""


class ReadError(TickhouseError):
    """What was asked could not be read: ClickHouse or Redis is away, refuses, or does not know a name. The text says what to do."""


class Closed(TickhouseError):
    """The pipeline was closed, or this process is a fork of the one that opened it."""


class FlushTimeout(TickhouseError, TimeoutError):
    """Not everything was journaled in time. It still waits in the queue."""


class Full(TickhouseError, queue.Full):
    """The queue had no place in time. `accepted` ticks of the call were taken, those from `index` on were not."""

    accepted: int
    index: int

    def __init__(self, message: str, accepted: int = 0, index: int = 0) -> None:
        super().__init__(message)
        self.accepted = accepted
        self.index = index


@dataclass(frozen=True)
class Fault:
    """A value that was refused."""

    index: int
    """Which tick of the call, from 0."""
    path: str
    """Where in it, as in `depth.buy[2].price`; empty for the tick itself."""
    reason: str
    """What is wrong, and what would be right."""


class TickError(TickhouseError, ValueError):
    """Ticks that can't be stored exactly were refused; the `accepted` others of the call were taken.

    `faults` has each refused tick with its first fault.
    """

    accepted: int
    faults: list[Fault]

    def __init__(self, message: str, faults: "list[tuple[int, str, str]] | None" = None, accepted: int = 0) -> None:
        super().__init__(message)
        self.faults = [Fault(*fault) for fault in faults or []]
        self.accepted = accepted
