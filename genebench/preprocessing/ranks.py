"""Ranks of genes within profiles. Quantile normalisation needs nothing else of a profile.

numpy sorts whole numbers with vector instructions, several times as fast as it sorts positions by
float values (``argsort``). So each value becomes a whole-number key. Its high digits are the value,
rounded. Its low digits are the position of the gene. After sorting, the low digits are the order.
Neighbours that rounding left in the wrong order change places afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from genebench.data.standardisation import GeneSums
from genebench.preprocessing.compiled import compiled

T = TypeVar("T", bound=np.generic)

Floats = NDArray[np.float64]
Ranks = NDArray[np.uint16 | np.uint32]
Keys = NDArray[np.uint32 | np.int64]

_MOVES_PER_GENE = 4
"""A profile whose keys need more moves than this is sorted by ``argsort`` instead.

Insertion is fast for the few neighbours that rounding exchanges. It is quadratic for a profile
whose values all round to one key, for instance because of one huge outlier.
"""

_MOST_STEPS = 1 << 40
"""Largest number of steps that a profile's range is divided into. float64 is exact far beyond."""

_STRETCH_GENES = 512
"""Genes whose ties are counted in one vector loop, before any run of ties is searched for.

Most stretches of measured values have no tie, and the search then costs nothing.
"""


class Ranked(NamedTuple):
    """Ranked profiles.

    Attributes:
        ranks: profiles × genes.
        ordered: the same profiles, each sorted.
    """

    ranks: Ranks
    ordered: Floats


class Buffers:
    """Memory to rank blocks of profiles in, one block after another.

    Fresh memory costs as much as ranking does, because the system must clear its pages first.

    Args:
        profiles: the number of profiles of the largest block.
        n_genes: the number of all genes.
    """

    def __init__(self, profiles: int, n_genes: int) -> None:
        self._shape = profiles, n_genes
        self._arrays: dict[tuple[str, Any], NDArray[Any]] = {}

    def array(self, purpose: str, dtype: type[T], profiles: int) -> NDArray[T]:
        """Return profiles × genes with arbitrary content, the same memory for each purpose."""
        key = purpose, dtype
        if key not in self._arrays:
            self._arrays[key] = np.empty(self._shape, dtype)
        return self._arrays[key][:profiles]


def quantile_ranks(expression: Floats, buffers: Buffers | None = None) -> Ranked:
    """Return the ranks for quantile normalisation, and the sorted profiles.

    The mean of the sorted profiles is the quantile reference.

    Args:
        expression: profiles × genes, finite.
        buffers: memory to work in. The result lies in it, too. Without it, memory is fresh.

    Returns:
        ``int(average rank − 1)`` of every value within its profile, and the sorted profiles.
    """
    return _rank(expression, buffers, _even_keys, _scatter_middles)


def reference_ranks(expression: Floats, buffers: Buffers | None = None) -> Ranked:
    """Return the positions in the quantile reference that RNA-seq values are mapped to.

    With dense rank r = 0 … U−1 among a profile's U distinct values and G genes, the position is
    ``int((r + 1) / U · G) − 1``, as in the code published with D-GEX. Ties (zeros, twins) share one
    value. If rounding makes that −1, as for G = U = 49, the position is 0. The published code
    would take the largest value there, as Python counts −1 from the end.

    The arguments are those of :func:`quantile_ranks`.
    """
    return _rank(expression, buffers, _bit_keys, _scatter_dense)


def express(ranks: Ranks, reference: Floats) -> NDArray[np.float32]:
    """Return the expression of ranks, ``reference[rank]``, rounded for the store."""
    expression = np.empty(ranks.shape, np.float32)
    _gather(ranks, reference.astype(np.float32), expression)
    return expression


def expressed_sums(
    ranks: Ranks, reference: Floats, where: NDArray[np.bool_] | None = None
) -> GeneSums:
    """Return the sums of the expression of ranks, in float64, over all or some profiles.

    Deviations are taken from the first profile. The sums of squares then lose no digits, and those
    of a gene that never varies are exactly 0.

    Args:
        ranks: profiles × genes.
        reference: value of each rank.
        where: one value per profile: True for those to sum. All, if None.
    """
    n_genes = ranks.shape[1]
    rows = np.arange(len(ranks)) if where is None else np.flatnonzero(where)
    if not len(rows):
        return GeneSums.none(n_genes)
    first = reference.take(ranks[rows[0]])
    total, squares = np.zeros(n_genes), np.zeros(n_genes)
    _add_deviations(ranks, rows, reference, (first, total, squares))
    return GeneSums(len(rows), first + total / len(rows), squares - total**2 / len(rows))


