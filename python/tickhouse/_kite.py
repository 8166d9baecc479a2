"""pykiteconnect: which version is installed, and our decoder in place of its own."""

from importlib import metadata
from typing import Any, Optional, TypeVar

from tickhouse import _core

_Ticker = TypeVar("_Ticker", bound=type)


def installed() -> Optional[str]:
    """`pykiteconnect/<version>`, if it is installed. Its versions disagree about prices, and a tick does not say which made it."""
    try:
        return f"pykiteconnect/{metadata.version('kiteconnect')}"
    except metadata.PackageNotFoundError:
        return None


def patch(ticker: _Ticker) -> _Ticker:
    """Gives `KiteTicker`, or a class made from it, `parse_binary` as its decoder, and gives the class back.

    Ticks keep their keys and types. Prices below zero become right, and those of NCO in versions before 5.2.2. A Pipeline
    that was not told its source knows of it.

    Needs the names of ticks that pykiteconnect has since 4.0.
    """
    if not callable(getattr(ticker, "_parse_binary", None)):
        raise TypeError(f"{ticker!r} has no _parse_binary: patch takes kiteconnect.KiteTicker")
    client = installed()
    if client is not None and int(client.partition("/")[2].partition(".")[0]) < 4:
        raise RuntimeError(f"{client} names the fields of a tick otherwise: update it to 4.0 or later")

    def _parse_binary(_self: Any, bin: bytes) -> "list[dict[str, Any]]":  # noqa: A002 - its own name there
        return _core.parse_binary(bin)

    ticker._parse_binary = _parse_binary  # type: ignore[attr-defined]
    _core._note_patched()
    return ticker
