"""Ranks of genes within profiles: all that quantile normalisation needs of them.

Profiles are sorted by numpy, which sorts whole numbers several times as fast as it sorts positions
by values: each value becomes a number of nearly the same order whose lowest digits are the
position. Neighbours that this leaves in the wrong order change places afterwards.
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

_MOVES = 4
"""Moves per gene after which a profile is sorted the slow way."""

_MOST_STEPS = 1 << 40
"""Numbers that a value may become: float64 counts so far without loss."""

_STRETCH = 512
"""Genes whose ties are counted before any is looked for."""


class Ranked(NamedTuple):
    """Ranked profiles.

    Attributes:
        ranks: profiles × genes.
        ordered: the same profiles, each sorted.
    """

    ranks: Ranks
    ordered: Floats


class Buffers:
    """Memory to rank blocks of profiles in, one after another: new memory costs as much as ranking.

    Args:
        profiles: of the largest block.
        n_genes: of all.
    """

    def __init__(self, profiles: int, n_genes: int) -> None:
        self._shape = profiles, n_genes
        self._arrays: dict[tuple[str, Any], NDArray[Any]] = {}

    def array(self, purpose: str, dtype: type[T], profiles: int) -> NDArray[T]:
        """Profiles × genes for a purpose, holding anything; the same memory each time."""
        key = purpose, dtype
        if key not in self._arrays:
            self._arrays[key] = np.empty(self._shape, dtype)
        return self._arrays[key][:profiles]


def quantile_ranks(expression: Floats, buffers: Buffers | None = None) -> Ranked:
    """Ranks for quantile normalisation, and what the quantile reference is the mean of.

    Args:
        expression: profiles × genes, finite.
        buffers: to work in, and for what is returned, if not new memory.

    Returns:
        ``int(average rank − 1)`` of every value within its profile, and the sorted profiles.
    """
    return _rank(expression, buffers, _even_keys, _scatter_middles)


def reference_ranks(expression: Floats, buffers: Buffers | None = None) -> Ranked:
    """Positions in the quantile reference that RNA-seq values are mapped to, profile by profile.

    With dense rank r = 0 … U−1 among a profile's U distinct values and G genes, the position is
    ``int((r + 1) / U · G) − 1`` [D-GEX code]; ties (zeros, twins) share one value. Where rounding
    makes that −1, as for G = U = 49, it is 0; the published code would take the largest value.

    Arguments are those of :func:`quantile_ranks`.
    """
    return _rank(expression, buffers, _bit_keys, _scatter_dense)


def express(ranks: Ranks, reference: Floats) -> NDArray[np.float32]:
    """Expression of ranks: ``reference[rank]``, rounded for the store."""
    expression = np.empty(ranks.shape, np.float32)
    _gather(ranks, reference.astype(np.float32), expression)
    return expression


def expressed_sums(
    ranks: Ranks, reference: Floats, where: NDArray[np.bool_] | None = None
) -> GeneSums:
    """Sums of the expression of ranks, in float64, over these profiles or some of them.

    Deviations are taken from the first profile, so those of a gene that never varies are 0.
    """
    n_genes = ranks.shape[1]
    at = np.arange(len(ranks)) if where is None else np.flatnonzero(where)
    if not len(at):
        return GeneSums.none(n_genes)
    first = reference.take(ranks[at[0]])
    total, squares = np.zeros(n_genes), np.zeros(n_genes)
    _add_deviations(ranks, at, reference, (first, total, squares))
    return GeneSums(len(at), first + total / len(at), squares - total**2 / len(at))


def rank_type(n_genes: int) -> type[np.uint16 | np.uint32]:
    """The type of ranks: half the disk where it suffices, as for the published 10,463 genes."""
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
    places = keys.dtype.type(_places(expression))
    ordered = _sort(expression, keys, places, buffers)
    ranks: Ranks = buffers.array("ranks", rank_type(n_genes), n_profiles)
    scatter(ordered, keys, places, ranks)
    return Ranked(ranks, ordered)


def _places(expression: Floats) -> int:
    """Ones in the digits of a key that are a position."""
    last: int = expression.shape[1] - 1
    return (1 << last.bit_length()) - 1


def _even_keys(expression: Floats, buffers: Buffers) -> Keys:
    """Keys for values without long tails, such as log2 expression: steps of equal size."""
    places = _places(expression)
    dtype: type[np.uint32 | np.int64] = np.uint32 if places < 1 << 16 else np.int64
    keys: Keys = buffers.array("keys", dtype, len(expression))
    steps = min(int(np.iinfo(dtype).max) // (places + 1), _MOST_STEPS)
    extremes = expression.min(axis=1), expression.max(axis=1)
    _fill_even_keys(expression, extremes, steps, places + 1, keys)
    return keys


def _bit_keys(expression: Floats, buffers: Buffers) -> Keys:
    """Keys for any values: the leading bits of a float64, turned round where it is negative."""
    keys = buffers.array("keys", np.int64, len(expression))
    bits = np.ascontiguousarray(expression, np.float64).view(np.int64)
    np.right_shift(bits, 63, out=keys)
    keys &= np.iinfo(np.int64).max
    keys ^= bits
    places = _places(expression)
    keys &= ~places
    keys |= np.arange(expression.shape[1])
    return keys


def _sort(expression: Floats, keys: Keys, places: np.integer, buffers: Buffers) -> Floats:
    """Sort the keys, and profiles by them."""
    keys.sort(axis=1)
    ordered = buffers.array("ordered", np.float64, len(expression))
    settled = np.empty(len(expression), np.bool_)
    _settle(expression, keys, places, ordered, settled)
    for at in np.flatnonzero(~settled):
        keys[at] = np.argsort(expression[at])
        ordered[at] = expression[at, keys[at]]
    return ordered


@compiled
def add_rows(rows: Floats, where: NDArray[np.bool_], every: Floats, some: Floats) -> None:
    """Add all profiles to one total and some to another, one by one: however cut, the same sums."""
    for at in range(len(rows)):
        row = rows[at]
        for gene in range(len(row)):
            every[gene] += row[gene]
        if where[at]:
            for gene in range(len(row)):
                some[gene] += row[gene]


@compiled
def _fill_even_keys(
    expression: Floats, extremes: tuple[Floats, Floats], steps: int, place: int, keys: Keys
) -> None:
    for at in range(len(expression)):
        values, out = expression[at], keys[at]
        low, high = extremes[0][at], extremes[1][at]
        scale = steps / (high - low)
        if not 0.0 < scale < np.inf:  # one value, or a range that float64 lacks: sorted afterwards
            scale = low = 0.0
        for gene in range(len(values)):
            out[gene] = np.int64((values[gene] - low) * scale) * place + gene


@compiled
def _settle(
    expression: Floats, keys: Keys, places: np.integer, ordered: Floats, settled: NDArray[np.bool_]
) -> None:
    """Values in the order of sorted keys; where a few are out of place, both by insertion."""
    n_genes = expression.shape[1]
    for at in range(len(expression)):
        values, order, out = expression[at], keys[at], ordered[at]
        for i in range(n_genes):
            out[i] = values[np.uint64(order[i] & places)]  # unsigned: no index from the end
        left = _MOVES * n_genes
        for i in range(1, n_genes):
            if out[i - 1] > out[i]:
                value, key, j = out[i], order[i], i
                while j > 0 and out[j - 1] > value and left > 0:
                    out[j], order[j] = out[j - 1], order[j - 1]
                    j -= 1
                    left -= 1
                out[j], order[j] = value, key
        settled[at] = left > 0


@compiled
def _ties(values: Floats) -> int:
    ties = 0
    for i in range(1, len(values)):
        ties += values[i] == values[i - 1]
    return ties


@compiled
def _scatter_middles(ordered: Floats, order: Keys, places: np.integer, ranks: Ranks) -> None:
    """The middle of each value's run of equal values: ``int(average rank − 1)``."""
    n_genes = ordered.shape[1]
    for at in range(len(ordered)):
        values, keys, out = ordered[at], order[at], ranks[at]
        for i in range(n_genes):
            out[np.uint64(keys[i] & places)] = i
        for start in range(0, n_genes, _STRETCH):
            first, stop = start, min(start + _STRETCH, n_genes)
            if not _ties(values[start : stop + 1]):
                continue
            while first < stop:
                last = first
                while last + 1 < n_genes and values[last + 1] == values[first]:
                    last += 1
                # A run that began in the stretch before was seen to there.
                if last > first and not (first and values[first - 1] == values[first]):
                    for i in range(first, last + 1):
                        out[np.uint64(keys[i] & places)] = (first + last) // 2
                first = last + 1


