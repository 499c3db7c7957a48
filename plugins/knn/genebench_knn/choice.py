"""What both methods say about the k that was chosen."""

from __future__ import annotations


def edge_notes(k: int, k_max: int) -> tuple[str, ...]:
    """A remark when k is the largest that was tried, so that a larger one might be better."""
    return (f"k is the largest tried; raise k_max above {k_max}",) if k == k_max > 1 else ()
