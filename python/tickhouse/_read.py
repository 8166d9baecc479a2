"""Reading what was recorded: ticks, bars, books, chains, gaps, instruments as frames, and ticks as they come."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import date as Date
from functools import cached_property
from os import PathLike
from typing import Any, Literal, Union

from tickhouse import _core, _frame, _time
from tickhouse.errors import Closed, ReadError

Names = Union[str, int, Iterable[Union[str, int]], None]
Instant = Union[str, Date, None]
Frame = Union[Literal["polars", "pandas", "pyarrow"], None]


def _names(symbols: Names) -> list[str] | None:
    if symbols is None:
        return None
    names = [symbols] if isinstance(symbols, (str, int)) else list(symbols)
    for name in names:
        if isinstance(name, bool) or not isinstance(name, (str, int)) and not hasattr(name, "__index__"):
            raise TypeError(f"symbols has {name!r}: give symbols ('NIFTY', 'NSE:INFY', 'NIFTY26NOV24000CE') or tokens")
    return [name if isinstance(name, str) else str(int(name)) for name in names]


class Client:
    """A connection that can only ask. One for all threads; a process that is forked needs its own.

    Without arguments it finds what `tickhouse.toml` and `TICKHOUSE_*` name, or what runs on this machine: the same as every command of
    the program. `url` is a ClickHouse over HTTP, `redis_url` the Redis of `stream()`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        database: str | None = None,
        user: str | None = None,
        password_file: str | PathLike[str] | None = None,
        redis_url: str | None = None,
        data_dir: str | PathLike[str] | None = None,
        config: str | PathLike[str] | None = None,
        clock: str | None = None,
        frame: Frame = None,
    ) -> None:
        if frame is not None:
            _frame.choose(frame)
        self._frame = frame
        self._keywords: dict[str, Any] = {
            "config": config,
            "data_dir": data_dir,
            "url": url,
            "user": user,
            "password_file": password_file,
            "database": database,
            "redis_url": redis_url,
            "clock": clock,
        }
        self._reader  # faults of the settings are the caller's, here and now

    @cached_property
    def _reader(self) -> _core.Reader:
        return _core.Reader(**self._keywords)

    def _make(self, ask: Callable[[], _core.ArrowStream], frame: Frame) -> Any:
        # before anything is asked: a library that is missing is not worth a query
        chosen = _frame.choose(frame if frame is not None else self._frame)
        return _frame.make(ask(), chosen)

    def ticks(
        self,
        symbols: Names = None,
        from_: Instant = None,
        to: Instant = None,
        *,
        date: Instant = None,
        columns: Iterable[str] | str | None = None,
        order: Literal["time", "instrument"] = "time",
        frame: Frame = None,
    ) -> Any:
        """Ticks, a row per packet.

        symbols: a symbol, a token, or several; a name means what it meant on each day. `None`: every instrument.
        from_, to: from the first instant to the first one after it; `date`: one day. Today by default.
        columns: names of columns of `tick_data`, or "*". By default prices, volume, the best bid and offer.
        order: "time" of receipt, or "instrument" (then time), which costs the server less.
        frame: "polars", "pandas" or "pyarrow"; by default the first of them that is installed.
        """
        if order not in ("time", "instrument"):
            raise ValueError(f"order is {order!r}: 'time' or 'instrument'")
        window = _time.window(self._reader, from_, to, date)
        chosen = [columns] if isinstance(columns, str) else list(columns or [])
        return self._make(lambda: self._reader.ticks(_names(symbols), window, chosen, order), frame)

    def depth(
        self,
        symbols: Names,
        from_: Instant = None,
        to: Instant = None,
        *,
        date: Instant = None,
        levels: int = 5,
        frame: Frame = None,
    ) -> Any:
        """Books: ticks that have one, with 1 to 5 levels of each side, best first; a level without orders is 0."""
        if not 1 <= levels <= 5:
            raise ValueError(f"levels is {levels}: Kite sends 1 to 5")
        window = _time.window(self._reader, from_, to, date)
        return self._make(lambda: self._reader.depth(_names(symbols), window, levels), frame)

    def bars(
        self,
        symbols: str | int | Iterable[str | int],
        interval: str = "1m",
        from_: Instant = None,
        to: Instant = None,
        *,
        date: Instant = None,
        sources: Literal["both", "ticks", "candles"] = "both",
        continuous: bool = False,
        frame: Frame = None,
    ) -> Any:
        """Bars that begin in the window, aligned to the session, of ticks and of candles where ticks are missing.

        interval: "1s" to "1mo"; "500 ticks", "10000 volume" or "5 range" for bars that end by what happens.
        `complete`, `gap_seconds` and `source` say how far a bar can be trusted (docs/bars.md).
        continuous: `symbols` are underlyings, and of each day it is the future that expires next; prices are not adjusted.
        """
        window = _time.window(self._reader, from_, to, date)
        names = _names(symbols) or []
        return self._make(lambda: self._reader.bars(names, interval, window, sources, continuous), frame)

    def chain(self, underlying: str, expiry: str | int | Date = "current", at: str | Date = "now", *, frame: Frame = None) -> Any:
        """The options of one expiry as they stood at an instant, a row per contract, with implied volatility and Greeks.

        expiry: "current", "next", 3 (the third from now), or its day.
        """
        instant = _time.instant(self._reader, "at", at)
        wanted = str(expiry)
        return self._make(lambda: self._reader.chain(underlying, wanted, instant), frame)

    def gaps(
        self, symbols: Names = None, from_: Instant = None, to: Instant = None, *, date: Instant = None, frame: Frame = None
    ) -> Any:
        """Windows of the feed in which ticks may have been missed. With symbols, theirs and those of whole sockets."""
        window = _time.window(self._reader, from_, to, date)
        return self._make(lambda: self._reader.gaps(_names(symbols), window), frame)

    def instruments(
        self,
        symbols: Names = None,
        *,
        day: str | Date = "today",
        exchange: str = "",
        instrument_type: str = "",
        underlying: str = "",
        frame: Frame = None,
    ) -> Any:
        """What instruments were on a day: all, or those of some names, an exchange, a type (EQ, FUT, CE, PE, INDEX), an underlying."""
        on = _time.day(self._reader, "day", day).isoformat()
        names = _names(symbols) or []
        return self._make(lambda: self._reader.instruments(on, names, exchange, instrument_type, underlying), frame)

    def stream(self, symbols: Names = None, from_: Instant = None, *, queue_ticks: int = 20_000) -> "Stream":
        """Ticks as dictionaries: what is recorded from `from_` on, then what comes, with no hole and nothing twice in between.

        Without `from_` only what comes. An iterator that waits, and an asynchronous one; Ctrl-C ends it. Up to `queue_ticks` ticks
        wait for a slow reader, no more: what Redis has dropped by then comes from ClickHouse.
        """
        if queue_ticks < 1:
            raise ValueError(f"queue_ticks is {queue_ticks}: at least 1")
        since = None if from_ is None else _time.instant(self._reader, "from_", from_)
        return Stream(self._reader.stream(_names(symbols), since, queue_ticks))


