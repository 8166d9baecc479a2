"""Types of what is written in Rust. `stubtest` holds this file against the module that was built."""

from datetime import tzinfo
from typing import Any

__version__: str

def parse_binary(data: bytes, /, tz: tzinfo | None = None) -> list[dict[str, Any]]: ...
