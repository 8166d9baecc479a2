"""Types of what is written in Rust. `stubtest` holds this file against the module that was built."""

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from os import PathLike
from types import TracebackType
from typing import Any, Literal, TypedDict, TypeVar

_Self = TypeVar("_Self", bound="Pipeline")

__version__: str

def _note_patched() -> None: ...
def parse_binary(data: bytes, /, tz: tzinfo | None = None) -> list[dict[str, Any]]:
    """The ticks of one binary message of Kite's socket: what `KiteTicker._parse_binary` gives for it, faster.

    Times are as `datetime.fromtimestamp(seconds, tz)` gives them: without `tz` naive, by the clock of this host, as
    pykiteconnect has them.

    Raises `FrameError` when the message ends inside a packet.
    """

class PipelineStats(TypedDict, total=False):
    """Counters of a `Pipeline`: ticks, where nothing else is said.

    What was offered is `accepted + refused + turned_away`, and `accepted` is `journaled + waiting`.
    """

    accepted: int
    journaled: int
    waiting: int
    refused: int
    turned_away: int
    recorder: str
    session: int
    records: int
    published: int
    connected: bool
    journal_fault: str | None
    redis_fault: str | None
    closed: bool

class Pipeline:
    """Takes ticks, journals them, and publishes them to Redis, from where `tickhouse load` carries them into ClickHouse."""

    def __new__(
        cls: type[_Self],
        *,
        config: str | PathLike[str] | None = None,
        data_dir: str | PathLike[str] | None = None,
        redis_url: str | None = None,
        recorder: str | None = None,
        source: str | None = None,
        queue: int = 100_000,
        when_full: Literal["block", "raise"] = "block",
        patience: float = 5.0,
    ) -> _Self: ...
    def push_tick_data(self, tick: Mapping[str, Any]) -> None: ...
    def push(self, ticks: Iterable[Mapping[str, Any]]) -> int: ...
    def flush(self, timeout: float | None = None) -> None: ...
    def close(self, timeout: float = 5.0) -> None: ...
    def stats(self) -> PipelineStats: ...
    @property
    def closed(self) -> bool: ...
    def __enter__(self: _Self) -> _Self: ...
    def __exit__(self, *_exception: object) -> None: ...

class ArrowStream:
    """An answer in Arrow's stream format: a file that can be read once."""

    def read(self, size: int = -1, /) -> bytes: ...
    @staticmethod
    def readable() -> bool: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

class TickStream:
    """Ticks, history first. Iterating waits for what has not come yet."""

    def __iter__(self) -> TickStream: ...
    def __next__(self) -> dict[str, Any]: ...
    def take(self, limit: int = 1_000, timeout: float | None = None) -> list[dict[str, Any]]: ...
    def status(self) -> dict[str, Any] | None: ...
    def close(self) -> None: ...
    def __enter__(self) -> TickStream: ...
    def __exit__(self, *_error: object) -> None: ...

class Reader:
    """A connection that can only ask. Instants are nanoseconds since 1970 UTC; a window ends before its second one."""

    def __new__(
        cls,
        *,
        config: str | PathLike[str] | None = None,
        data_dir: str | PathLike[str] | None = None,
        url: str | None = None,
        user: str | None = None,
        password_file: str | PathLike[str] | None = None,
        database: str | None = None,
        redis_url: str | None = None,
        clock: str | None = None,
    ) -> Reader: ...
    def now(self) -> int: ...
    def instant(self, text: str) -> int: ...
    def ticks(
        self, symbols: list[str] | None, window: tuple[int, int], columns: list[str], order: str
    ) -> ArrowStream: ...
    def depth(self, symbols: list[str] | None, window: tuple[int, int], levels: int) -> ArrowStream: ...
    def bars(
        self, names: list[str], interval: str, window: tuple[int, int], sources: str, continuous: bool
    ) -> ArrowStream: ...
    def chain(self, underlying: str, expiry: str, at: int) -> ArrowStream: ...
    def gaps(self, symbols: list[str] | None, window: tuple[int, int]) -> ArrowStream: ...
    def instruments(
        self, day: str, names: list[str], exchange: str, instrument_type: str, underlying: str
    ) -> ArrowStream: ...
    def stream(self, symbols: list[str] | None, since: int | None, queue_ticks: int) -> TickStream: ...
