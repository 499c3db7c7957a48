"""Exact search: the k nearest of many points at the speed of a float32 matrix product.

One product of the rows (x, |x|²) and (−2q, 1) gives scores s = |x|² − 2q·x, which is the squared
distance less |q|², in float32. Rounding is bounded, so most of the order is certain; where it is
not, Σ (q − x)² is summed directly, in float64, and decides. So neighbours and their order are those
of direct distances in float64, whatever the data; they only decide how often there is a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

QUERIES = 256
"""Queries compared with all points at a time: 1 kB of memory for each point."""
GROUP = 32
"""Points per group, of which only the smallest score is looked at first."""
SPARE = 14
"""Candidates beyond k: enough that rounding seldom leaves a doubt about the others."""
PAIRS = 512
"""Pairs of query and point measured directly at a time; what they need fits the cache."""
ROUNDING = 2.0**-24
"""Relative error of one operation in float32."""


class ExactSearch:
    """Finds the nearest of n points, by Euclidean distance over p coordinates.

    Memory: 4 (p + 1) bytes for each point, and 1 kB more while searching.
    """

    def __init__(self, blocks: Iterable[Matrix], shape: tuple[int, int], device: str) -> None:
        """Take n × p points, given in blocks of rows."""
        self._n, self._p = shape
        # Rows that fill the last group are infinitely far.
        padded = -(-self._n // GROUP) * GROUP
        self._points = torch.zeros(padded, self._p + 1, device=device)
        self._points[self._n :, -1] = torch.inf
        start = 0
        for block in blocks:
            rows = self._points[start : start + len(block)]
            rows[:, :-1] = torch.as_tensor(block)
            rows[:, -1] = torch.linalg.vector_norm(rows[:, :-1], dim=1, dtype=torch.float64) ** 2
            start += len(block)

    def nearest(self, queries: Matrix, k: int) -> torch.Tensor:
        """Positions of the nearest points, nearest first: queries × min(k, n), int64.

        Of points at the same distance, the one that comes first is nearer.
        """
        k = min(k, self._n)
        given = torch.tensor(queries, device=self._points.device)
        # One array for all parts: to get fresh memory from the system takes its time.
        scores = given.new_empty(min(QUERIES, len(given)), len(self._points))
        with _full_precision():
            parts = torch.split(given, QUERIES)
            return torch.cat([self._nearest(part, k, scores[: len(part)]) for part in parts])

    def _nearest(self, queries: torch.Tensor, k: int, scores: torch.Tensor) -> torch.Tensor:
        ones = queries.new_ones(len(queries), 1)
        torch.mm(torch.cat([-2 * queries, ones], 1), self._points.T, out=scores)
        best, candidates = _smallest(scores, min(k + SPARE, self._n))
        neighbours = self._ordered(queries, best, candidates, k)
        limit = self._limit(queries, best[:, :k], candidates[:, :k])
        for at in (best[:, -1] <= limit).nonzero().flatten().tolist():
            one = slice(at, at + 1)
            near = int((scores[at] <= limit[at]).sum())
            neighbours[one] = self._ordered(queries[one], *_smallest(scores[one], near), k)
        return neighbours

    def _ordered(
        self, queries: torch.Tensor, scores: torch.Tensor, candidates: torch.Tensor, k: int
    ) -> torch.Tensor:
        """The k first candidates by distance, then position; they come by ascending score."""
        rounding = self._rounding(queries, self._longest(candidates))
        doubt = scores.double().diff(dim=1) <= 2 * rounding[:, None]
        # Runs of doubt are in the right order among each other, but not inside.
        run = torch.zeros_like(candidates)
        run[:, 1:] = (~doubt).cumsum(1)
        inside = torch.zeros_like(candidates, dtype=torch.bool)
        inside[:, 1:] |= doubt
        inside[:, :-1] |= doubt
        inside &= run <= run[:, k - 1 : k]
        measured = torch.zeros_like(candidates, dtype=torch.float64)
        measured[inside] = self._measured(queries, inside.nonzero()[:, 0], candidates[inside])
        order = candidates.argsort(dim=1)
        for key in (measured, run):
            order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
        return candidates.gather(1, order[:, :k])

    def _measured(
        self, queries: torch.Tensor, owners: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Squared distances of pairs, summed directly, so equal points are at equal distance."""
        wide = queries.double()
        found = wide.new_empty(len(owners))
        for start in range(0, len(owners), PAIRS):
            pairs = slice(start, start + PAIRS)
            points = self._points.index_select(0, candidates[pairs])[:, :-1].double()
            points -= wide.index_select(0, owners[pairs])
            found[pairs] = points.square_().sum(1)
        return found

    def _limit(
        self, queries: torch.Tensor, scores: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """The largest score that rounding may give to one of the k nearest points.

        ``scores`` are the k smallest of each query, ascending, and ``candidates`` their points.
        """
        # k points are no farther than this, so the k nearest are not; and a point as far from q
        # as that is no longer than q and the distance together.
        score = scores[:, -1] + self._rounding(queries, self._longest(candidates))
        length = torch.linalg.vector_norm(queries.double(), dim=1)
        radius = (score + length.square()).clamp(min=0).sqrt()
        return score + self._rounding(queries, length + radius)

    def _longest(self, candidates: torch.Tensor) -> torch.Tensor:
        """The largest |x| among the candidates of each query."""
        return self._points[:, -1][candidates].amax(1).double().sqrt()

    def _rounding(self, queries: torch.Tensor, longest: torch.Tensor) -> torch.Tensor:
        """How far off a query's score can be for a point that is no longer than ``longest``.

        A sum of m products in any order is off by at most mu / (1 − mu) times the sum of their
        sizes [Higham 2002, §3.1].
        """
        # One product per coordinate and one for |x|²; a few more for its own rounding.
        terms = (self._p + 8) * ROUNDING
        length = torch.linalg.vector_norm(queries.double(), dim=1)
        sizes: torch.Tensor = 2 * length * longest + longest.square()
        return sizes.mul(terms / (1 - terms))


def _smallest(values: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The ``count`` smallest values of each row, ascending, and their columns."""
    # Each of them lies in one of as many groups with the smallest minima; to look for those is
    # several times as fast as to select among all values.
    n_groups = values.shape[1] // GROUP
    groups = values.view(len(values), GROUP, n_groups)
    chosen = groups.amin(1).topk(min(count, n_groups), largest=False, sorted=False).indices
    members = groups.gather(2, chosen[:, None].expand(-1, GROUP, -1)).flatten(1)
    found = members.topk(count, largest=False)
    member, group = found.indices // chosen.shape[1], found.indices % chosen.shape[1]
    return found.values, member * n_groups + chosen.gather(1, group)


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products in full float32, whatever others allow: the bound on rounding rests on it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
