"""The published normalisation, on blocks of profiles × genes (REFERENCE: Chen et al. 2016).

Quantile normalisation needs nothing of a profile but its ranks, so the recipe reads each source
once, keeps ranks, and turns them into expression when the quantile reference is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STD_OFFSET = 1e-3
"""Added to a gene's standard deviation before dividing by it [D-GEX code]."""

Floats = NDArray[np.float64]
Ranks = NDArray[np.uint16 | np.uint32]


def quantile_ranks(expression: Floats) -> tuple[Ranks, Floats]:
    """Ranks for quantile normalisation, and what the quantile reference is the mean of.

    Args:
        expression: profiles × genes, finite.

    Returns:
        ``int(average rank − 1)`` of every value within its profile, and the sorted profiles.
    """
    order, ordered = _sorted_profiles(expression)
    return _scattered(_middles(ordered), order), ordered


def requantile(
    expression: NDArray[np.float32], old: NDArray[np.float32], new: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Expression under another quantile reference: ``old[rank]`` becomes ``new[rank]``."""
    return new[np.searchsorted(old, expression)]


def reference_ranks(expression: Floats) -> Ranks:
    """Positions in the quantile reference that RNA-seq values are mapped to, profile by profile.

    With dense rank r = 0 … U−1 among a profile's U distinct values and G genes, the position is
    ``int((r + 1) / U · G) − 1`` [D-GEX code]; ties (zeros, twins) share one value.
    """
    order, ordered = _sorted_profiles(expression)
    dense = np.ones(ordered.shape, np.intp)
    dense[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    np.cumsum(dense, axis=1, out=dense)
    n_genes = expression.shape[1]
    positions = (dense / dense[:, -1:] * n_genes).astype(np.intp) - 1
    return _scattered(positions.astype(rank_type(n_genes)), order)


def _sorted_profiles(expression: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The order of each profile's genes by value, equal ones in any order; and sorted values.

    Sorting whole numbers is several times as fast as sorting positions by values: each value's
    bits are made a number of the same order, whose lowest digits give way to the position. That
    can misplace values which agree in all other digits; such a profile is sorted the slow way.
    """
    n_genes = expression.shape[1]
    digits = (1 << (n_genes - 1).bit_length()) - 1
    keys = _sortable(expression)
    keys &= ~digits
    keys |= np.arange(n_genes)
    keys.sort(axis=1)
    keys &= digits
    ordered = _gathered(expression, keys)
    misplaced = (ordered[:, 1:] < ordered[:, :-1]).any(axis=1)
    for at in np.flatnonzero(misplaced):
        keys[at] = np.argsort(expression[at])
        ordered[at] = expression[at, keys[at]]
    return keys, ordered


def _sortable(values: Floats) -> NDArray[np.int64]:
    """Whole numbers in the order of finite values: their bits, turned round where negative."""
    bits = values.view(np.int64)
    sortable = bits >> 63
    sortable &= np.iinfo(np.int64).max
    sortable ^= bits
    return sortable


def _gathered(values: Floats, order: NDArray[np.intp]) -> Floats:
    gathered = np.empty_like(values, order="C")
    for row, places, out in zip(values, order, gathered, strict=True):
        row.take(places, out=out, mode="clip")
    return gathered


def _scattered(ranks: Ranks, order: NDArray[np.intp]) -> Ranks:
    scattered = np.empty_like(ranks)
    for row, places, out in zip(ranks, order, scattered, strict=True):
        out[places] = row
    return scattered


def _middles(ordered: Floats) -> Ranks:
    """The middle of each value's run of equal values, by position: ``int(average rank − 1)``.

    Ties are few in most profiles, so what is worked out for them is worked out for them alone.
    """
    n_genes = ordered.shape[1]
    as_next = np.zeros(ordered.shape, np.bool_)
    np.equal(ordered[:, 1:], ordered[:, :-1], out=as_next[:, :-1])
    pairs = np.flatnonzero(as_next)  # the last gene of a profile has no next: no run crosses over
    firsts = pairs[np.diff(pairs, prepend=-2) > 1]
    lasts = pairs[np.diff(pairs, append=as_next.size + 1) > 1] + 1
    middles = np.empty(ordered.shape, rank_type(n_genes))
    middles[:] = np.arange(n_genes, dtype=middles.dtype)
    if len(pairs):
        tied = np.union1d(pairs, pairs + 1)
        middles.ravel()[tied] = np.repeat((firsts + lasts) // 2 % n_genes, lasts - firsts + 1)
    return middles


def rank_type(n_genes: int) -> type[np.uint16 | np.uint32]:
    """The type of ranks: half the disk where it suffices, as for the published 10,463 genes."""
    return np.uint16 if n_genes <= 1 << 16 else np.uint32


@dataclass(frozen=True)
class GeneSums:
    """What the mean and standard deviation of each gene follow from, over some profiles.

    Attributes:
        count: how many profiles.
        mean: of each gene.
        squares: sum of squared deviations from it.
    """

    count: int
    mean: Floats
    squares: Floats

    @classmethod
    def none(cls, n_genes: int) -> GeneSums:
        """Those of no profile."""
        return cls(0, np.zeros(n_genes), np.zeros(n_genes))

    def __add__(self, other: GeneSums) -> GeneSums:
        """The same over the profiles of both (Chan, Golub & LeVeque 1983)."""
        if not other.count:
            return self
        count = self.count + other.count
        apart, share = other.mean - self.mean, other.count / count
        return GeneSums(
            count=count,
            mean=self.mean + apart * share,
            squares=self.squares + other.squares + apart**2 * (self.count * share),
        )


def gene_sums(block: Floats) -> GeneSums:
    """Sums over a block of profiles × genes.

    Deviations are taken from the first profile, so those of a gene that never varies are 0.
    """
    count, n_genes = block.shape
    if not count:
        return GeneSums.none(n_genes)
    apart = block - block[0]
    total = apart.sum(axis=0)
    squares = np.einsum("ij,ij->j", apart, apart)
    return GeneSums(count, block[0] + total / count, squares - total**2 / count)


def gene_statistics(over: GeneSums) -> tuple[Floats, Floats]:
    """Mean and standard deviation (ddof 0) of each gene."""
    return over.mean, np.sqrt(over.squares / over.count)


def standardise(
    expression: NDArray[np.floating], mean: NDArray[np.float64], std: NDArray[np.float64]
) -> NDArray[np.float32]:
    """``(x − mean) / (std + 1e-3)`` per gene; profiles × genes in, the same out."""
    # Profile by profile: what float64 needs then stays in the processor's cache.
    standardised = np.empty(expression.shape, np.float32)
    offset, row = std + STD_OFFSET, np.empty(len(std))
    for profile, out in zip(expression, standardised, strict=True):
        np.subtract(profile, mean, out=row)
        np.divide(row, offset, out=row)
        out[...] = row
    return standardised
