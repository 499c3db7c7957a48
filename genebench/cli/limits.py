"""Limits of a job, as a user writes them: times such as ``15m``, sizes such as ``8G``."""

from __future__ import annotations

import math
import re
from typing import Annotated

import typer

from genebench.errors import UserError

__all__ = ["MemoryLimitOption", "TimeLimitOption", "memory_limit", "time_limit"]

TimeLimitOption = Annotated[
    str | None,
    typer.Option(
        "--time-limit", metavar="TIME", help="Stop a job after this time, for example 2h."
    ),
]
MemoryLimitOption = Annotated[
    str | None,
    typer.Option(
        "--memory-limit", metavar="SIZE", help="Stop a job that holds more, for example 8G."
    ),
]

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNIT_BYTES = {"m": 2**20, "g": 2**30, "t": 2**40}
# The number, the unit's letter, and what people write after it: 8G, 8 GB, 8GiB.
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]?)(?:i?b)?")


def time_limit(text: str | None) -> float | None:
    """Return a time in seconds. A number without a unit is in seconds.

    Raises:
        UserError: the text is no time.
    """
    return None if text is None else _amount(text, _UNIT_SECONDS, "--time-limit", "90s, 15m or 2h")


def memory_limit(text: str | None) -> int | None:
    """Return a size in bytes. M, G and T are powers of 1024.

    Raises:
        UserError: the text is no size.
    """
    return None if text is None else int(_amount(text, _UNIT_BYTES, "--memory-limit", "800M or 8G"))


def _amount(text: str, units: dict[str, int], option: str, examples: str) -> float:
    """Return a number with a unit. A size without a unit is refused: nobody means bytes."""
    match = _AMOUNT.fullmatch(text.strip().lower())
    # A number of more than 308 digits is infinite.
    if not match or match[2] not in units or not 0 < float(match[1]) < math.inf:
        raise UserError(f"{option} {text}: not a limit. Write it as {examples}.")
    return float(match[1]) * units[match[2]]
