"""What both methods do with neighbours: average them for every k at once, and choose k."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from genebench.method import Curve

TILE = 30_000
"""Sums worked on at a time: they stay in the cache, and are so few that torch leaves them to the
thread that asks, which need not wait for others at every step."""

Result = TypeVar("Result")


def in_tiles(
    work: Callable[[slice], Result], length: int, width: int
) -> Iterator[tuple[slice, Result]]:
    """Do some work on all rows of a matrix, a few at a time, in as many threads as torch uses.

    Yields:
        Which rows, and what the work gave, in order.
    """
    size = max(1, TILE // max(width, 1))
    tiles = [slice(start, start + size) for start in range(0, length, size)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        yield from zip(tiles, pool.map(work, tiles), strict=True)


def running_sums(rows: torch.Tensor, neighbours: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the sum of the first neighbour, of the first two, and so on.

    Terms are added in the order of the neighbours and element by element, so a sum does not depend
    on what else is computed beside it.

    Args:
        rows: m × w, what is summed.
        neighbours: r × k, positions in ``rows``, nearest first.

    Yields:
        k times the same r × w tensor, updated.
    """
    total = rows.new_zeros(len(neighbours), rows.shape[1])
    for position in neighbours.T:
        total += rows.index_select(0, position)
        yield total


def mean_of(rows: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
    """The mean of all k neighbours: m × w and r × k in, r × w out."""
    *_, total = running_sums(rows, neighbours)
    return total / neighbours.shape[1]


def errors_by_k(
    rows: torch.Tensor, neighbours: torch.Tensor, truth: torch.Tensor
) -> NDArray[np.float64]:
    """Summed absolute error of the mean of k neighbours against ``truth`` (r × w), for each k."""
    errors = truth.new_zeros(neighbours.shape[1], dtype=torch.float64)
    for at, total in enumerate(running_sums(rows, neighbours)):
        # |total / k − y| = |total − k·y| / k, which is one pass less.
        apart = torch.sub(total, truth, alpha=at + 1).abs_()
        errors[at] = apart.sum(1).sum(dtype=torch.float64) / (at + 1)
    return errors.cpu().numpy()


@dataclass(frozen=True)
class Choice:
    """The k chosen on a validation set, and what a reader of the result should know about it."""

    k: int
    notes: tuple[str, ...]
    curves: Mapping[str, Curve]

    @classmethod
    def of(cls, mae: NDArray[np.float64], k_max: int) -> Choice:
        """The k with the smallest MAE, the smaller one of equals; ``mae`` starts at k = 1.

        There is a remark when k is the largest that was asked for: a larger one might be better.
        """
        k = 1 + int(np.argmin(mae))
        notes = (f"k is the largest tried; raise k_max above {k_max}",) if k == k_max > 1 else ()
        tried = list(range(1, len(mae) + 1))
        return cls(k, notes, {"path": {"k": tried, "mae": mae.tolist()}})
