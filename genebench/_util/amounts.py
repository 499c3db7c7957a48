"""Amounts with a unit, as users read and write them: times such as ``15m``, sizes as ``8G``."""

from __future__ import annotations

import math
import re

TIMES = "90s, 15m or 2h"
"""Examples of times, for messages."""
SIZES = "800M or 8G"
"""Examples of sizes, for messages."""

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNIT_BYTES = {"m": 2**20, "g": 2**30, "t": 2**40}
# The number, the unit's letter, and what people write after it: 8G, 8 GB, 8GiB.
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]?)(?:i?b)?")


def seconds(text: str) -> float:
    """Return a time in seconds.

    A number without a unit is refused, as in :func:`size_bytes`: 5 may be seconds or minutes.

    Raises:
        ValueError: the text is no time.
    """
    return _amount(text, _UNIT_SECONDS)


def size_bytes(text: str) -> int:
    """Return a size in bytes. M, G and T are powers of 1024.

    A size without a unit is refused, because nobody means bytes.

    Raises:
        ValueError: the text is no size.
    """
    return int(_amount(text, _UNIT_BYTES))


def spoken(seconds: float | None) -> str:
    """Return a time as people say it: ``40 s``, ``12 min``, ``3 h 5 min``, or ``unknown``."""
    if seconds is None:
        return "unknown"
    if seconds < 90:  # noqa: PLR2004
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:  # noqa: PLR2004
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours / 24:.1f} days"


def gigabytes(size: int) -> str:
    """Return a size of memory in GB, as ``free`` and task managers show it."""
    return f"{size / 2**30:.1f} GB"


def _amount(text: str, units: dict[str, int]) -> float:
    match = _AMOUNT.fullmatch(text.strip().lower())
    # A number of more than 308 digits is infinite.
    if not match or match[2] not in units or not 0 < float(match[1]) < math.inf:
        raise ValueError("not an amount")
    return float(match[1]) * units[match[2]]
