"""Sizes and times as people write them, 64KB and 5us; they know no setting."""

from __future__ import annotations

import re
from fractions import Fraction

from projgraph.errors import ConfigError

_UNITS = {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2}
MAX_BUDGET = 1 << 28
_NANOSECONDS = {"ns": 1, "us": 1000, "µs".casefold(): 1000, "ms": 1000_000}
MAX_TIME = 1000_000_000
"""Nanoseconds."""


def parse_bytes(text: str) -> int:
    """Bytes of a size such as ``64KB``, ``65536`` or ``1MB`` (1 KB is 1,024 bytes).

    Raises:
        ConfigError: for anything else, or a size outside 1 byte to 256 MB.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    size = float(found[1]) * unit if found and unit else 0.0
    if not 1 <= size <= MAX_BUDGET:
        raise ConfigError(f"'{text}' is not a size; expected bytes such as 65536, 64KB or 1MB, at most 256MB")
    return int(size)


def parse_time(text: str) -> int:
    """Nanoseconds of a time such as ``5us``, ``500ns`` or ``0.1ms``, rounded down.

    Raises:
        ConfigError: for anything else, or a time outside 1 ns to 1 s.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([^\W\d_]+)\s*", text)
    unit = _NANOSECONDS.get(found[2].casefold()) if found else None
    time = int(Fraction(found[1]) * unit) if found and unit else 0
    if not 1 <= time <= MAX_TIME:
        raise ConfigError(f"'{text}' is not a time; expected one such as 5us, 500ns or 0.1ms, at most 1000ms")
    return time
