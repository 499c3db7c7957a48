"""The published normalisation, on blocks of profiles × genes (REFERENCE: Chen et al. 2016).

Quantile normalisation needs nothing of a profile but its ranks, so the recipe reads each source
once, keeps ranks, and turns them into expression when the quantile reference is known.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

STD_OFFSET = 1e-3
"""Added to a gene's standard deviation before dividing by it [D-GEX code]."""

Ranks = NDArray[np.uint32]


def quantile_ranks(expression: NDArray[np.float64]) -> tuple[Ranks, NDArray[np.float64]]:
    """Ranks for quantile normalisation, and what the quantile reference is the mean of.

    Args:
        expression: profiles × genes.

    Returns:
        ``int(average rank − 1)`` of every value within its profile, and the sorted profiles.
    """
    ranks = np.empty(expression.shape, np.uint32)
    ordered = np.empty_like(expression)
    for at, profile in enumerate(expression):
        order, ordered[at], first = _tie_groups(profile)
        last = np.append(first[1:], len(profile)) - 1
        middle = (first + last) // 2
        ranks[at, order] = middle if len(first) == len(profile) else middle.repeat(last - first + 1)
    return ranks, ordered


def requantile(
    expression: NDArray[np.float32], old: NDArray[np.float32], new: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Expression under another quantile reference: ``old[rank]`` becomes ``new[rank]``."""
    return new[np.searchsorted(old, expression)]


def reference_ranks(expression: NDArray[np.float64]) -> Ranks:
    """Positions in the quantile reference that RNA-seq values are mapped to, profile by profile.

    With dense rank r = 0 … U−1 among a profile's U distinct values and G genes, the position is
    ``int((r + 1) / U · G) − 1`` [D-GEX code]; ties (zeros, twins) share one value.
    """
    n_genes = expression.shape[1]
    ranks = np.empty(expression.shape, np.uint32)
    for profile, rank in zip(expression, ranks, strict=True):
        order, _, first = _tie_groups(profile)
        dense = np.arange(len(first))
        position = ((dense + 1.0) / len(first) * n_genes).astype(np.intp) - 1
        rank[order] = np.repeat(position, np.diff(np.append(first, n_genes)))
    return ranks


def _tie_groups(
    profile: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
    """The sorting order, the sorted values, and where each run of equal values starts."""
    # Equal values share whatever their places give, so the sort need not be stable: the default
    # one is vectorised and several times as fast.
    order = np.argsort(profile)
    ordered = profile[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return order, ordered, first


def gene_statistics(
    blocks: Iterable[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (ddof 0) of each gene over blocks of profiles × genes.

    Block means and squared deviations are merged pairwise (Chan, Golub & LeVeque 1983), which
    loses nothing that a second pass would keep.
    """
    count, mean, squares = 0, np.float64(0), np.float64(0)
    for block in blocks:
        n = len(block)
        block_mean = block.mean(axis=0)
        delta = block_mean - mean
        squares = squares + ((block - block_mean) ** 2).sum(axis=0)
        squares = squares + delta**2 * (count * n / (count + n))
        mean = mean + delta * (n / (count + n))
        count += n
    return np.asarray(mean), np.sqrt(squares / count)


def standardise(
    expression: NDArray[np.floating], mean: NDArray[np.float64], std: NDArray[np.float64]
) -> NDArray[np.float32]:
    """``(x − mean) / (std + 1e-3)`` per gene; profiles × genes in, the same out."""
    return ((expression - mean) / (std + STD_OFFSET)).astype(np.float32)