def rank_type(n_genes: int) -> type[np.uint16 | np.uint32]:
    """Return the type of ranks. The published 10,463 genes need 16 bits, half the disk of 32."""
    return np.uint16 if n_genes <= 1 << 16 else np.uint32


def _rank(
    expression: Floats,
    buffers: Buffers | None,
    make_keys: Callable[[Floats, Buffers], Keys],
    scatter: Callable[[Floats, Keys, np.integer, Ranks], None],
) -> Ranked:
    n_profiles, n_genes = expression.shape
    buffers = buffers or Buffers(n_profiles, n_genes)
    keys = make_keys(expression, buffers)
    mask = keys.dtype.type(_position_mask(expression))
    ordered = _sort(expression, keys, mask, buffers)
    ranks: Ranks = buffers.array("ranks", rank_type(n_genes), n_profiles)
    scatter(ordered, keys, mask, ranks)
    return Ranked(ranks, ordered)


def _position_mask(expression: Floats) -> int:
    """Return ones in the binary digits of a key that hold the position of the gene."""
    last: int = expression.shape[1] - 1
    return (1 << last.bit_length()) - 1


def _even_keys(expression: Floats, buffers: Buffers) -> Keys:
    """Return keys for values without long tails, such as log2 expression: steps of equal size.

    The published 10,463 genes take 14 bits. Keys of 32 bits have room for 2¹⁸ steps beside
    them, and twice as many fit in a vector register as keys of 64 bits.
    """
    mask = _position_mask(expression)
    dtype: type[np.uint32 | np.int64] = np.uint32 if mask < 1 << 16 else np.int64
    keys: Keys = buffers.array("keys", dtype, len(expression))
    steps = min(int(np.iinfo(dtype).max) // (mask + 1), _MOST_STEPS)
    extremes = expression.min(axis=1), expression.max(axis=1)
    _fill_even_keys(expression, extremes, steps, mask + 1, keys)
    return keys


def _bit_keys(expression: Floats, buffers: Buffers) -> Keys:
    """Return keys for any values, such as RPKM: the leading bits of a float64.

    Floats of the same sign are ordered like their bits. For negative ones the order is reversed by
    inverting all bits but the sign.
    """
    keys = buffers.array("keys", np.int64, len(expression))
    bits = np.ascontiguousarray(expression, np.float64).view(np.int64)
    # All ones for a negative number, all zeros for others, then without the sign.
    np.right_shift(bits, 63, out=keys)
    keys &= np.iinfo(np.int64).max
    keys ^= bits
    mask = _position_mask(expression)
    keys &= ~mask
    keys |= np.arange(expression.shape[1])
    return keys


def _sort(expression: Floats, keys: Keys, mask: np.integer, buffers: Buffers) -> Floats:
    """Sort the keys in place, and return the profiles sorted."""
    keys.sort(axis=1)
    ordered = buffers.array("ordered", np.float64, len(expression))
    is_sorted = np.empty(len(expression), np.bool_)
    _insertion_sort(expression, keys, mask, ordered, is_sorted)
    for row in np.flatnonzero(~is_sorted):
        keys[row] = np.argsort(expression[row])
        ordered[row] = expression[row, keys[row]]
    return ordered


@compiled
def add_rows(rows: Floats, where: NDArray[np.bool_], totals: Floats) -> None:
    """Add each profile to the totals of the sets that it is in.

    Profiles are added one by one, so the sums do not depend on how they are cut into blocks.

    Args:
        rows: profiles × genes.
        where: sets × profiles: True where a set has a profile.
        totals: sets × genes.
    """
    for i in range(len(rows)):
        row = rows[i]
        for member in range(len(where)):
            if where[member, i]:
                total = totals[member]
                for gene in range(len(row)):
                    total[gene] += row[gene]


@compiled
def _fill_even_keys(
    expression: Floats, extremes: tuple[Floats, Floats], steps: int, unit: int, keys: Keys
) -> None:
    for row in range(len(expression)):
        values, out = expression[row], keys[row]
        low, high = extremes[0][row], extremes[1][row]
        scale = steps / (high - low)
        # All values equal, or a range beyond float64: all keys are 0, and insertion or argsort
        # sorts the values.
        if not 0.0 < scale < np.inf:
            scale = low = 0.0
        for gene in range(len(values)):
            out[gene] = np.int64((values[gene] - low) * scale) * unit + gene


@compiled
def _insertion_sort(
    expression: Floats, keys: Keys, mask: np.integer, ordered: Floats, is_sorted: NDArray[np.bool_]
) -> None:
    """Take values in the order of sorted keys, and sort the few that are out of place."""
    n_genes = expression.shape[1]
    for row in range(len(expression)):
        values, order, out = expression[row], keys[row], ordered[row]
        for i in range(n_genes):
            # A signed index would be tested for counting from the end.
            out[i] = values[np.uint64(order[i] & mask)]
        moves_left = _MOVES_PER_GENE * n_genes
        for i in range(1, n_genes):
            if out[i - 1] > out[i]:
                value, key, j = out[i], order[i], i
                while j > 0 and out[j - 1] > value and moves_left > 0:
                    out[j], order[j] = out[j - 1], order[j - 1]
                    j -= 1
                    moves_left -= 1
                out[j], order[j] = value, key
        is_sorted[row] = moves_left > 0


@compiled
def _count_ties(values: Floats) -> int:
    ties = 0
    for i in range(1, len(values)):
        ties += values[i] == values[i - 1]
    return ties


@compiled
def _scatter_middles(ordered: Floats, order: Keys, mask: np.integer, ranks: Ranks) -> None:
    """Write ``int(average rank − 1)``: the middle of each run of equal values.

    Every gene first gets its place in the order. Runs of ties are then corrected.
    """
    n_genes = ordered.shape[1]
    for row in range(len(ordered)):
        values, keys, out = ordered[row], order[row], ranks[row]
        for i in range(n_genes):
            out[np.uint64(keys[i] & mask)] = i
        for start in range(0, n_genes, _STRETCH_GENES):
            first, stop = start, min(start + _STRETCH_GENES, n_genes)
            # One gene more, for a run that crosses into the next stretch.
            if not _count_ties(values[start : stop + 1]):
                continue
            while first < stop:
                last = first
                while last + 1 < n_genes and values[last + 1] == values[first]:
                    last += 1
                # A run that began in the stretch before was corrected there.
                if last > first and not (first and values[first - 1] == values[first]):
                    for i in range(first, last + 1):
                        out[np.uint64(keys[i] & mask)] = (first + last) // 2
                first = last + 1


@compiled
def _scatter_dense(ordered: Floats, order: Keys, mask: np.integer, ranks: Ranks) -> None:
    """Write ``int((dense rank + 1) / distinct values · genes) − 1``, in float64 as published."""
    n_genes = ordered.shape[1]
    for row in range(len(ordered)):
        values, keys, out = ordered[row], order[row], ranks[row]
        distinct = 1
        for i in range(1, n_genes):
            distinct += values[i] != values[i - 1]
        dense = 1
        for i in range(n_genes):
            if i and values[i] != values[i - 1]:
                dense += 1
            # With as many distinct values as genes, rounding can make the lowest less than 1.
            position = np.int64(dense / distinct * n_genes) - 1
            out[np.uint64(keys[i] & mask)] = max(position, 0)


@compiled
def _gather(ranks: Ranks, reference: NDArray[np.float32], expression: NDArray[np.float32]) -> None:
    for row in range(len(ranks)):
        profile, out = ranks[row], expression[row]
        for gene in range(len(profile)):
            out[gene] = reference[profile[gene]]


@compiled
def _add_deviations(
    ranks: Ranks,
    rows: NDArray[np.intp],
    reference: Floats,
    sums: tuple[Floats, Floats, Floats],
) -> None:
    first, total, squares = sums
    values = np.empty(len(first))
    for row in rows:
        profile = ranks[row]
        # Looking up is a separate loop: what remains is arithmetic that the compiler vectorises.
        for gene in range(len(profile)):
            values[gene] = reference[profile[gene]]
        for gene in range(len(profile)):
            deviation = values[gene] - first[gene]
            total[gene] += deviation
            squares[gene] += deviation * deviation
