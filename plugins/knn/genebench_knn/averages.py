"""Averages of neighbours for every k at once, and the choice of k. Both methods use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

SUMS_PER_TILE = 30_000
"""Sums computed at a time.

They stay in a processor's cache. They are also too few for torch to spread over threads, which
would wait for each other after every addition.
"""

Result = TypeVar("Result")


def in_tiles(
    work: Callable[[slice], Result], length: int, width: int
) -> Iterator[tuple[slice, Result]]:
    """Do some work on all rows of a matrix, a few rows at a time, in as many threads as torch uses.

    Yields:
        The rows of each tile with the result for them, in order.
    """
    size = max(1, SUMS_PER_TILE // max(width, 1))
    tiles = [slice(start, start + size) for start in range(0, length, size)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        yield from zip(tiles, pool.map(work, tiles), strict=True)


def running_sums(rows: torch.Tensor, neighbours: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the sum of the first neighbour, of the first two, and so on.

    Terms are added in the order of the neighbours, element by element. So a sum does not depend on
    what else is computed beside it.

    Args:
        rows: the terms, m × w.
        neighbours: r × k indices of ``rows``, nearest first.

    Yields:
        k times the same r × w tensor, updated.
    """
    total = rows.new_zeros(len(neighbours), rows.shape[1])
    for index in neighbours.T:
        total += rows.index_select(0, index)
        yield total


def mean_of(rows: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
    """Return the mean of all k neighbours: r × w, for m × w rows and r × k neighbours."""
    *_, total = running_sums(rows, neighbours)
    return total / neighbours.shape[1]


def errors_by_k(
    rows: torch.Tensor, neighbours: torch.Tensor, truth: torch.Tensor
) -> NDArray[np.float64]:
    """Return the summed absolute error of the mean of k neighbours, for each k.

    Args:
        rows: the terms, m × w.
        neighbours: r × k indices of ``rows``, nearest first.
        truth: r × w.
    """
    errors = truth.new_zeros(neighbours.shape[1], dtype=torch.float64)
    for k, total in enumerate(running_sums(rows, neighbours), start=1):
        # |total / k − y| = |total − k·y| / k, which is one pass over memory less.
        difference = torch.sub(total, truth, alpha=k).abs_()
        errors[k - 1] = difference.sum(1).sum(dtype=torch.float64) / k
    return errors.cpu().numpy()


@dataclass(frozen=True)
class Choice:
    """The k with the smallest MAE on one validation set, and the path of k that was tried.

    Attributes:
        k: number of neighbours.
        notes: a remark if a larger k might be better.
        curves: ``path``: k, and MAE on the validation set.
    """

    k: int
    notes: tuple[str, ...]
    curves: Mapping[str, Mapping[str, Sequence[float]]]

    @classmethod
    def of(cls, mae: NDArray[np.float64], k_max: int) -> Choice:
        """Return the choice from the MAE of k = 1, 2, …. Of equals, the smallest k is chosen."""
        k = 1 + int(np.argmin(mae))
        notes = (f"k={k} is the largest tried. Raise k_max.",) if k == k_max > 1 else ()
        tried = list(range(1, len(mae) + 1))
        return cls(k, notes, {"path": {"k": tried, "mae": mae.tolist()}})
