"""What can go wrong. Every exception of this package is a `TickhouseError`."""


class TickhouseError(Exception):
    """Something failed; the text says what, and what to do."""


class FrameError(TickhouseError, ValueError):
    """A binary message ends inside a packet."""
