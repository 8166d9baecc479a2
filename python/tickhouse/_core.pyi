"""Types of what is written in Rust. `stubtest` holds this file against the module that was built."""

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from os import PathLike
from typing import Any, Literal, TypedDict, TypeVar, final, type_check_only

from typing_extensions import disjoint_base

__all__ = ["ArrowStream", "Pipeline", "Reader", "TickStream", "__version__", "_note_patched", "parse_binary"]

_Self = TypeVar("_Self", bound="Pipeline")

__version__: str

def _note_patched() -> None: ...
def parse_binary(data: bytes, /, tz: tzinfo | None = None) -> list[dict[str, Any]]:
    """The ticks of one binary message of Kite's socket: what `KiteTicker._parse_binary` gives for it, faster.

    Times are as `datetime.fromtimestamp(seconds, tz)` gives them: without `tz` naive, by the clock of this host, as
    pykiteconnect has them.

    Raises `FrameError` when the message ends inside a packet.
    """

@type_check_only
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

@disjoint_base
class Pipeline:
    """Takes ticks, journals them, and publishes them to Redis, from where `tickhouse load` carries them into ClickHouse.

    All methods may be called from any thread. Waiting lets other threads run, and Ctrl-C ends it.
    """

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
    ) -> _Self:
        """Opens the journal of `<recorder>-push`; Redis may be away.

        - `config`: a file, instead of `tickhouse.toml` here or below `~/.config`.
        - `data_dir`, `redis_url`, `recorder`: instead of those of the environment or the file.
        - `source`: which program made the ticks, as `pykiteconnect/5.2.2`, or `rupees`; by default the installed kiteconnect.
        - `queue`: ticks that may be taken and not yet journaled, 1 to 1,000,000.
        - `when_full`: wait up to `patience` seconds for a place and then raise `Full`, or raise it at once.

        Raises `ConfigError` with every fault, `JournalError` when another process writes that journal.
        """

    def push_tick_data(self, tick: Mapping[str, Any]) -> None:
        """Takes one tick, as KiteTicker gives it.

        Raises `TickError` when it can't be stored exactly, `Full` when there was no place in time, `Closed`.
        """

    def push(self, ticks: Iterable[Mapping[str, Any]]) -> int:
        """Takes ticks, and gives how many: all of them.

        Raises `TickError` when some can't be stored exactly; the others were taken. `Full` when there was no place in time:
        those before its `index` were taken. `Closed`.
        """

    def flush(self, timeout: float | None = None) -> None:
        """Waits until everything that was taken before is in the journal's file, where a kill of the process can't harm it.

        Raises `FlushTimeout` after `timeout` seconds; without one it waits as long as the disk does not write.
        """

    def close(self, timeout: float = 5.0) -> None:
        """Takes nothing more, flushes, publishes as far as there is time, and lets go of the journal.

        What Redis did not take the next pipeline of this recorder publishes. Raises `JournalError` when ticks that were taken
        could not be journaled in that time. A second call does nothing.
        """

    def stats(self) -> PipelineStats:
        """Counters."""

    @property
    def closed(self) -> bool:
        """Whether it takes no more ticks."""

    def __enter__(self: _Self) -> _Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class ArrowStream:
    """An answer in Arrow's stream format: a file that can be read once."""

    def read(self, size: int = ..., /) -> bytes: ...
    @staticmethod
    def readable() -> bool: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

@final
class TickStream:
    """Ticks, history first. Iterating waits for what has not come yet."""

    def __iter__(self) -> TickStream: ...
    def __next__(self) -> dict[str, Any]: ...
    def take(self, limit: int = 1_000, timeout: float | None = None) -> list[dict[str, Any]]: ...
    def status(self) -> dict[str, Any] | None: ...
    def close(self) -> None: ...
    def __enter__(self) -> TickStream: ...
    def __exit__(self, *_error: object) -> None: ...

@final
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
