"""Limits and resources of a job, as a user writes them: times such as ``15m``, sizes as ``8G``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import typer

from genebench._util.amounts import SIZES, TIMES, seconds, size_bytes
from genebench.errors import UserError, unknown

__all__ = [
    "MemoryLimitOption",
    "ResourcesOption",
    "TimeLimitOption",
    "memory_limit",
    "resources_of",
    "time_limit",
]

TimeLimitOption = Annotated[
    str | None,
    typer.Option("--time-limit", metavar="TIME", help="Stop a job after this time: 90s, 15m, 2h."),
]
MemoryLimitOption = Annotated[
    str | None,
    typer.Option("--memory-limit", metavar="SIZE", help="Stop a job that holds more: 800M, 8G."),
]
ResourcesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--resources", metavar="[METHOD.]NAME=VALUE",
        help="Resources that an engine reserves for a job: cpus, gpus, memory (8G) or time (2h). "
        "Repeatable.",
    ),
]  # fmt: skip


def time_limit(text: str | None) -> float | None:
    """Return a time in seconds. It has a unit, as a size has.

    Raises:
        UserError: the text is no time.
    """
    return (
        None if text is None else _read(seconds, text, f"--time-limit {text}: not a limit", TIMES)
    )


def memory_limit(text: str | None) -> int | None:
    """Return a size in bytes. M, G and T are powers of 1024.

    Raises:
        UserError: the text is no size.
    """
    if text is None:
        return None
    return int(_read(size_bytes, text, f"--memory-limit {text}: not a limit", SIZES))


_RESOURCES: Mapping[str, tuple[str, Callable[[str], float], str]] = {
    "cpus": ("cpus", int, "2"),
    "gpus": ("gpus", int, "1"),
    "memory": ("memory", size_bytes, SIZES),
    "time": ("seconds", seconds, TIMES),
}
"""Name on the command line → field of ``Resources``, function that reads a value, examples."""


def resources_of(assignments: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return method → field of ``Resources`` → value, from the values of ``--resources``.

    The method is empty for values that count for every method.

    Raises:
        UserError: an assignment has another form, an unknown name, or a value that is no amount.
    """
    chosen: dict[str, dict[str, float]] = {}
    for assignment in assignments:
        target, equals, text = assignment.partition("=")
        # Method names may contain dots, and names of resources do not. So the last dot separates.
        method, dot, name = target.strip().rpartition(".")
        if not equals or not name or (dot and not method):
            raise UserError(
                f"--resources {assignment}: not an assignment. Write [METHOD.]NAME=VALUE, such as "
                "memory=8G or ggan.time=4h."
            )
        if name not in _RESOURCES:
            raise unknown("resource", name, _RESOURCES)
        field, read, examples = _RESOURCES[name]
        fault = f"--resources {assignment}: {text} is no value of {name}"
        chosen.setdefault(method, {})[field] = _read(read, text, fault, examples)
    return chosen


def _read(read: Callable[[str], float], text: str, fault: str, examples: str) -> float:
    try:
        return read(text)
    except ValueError:
        raise UserError(f"{fault}. Write it as {examples}.") from None
