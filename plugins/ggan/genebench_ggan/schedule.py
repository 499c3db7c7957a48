"""What changes from epoch to epoch."""

from __future__ import annotations


def between(start: float, end: float, epoch: int, epochs: int) -> float:
    """``start`` in epoch 1, ``end`` in the last of ``epochs``, linear in between."""
    return start + (end - start) * (epoch - 1) / max(epochs - 1, 1)
