"""Exact search: the k nearest of many points at the speed of a float32 matrix product.

One product of the rows (x, |x|²) and (−2q, 1) gives scores s = |x|² − 2q·x in float32. A score is
the squared distance less |q|². Its rounding error has a bound, so most of the order is certain.
Otherwise Σ (q − x)² is summed directly, in float64, and decides. So neighbours and their
order are those of direct distances in float64, for any data. The data only decide how often
distances are summed directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""Rows of points or profiles, float32."""

QUERIES_PER_BLOCK = 256
"""Queries compared with all points at a time. They take 1 kB of memory for each point."""
POINTS_PER_GROUP = 32
"""Points per group. The search for candidates compares only the smallest score of each group first.
"""
SPARE_CANDIDATES = 14
"""Candidates beyond k: enough that rounding seldom leaves a doubt about the other points."""
PAIRS_PER_BLOCK = 512
"""Pairs of query and point measured directly at a time. Their coordinates fit in the cache."""
ROUNDING = 2.0**-24
"""Relative error of one operation in float32."""


class ExactSearch:
    """A search for the nearest of n points, by Euclidean distance over p coordinates.

    Memory: 4 (p + 1) bytes for each point, and 1 kB more while searching.
    """

    def __init__(self, blocks: Iterable[Matrix], shape: tuple[int, int], device: str) -> None:
        """Copy n × p points, given in blocks of rows, to the device."""
        self._n, self._p = shape
        # Rows that fill the last group are infinitely far.
        padded = -(-self._n // POINTS_PER_GROUP) * POINTS_PER_GROUP
        self._points = torch.zeros(padded, self._p + 1, device=device)
        self._points[self._n :, -1] = torch.inf
        start = 0
        for block in blocks:
            rows = self._points[start : start + len(block)]
            rows[:, :-1] = torch.as_tensor(block)
            rows[:, -1] = torch.linalg.vector_norm(rows[:, :-1], dim=1, dtype=torch.float64) ** 2
            start += len(block)

    def nearest(self, queries: Matrix, k: int) -> torch.Tensor:
        """Return indices of the nearest points, nearest first: queries × min(k, n), int64.

        Of points at the same distance, the one that comes first is nearer.
        """
        k = min(k, self._n)
        points = torch.tensor(queries, device=self._points.device)
        # One buffer serves all blocks, because fresh memory from the system is slow.
        scores = points.new_empty(min(QUERIES_PER_BLOCK, len(points)), len(self._points))
        with _full_precision():
            blocks = torch.split(points, QUERIES_PER_BLOCK)
            return torch.cat([self._nearest(block, k, scores[: len(block)]) for block in blocks])

    def _nearest(self, queries: torch.Tensor, k: int, scores: torch.Tensor) -> torch.Tensor:
        ones = queries.new_ones(len(queries), 1)
        torch.mm(torch.cat([-2 * queries, ones], 1), self._points.T, out=scores)
        best, candidates = _smallest(scores, min(k + SPARE_CANDIDATES, self._n))
        neighbours = self._ordered(queries, best, candidates, k)
        limit = self._limit(queries, best[:, :k], candidates[:, :k])
        # If the worst candidate is within the limit, a point that is no candidate may be nearer
        # than a neighbour. Such a query is done again with every point within the limit.
        for query in (best[:, -1] <= limit).nonzero().flatten().tolist():
            row = slice(query, query + 1)
            near = int((scores[query] <= limit[query]).sum())
            neighbours[row] = self._ordered(queries[row], *_smallest(scores[row], near), k)
        return neighbours

    def _ordered(
        self, queries: torch.Tensor, scores: torch.Tensor, candidates: torch.Tensor, k: int
    ) -> torch.Tensor:
        """Return the k nearest candidates by distance, and ties by index.

        Candidates come by ascending score.
        """
        rounding = self._rounding(queries, self._longest(candidates))
        doubt = scores.double().diff(dim=1) <= 2 * rounding[:, None]
        # A run is a stretch of candidates with doubt between neighbours. Runs are in the right
        # order, and only the order within a run is uncertain.
        run = torch.zeros_like(candidates)
        run[:, 1:] = (~doubt).cumsum(1)
        in_doubt = torch.zeros_like(candidates, dtype=torch.bool)
        in_doubt[:, 1:] |= doubt
        in_doubt[:, :-1] |= doubt
        # Runs after that of the k-th candidate cannot matter.
        in_doubt &= run <= run[:, k - 1 : k]
        measured = torch.zeros_like(candidates, dtype=torch.float64)
        measured[in_doubt] = self._measured(queries, in_doubt.nonzero()[:, 0], candidates[in_doubt])
        # Stable sorts by index, then distance, then run order by run, distance and index.
        order = candidates.argsort(dim=1)
        for key in (measured, run):
            order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
        return candidates.gather(1, order[:, :k])

    def _measured(
        self, queries: torch.Tensor, owners: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Return squared distances of pairs, summed directly, so that equal points tie exactly.

        Args:
            queries: the queries of a block.
            owners: for each pair, the index of its query.
            candidates: for each pair, the index of its point.
        """
        wide = queries.double()
        distances = wide.new_empty(len(owners))
        for start in range(0, len(owners), PAIRS_PER_BLOCK):
            pairs = slice(start, start + PAIRS_PER_BLOCK)
            points = self._points.index_select(0, candidates[pairs])[:, :-1].double()
            points -= wide.index_select(0, owners[pairs])
            distances[pairs] = points.square_().sum(1)
        return distances

    def _limit(
        self, queries: torch.Tensor, scores: torch.Tensor, candidates: torch.Tensor
    ) -> torch.Tensor:
        """Return the largest score that rounding may give to one of the k nearest points.

        Args:
            queries: the queries of a block.
            scores: the k smallest scores of each query, ascending.
            candidates: the points of these scores.
        """
        # k points are no farther than this, so the k nearest points are not. And a point at this
        # distance from q is no longer than q and the distance together.
        score = scores[:, -1] + self._rounding(queries, self._longest(candidates))
        length = torch.linalg.vector_norm(queries.double(), dim=1)
        radius = (score + length.square()).clamp(min=0).sqrt()
        return score + self._rounding(queries, length + radius)

    def _longest(self, candidates: torch.Tensor) -> torch.Tensor:
        """Return the largest |x| among the candidates of each query."""
        return self._points[:, -1][candidates].amax(1).double().sqrt()

    def _rounding(self, queries: torch.Tensor, longest: torch.Tensor) -> torch.Tensor:
        """Return a bound of the error of a query's score, for points no longer than ``longest``.

        The error of a sum of m products, in any order, is at most mu / (1 − mu) times the sum of
        their sizes, where u is :data:`ROUNDING` (Higham 2002, §3.1).
        """
        # One product for each coordinate and one for |x|², and a few more for the bound's rounding.
        terms = (self._p + 8) * ROUNDING
        length = torch.linalg.vector_norm(queries.double(), dim=1)
        sizes: torch.Tensor = 2 * length * longest + longest.square()
        return sizes.mul(terms / (1 - terms))


def _smallest(values: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ``count`` smallest values of each row, ascending, and their columns."""
    # They lie in the ``count`` groups with the smallest minima. Selecting these groups first is
    # several times as fast as selecting among all values.
    n_groups = values.shape[1] // POINTS_PER_GROUP
    groups = values.view(len(values), POINTS_PER_GROUP, n_groups)
    chosen = groups.amin(1).topk(min(count, n_groups), largest=False, sorted=False).indices
    members = groups.gather(2, chosen[:, None].expand(-1, POINTS_PER_GROUP, -1)).flatten(1)
    smallest = members.topk(count, largest=False)
    member, group = smallest.indices // chosen.shape[1], smallest.indices % chosen.shape[1]
    return smallest.values, member * n_groups + chosen.gather(1, group)


@contextmanager
def _full_precision() -> Iterator[None]:
    """Compute products in full float32, which the error bound needs, even if less is allowed."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
