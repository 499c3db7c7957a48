"""Progress of long work: a callback, and learning curves as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from genebench._util.text import printable

Progress = Callable[[int, int, str], None]
"""Callback with steps done, steps in all, and a description of the work."""


def silent(done: int, total: int, message: str) -> None:
    """Show nothing."""


BLOCKS = "▁▂▃▄▅▆▇█"
"""Characters of :func:`sparkline`, low to high. Terminals without them show others instead."""
_MAX_CHARACTERS = 16
_NO_CURVES = dict.fromkeys(map(ord, BLOCKS), "")
"""Translation that removes the characters of curves."""


def sparkline(values: Sequence[float]) -> str:
    """Return a curve as block characters, scaled from its lowest to its highest value.

    Longer curves are thinned to 16 values, the last one always among them.
    """
    width = min(len(values), _MAX_CHARACTERS)
    shown = [values[(index + 1) * len(values) // width - 1] for index in range(width)]
    # A flat curve has no range: any divisor will do.
    low, span = min(shown), max(shown) - min(shown) or 1.0
    return "".join(BLOCKS[round((value - low) / span * (len(BLOCKS) - 1))] for value in shown)


def without_curves(message: str) -> str:
    """Return a message on one line, without the curves in it."""
    # A curve that was removed leaves a blank before the comma.
    return printable(message.translate(_NO_CURVES)).replace(" ,", ",")
