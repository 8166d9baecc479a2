"""Instants as Python's users write them, in nanoseconds since 1970 UTC. A time without a zone is India's."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickhouse._core import Reader


def _india() -> tzinfo:
    try:
        from zoneinfo import ZoneInfo

        return ZoneInfo("Asia/Kolkata")
    except Exception:  # a host without a database of time zones: India has had this offset since 1945
        return timezone(timedelta(hours=5, minutes=30), "IST")


IST = _india()
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def _nanos(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND * 1000


def instant(reader: "Reader", name: str, value: Any) -> int:
    """`value` as nanoseconds. `name` is for the error."""
    if isinstance(value, str):
        return reader.instant(value)
    if isinstance(value, datetime):  # a pandas Timestamp too
        return _nanos(value if value.tzinfo is not None else value.replace(tzinfo=IST))
    if isinstance(value, date):
        return _nanos(datetime(value.year, value.month, value.day, tzinfo=IST))
    if type(value).__name__ == "datetime64":
        # a frame's `.values` are UTC, what people type is India's: half a day's trading lies between the two
        raise TypeError(f"{name} is {value!r}, which may be UTC or India's time: give pandas.Timestamp(value, tz=…)")
    raise TypeError(
        f"{name} is {value!r}: give a text like '2026-11-20 10:15', '10:15', '15m' (ago) or 'now', "
        "a datetime (without a zone it is India's), a date, or a pandas Timestamp"
    )


def day(reader: "Reader", name: str, value: Any) -> date:
    """The day in India that `value` names or lies in."""
    nanos = instant(reader, name, value)
    return datetime.fromtimestamp(nanos // 1_000_000_000, IST).date()


def window(reader: "Reader", from_: Any, to: Any, on: Any) -> tuple[int, int]:
    """From the first instant to the first one after it: a day, or from one instant to another; today until now by default."""
    if on is not None:
        if from_ is not None or to is not None:
            raise TypeError("give `date`, or `from_` and `to`, not both")
        first = day(reader, "date", on)
        return instant(reader, "date", first), instant(reader, "date", first + timedelta(days=1))
    end = reader.now() + 1 if to is None else instant(reader, "to", to)
    begin = instant(reader, "from_", "today" if from_ is None else from_)
    if begin > end:
        raise ValueError(f"from_ ({from_!r}) is after to ({to!r})")
    return begin, end
