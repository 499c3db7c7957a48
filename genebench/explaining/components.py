"""Principal components of profiles × genes, read in blocks, for clusters of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Blocks = Callable[[], Iterable[NDArray[np.float32]]]
"""Returns the blocks of profiles × genes, in order, as often as it is called."""

_SPARE = 10
"""Random directions beyond the components that are wanted (Halko, Martinsson and Tropp 2011)."""
_POWER_STEPS = 2
"""Power iterations. Expression has a slowly falling spectrum, for which none would be coarse."""


class Components(NamedTuple):
    """Coordinates of profiles and of genes, so that their distances are those of expression."""

    profiles: NDArray[np.float64]
    """Profiles × components."""
    genes: NDArray[np.float64]
    """Genes × components."""
    explained: float
    """Share of the variance that the components hold, between 0 and 1."""


def components(blocks: Blocks, count: int, seed: int) -> Components:
    """Return the first principal components by a randomised SVD.

    No more than one block of expression is in memory.

    Args:
        blocks: returns profiles × genes, block by block. Genes are centred here.
        count: number of components, at most. There are never more than profiles or genes.
        seed: seed of the random directions.

    Source: Halko, Martinsson and Tropp 2011, SIAM Review 53:217, algorithm 5.1 with power steps.
    """
    total, squares, n = _sums(blocks())
    mean = total / n
    variance = float((squares - n * mean**2).sum())
    wide = min(count + _SPARE, n, len(mean))
    directions = np.random.default_rng(seed).standard_normal((len(mean), wide))

    def centred() -> Iterator[NDArray[np.float64]]:
        return (block - mean for block in blocks())

    for _ in range(_POWER_STEPS):
        directions, _ = np.linalg.qr(sum(block.T @ (block @ directions) for block in centred()))
    basis, _ = np.linalg.qr(np.concatenate([block @ directions for block in centred()]))
    starts = np.cumsum([0, *(len(block) for block in blocks())])
    small = sum(
        basis[start : start + len(block)].T @ block
        for start, block in zip(starts, centred(), strict=False)
    )
    left, values, right = np.linalg.svd(np.asarray(small), full_matrices=False)
    kept = slice(min(count, len(values)))
    explained = float((values[kept] ** 2).sum()) / variance if variance else 1.0
    return Components(
        profiles=basis @ left[:, kept] * values[kept],
        genes=right[kept].T * values[kept],
        explained=min(explained, 1.0),
    )


def _sums(
    blocks: Iterable[NDArray[np.float32]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return the sum and the sum of squares of each gene, and the number of profiles."""
    total: NDArray[np.float64] = np.zeros(1)
    squares: NDArray[np.float64] = np.zeros(1)
    n = 0
    for block in blocks:
        total = total + block.sum(axis=0, dtype=np.float64)
        squares = squares + np.square(block, dtype=np.float64).sum(axis=0)
        n += len(block)
    return total, squares, n