@compiled
def _scatter_dense(ordered: Floats, order: Keys, places: np.integer, ranks: Ranks) -> None:
    """``int((dense rank + 1) / distinct values · genes) − 1``, in float64 as published."""
    n_genes = ordered.shape[1]
    for at in range(len(ordered)):
        values, keys, out = ordered[at], order[at], ranks[at]
        distinct = 1
        for i in range(1, n_genes):
            distinct += values[i] != values[i - 1]
        dense = 1
        for i in range(n_genes):
            if i and values[i] != values[i - 1]:
                dense += 1
            # With as many distinct values as genes, rounding can make the lowest less than 1.
            position = np.int64(dense / distinct * n_genes) - 1
            out[np.uint64(keys[i] & places)] = max(position, 0)


@compiled
def _gather(ranks: Ranks, reference: NDArray[np.float32], expression: NDArray[np.float32]) -> None:
    for at in range(len(ranks)):
        places, out = ranks[at], expression[at]
        for gene in range(len(places)):
            out[gene] = reference[places[gene]]


@compiled
def _add_deviations(
    ranks: Ranks,
    profiles: NDArray[np.intp],
    reference: Floats,
    sums: tuple[Floats, Floats, Floats],
) -> None:
    first, total, squares = sums
    values = np.empty(len(first))  # looked up first: what is then left is arithmetic on vectors
    for at in profiles:
        places = ranks[at]
        for gene in range(len(places)):
            values[gene] = reference[places[gene]]
        for gene in range(len(places)):
            apart = values[gene] - first[gene]
            total[gene] += apart
            squares[gene] += apart * apart
