"""Limits of a job, as a user writes them: ``90``, ``15m``, ``2h``; ``800M``, ``8G``."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from genebench.errors import UserError

__all__ = ["MemoryLimitOption", "TimeLimitOption", "memory_limit", "time_limit"]

TimeLimitOption = Annotated[
    str | None,
    typer.Option("--time-limit", metavar="TIME", help="Stop a job after so long: 90s, 15m, 2h."),
]
MemoryLimitOption = Annotated[
    str | None,
    typer.Option("--memory-limit", metavar="SIZE", help="Stop a job that holds more: 800M, 8G."),
]

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES = {"m": 2**20, "g": 2**30, "t": 2**40}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]?)(?:i?b)?")


def time_limit(text: str | None) -> float | None:
    """Seconds.

    Raises:
        UserError: it is no time.
    """
    return None if text is None else _amount(text, _SECONDS, "--time-limit", "90s, 15m or 2h")


def memory_limit(text: str | None) -> int | None:
    """Bytes; M, G and T are powers of 1024.

    Raises:
        UserError: it is no size.
    """
    return None if text is None else int(_amount(text, _BYTES, "--memory-limit", "800M or 8G"))


def _amount(text: str, units: dict[str, int], option: str, examples: str) -> float:
    found = _AMOUNT.fullmatch(text.strip().lower())
    if not found or found[2] not in units or float(found[1]) == 0:
        raise UserError(f"{option} {text}: write it as {examples}")
    return float(found[1]) * units[found[2]]
