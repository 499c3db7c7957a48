"""How long work says how far it is: one callable, given by whoever shows it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is being done."""


def silent(done: int, total: int, message: str) -> None:
    """Show nothing."""
