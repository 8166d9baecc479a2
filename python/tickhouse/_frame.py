"""Arrow's stream into what the caller works with."""

from __future__ import annotations

import importlib
import io
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickhouse._core import ArrowStream

FRAMES = ("polars", "pandas", "pyarrow")
_NONE = (
    "no library for tables is installed: `pip install 'tickhouse[polars]'`, "
    "`pip install 'tickhouse[pandas]'` or `pip install pyarrow`"
)


def choose(frame: str | None) -> str:
    """The library that is asked for, or the first of those that are installed."""
    if frame is None:
        for name in FRAMES:
            if find_spec(name) is not None and (name != "pandas" or find_spec("pyarrow") is not None):
                return name
        raise ImportError(_NONE)
    if frame not in FRAMES:
        raise ValueError(f"frame is {frame!r}: one of {', '.join(FRAMES)}")
    for name in (frame, "pyarrow") if frame == "pandas" else (frame,):
        if find_spec(name) is None:
            raise ImportError(f"frame={frame!r} needs {name}: `pip install 'tickhouse[{frame}]'`")
    return frame


def make(stream: "ArrowStream", frame: str) -> Any:
    """The table of a stream. Its memory is the table's: the answer is never held beside it."""
    if frame == "polars" and find_spec("pyarrow") is None:
        polars = importlib.import_module("polars")
        return polars.read_ipc_stream(io.BytesIO(stream.read()))
    ipc = importlib.import_module("pyarrow.ipc")
    try:
        with ipc.open_stream(stream) as reader:
            # each piece of an answer has a dictionary of its own words: one for all
            table = reader.read_all().unify_dictionaries()
    finally:
        stream.close()
    if frame == "polars":
        return importlib.import_module("polars").from_arrow(table)
    if frame == "pandas":
        return table.to_pandas(split_blocks=True, self_destruct=True, date_as_object=False)
    return table