class Stream:
    """Ticks, history first. See `Client.stream`."""

    def __init__(self, ticks: _core.TickStream) -> None:
        self._ticks = ticks
        # what an asynchronous reader fetched and did not get to: whoever reads next gets it first
        self._rest: deque[dict[str, Any]] = deque()
        self._failed: Exception | None = None
        # one takes at a time, so that what comes next is in order
        self._turn = threading.Lock()
        self._process = os.getpid()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        self._check_process()
        with self._turn:
            rest = self._left(1)
            return rest[0] if rest else next(self._ticks)

    def take(self, limit: int = 1_000, timeout: float | None = None) -> list[dict[str, Any]]:
        """The ticks that are there, at most `limit`; waits up to `timeout` seconds for the first one. Empty: none came in time."""
        self._check_process()
        until = None if timeout is None else time.monotonic() + timeout
        if not self._turn.acquire(timeout=-1 if timeout is None else min(max(timeout, 0), threading.TIMEOUT_MAX)):
            return []
        try:
            rest = self._left(limit)
            return rest or self._ticks.take(limit, None if until is None else max(until - time.monotonic(), 0))
        finally:
            self._turn.release()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        self._check_process()
        while True:
            for tick in self._left(1):
                yield tick
            # a task that is cancelled here leaves a thread behind, and that leaves what it takes to the next reader
            if not self._rest and not await asyncio.to_thread(self._fetch):
                return

    def _fetch(self) -> bool:
        """Takes ticks for an asynchronous reader. Waits shortly: nobody can cancel it. False: the stream has ended."""
        with self._turn:
            if not self._rest and self._failed is None:
                try:
                    self._rest.extend(self._ticks.take(1_000, 0.5))
                except Closed:
                    return False
                except Exception as error:
                    self._failed = error
        return True

    def _left(self, limit: int) -> list[dict[str, Any]]:
        """What was fetched and not given, at most `limit`; raises what ended the fetching once nothing is left."""
        left: list[dict[str, Any]] = []
        while self._rest and len(left) < max(limit, 1):
            try:
                left.append(self._rest.popleft())
            except IndexError:  # another reader was faster
                break
        if not left and self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed
        return left

    def _check_process(self) -> None:
        # before the lock, which another thread may have held at the fork
        if self._process != os.getpid():
            raise ReadError("this process is a fork of the one that made the stream: make it here")

    @property
    def status(self) -> dict[str, Any] | None:
        """How far it is: `phase` ("history" or "live"), ticks from each side, streams that are waited for, an error that is tried again.
        `None` once it is closed."""
        return self._ticks.status()

    def close(self) -> None:
        """Ends it."""
        self._ticks.close()
        self._rest.clear()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class _Default(Client):
    """Connects at the first call, with the configuration as it is then."""

    def __init__(self) -> None:
        self._keywords = {}
        self._frame = None
        self._of_parents: list[_core.Reader] = []
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        # connects anew; the parent's connections are its own, not even to be closed here
        reader = self.__dict__.pop("_reader", None)
        if reader is not None:
            self._of_parents.append(reader)


_default = _Default()
ticks = _default.ticks
depth = _default.depth
bars = _default.bars
chain = _default.chain
gaps = _default.gaps
instruments = _default.instruments
stream = _default.stream
