"""How long work says how far it is: one callable, given by whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is being done."""


def silent(done: int, total: int, message: str) -> None:
    """Show nothing."""


BLOCKS = "▁▂▃▄▅▆▇█"
"""What :func:`sparkline` draws with, low to high. Where they cannot be shown, others stand in."""
_WIDTH = 16


def sparkline(values: Sequence[float]) -> str:
    """A curve in one word, from its lowest to its highest value; of many, some, the last always."""
    width = min(len(values), _WIDTH)
    some = [values[(at + 1) * len(values) // width - 1] for at in range(width)]
    low, span = min(some), max(some) - min(some) or 1.0
    return "".join(BLOCKS[round((value - low) / span * (len(BLOCKS) - 1))] for value in some)
