"""The lasso of one profile on training profiles, for one penalty after another.

For a profile x with p landmarks, and training profiles X (n × p)::

    minimise  P(b) = ‖x − Xᵀb‖² + a‖b‖₁ = xx − 2cᵀb + bᵀGb + a‖b‖₁,   c = Xx,  G = XXᵀ

A round recomputes the slopes ``Xr`` and picks the training profiles that may get a weight: those
that have one, and those that violate ``|Xr| ≤ a/2`` most. For these it does sweeps of coordinate
descent in float32. Once few of them are new, a Newton step in float64 follows. With fixed signs P
is quadratic, so this step all but ends the search once the signs are right. It stops early at the
first weight that reaches zero. But for the rounding of float32, no round raises P.

A profile is finished when its duality gap is small enough. With the residual ``r = x − Xᵀb``, each
``s·r`` with ``0 ≤ s ≤ a / (2 max|Xr|)`` is feasible in the dual problem. It bounds the minimum from
below by ``D = 2s xᵀr − s²‖r‖²``.

Of many training profiles most get no weight. So the problem is solved on a working set, which grows
by the training profiles that violate their condition ``|Xr| ≤ a/2`` most (Massias et al. 2018).
The gap that counts is always that of all training profiles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genebench_samplewise.loops import (
    Indices,
    Matrix,
    Problem,
    Vector,
    minimise,
    products,
    relative_gap,
)

WORKING_SET = 32
"""Training profiles of the first working set, and the fewest that it grows by.

The products of the members of a large working set cost more than the rounds that it saves.
"""
SHARE_OF_GAP = 0.1
"""Gap of the problem on a working set, as a share of the gap of all training profiles before it.
The first working sets lack training profiles, and so need no fine solution."""


class Solution(NamedTuple):
    """Weights along a path of penalties.

    Attributes:
        weights: penalties × training profiles, with exact zeros where a profile is not used.
        gaps: duality gap for each penalty, relative to ``‖x‖²``.
    """

    weights: Vector
    gaps: Vector


class Stop(NamedTuple):
    """When a profile is done.

    Attributes:
        gap: the duality gap to reach, relative to ``‖x‖²``.
        rounds: most rounds for each penalty and working set, and most working sets.
    """

    gap: float
    rounds: int


def solve_by_gram(
    profile: Vector, rows: Matrix, penalties: Vector, stop: Stop, gram: Vector
) -> Solution:
    """Return the weights for each penalty, with the Gram matrix given.

    Args:
        profile: x.
        rows: X, training profiles × landmarks.
        penalties: the penalties a, largest first. Each starts from the weights of the one before.
        stop: when to stop.
        gram: XXᵀ in float64.
    """
    solution = Solution(np.zeros((len(penalties), len(rows))), np.zeros(len(penalties)))
    square = float(profile @ profile)
    if square == 0:
        return solution
    pull, weights = products(rows, profile), np.zeros(len(rows))
    for step, penalty in enumerate(penalties.tolist()):
        problem = Problem(square, penalty, stop.gap, stop.rounds)
        solution.gaps[step] = minimise(problem, gram, pull, weights)
        solution.weights[step] = weights
    return solution


def solve(profile: Vector, rows: Matrix, penalties: Vector, stop: Stop) -> Solution:
    """Return the same without a Gram matrix, on a working set of the training profiles.

    Args:
        profile: x.
        rows: X, training profiles × landmarks.
        penalties: the penalties a, largest first. Each starts from the weights of the one before.
        stop: when to stop.
    """
    solution = Solution(np.zeros((len(penalties), len(rows))), np.zeros(len(penalties)))
    square = float(profile @ profile)
    if square == 0:
        return solution
    pull = slope = products(rows, profile)
    working = _WorkingSet(rows)
    for step, penalty in enumerate(penalties.tolist()):
        problem = Problem(square, penalty, stop.gap, stop.rounds)
        for left in range(stop.rounds, -1, -1):
            few, steepest = working.members, float(np.abs(slope).max())
            reached = relative_gap(problem, pull[few], working.weights, slope[few], steepest)
            if reached <= stop.gap or left == 0:
                break
            working.grow(slope, penalty)
            inner = problem._replace(gap=SHARE_OF_GAP * reached)
            minimise(inner, working.gram, pull[working.members], working.weights)
            slope = products(rows, profile - working.weights @ working.rows)
        solution.gaps[step] = reached
        solution.weights[step, working.members] = working.weights
    return solution


class _WorkingSet:
    """The training profiles that may have a weight.

    Attributes:
        members: their positions.
        rows: their landmarks, float64.
        gram: products of their landmarks.
        weights: b.
    """

    def __init__(self, rows: Matrix) -> None:
        self._all_rows = rows
        # The system gives memory to the rows that are written.
        self._wide = np.empty(rows.shape)
        self.members: Indices = np.zeros(0, np.intp)
        self.rows = self._wide[:0]
        self.gram = np.zeros((0, 0))
        self.weights = np.zeros(0)

    def grow(self, slope: Vector, penalty: float) -> None:
        """Add the training profiles that violate their condition most.

        At most :data:`WORKING_SET` are added, or half as many as have a weight.
        """
        excess = np.abs(slope) - penalty / 2
        excess[self.members] = -np.inf
        violating = np.flatnonzero(excess > 0)
        most = max(WORKING_SET, np.count_nonzero(self.weights) // 2)
        new = violating[np.argsort(-excess[violating], kind="stable")[:most]]
        if not len(new):
            return
        before = len(self.members)
        self.members = np.concatenate([self.members, new])
        self._wide[before : len(self.members)] = self._all_rows[new]
        self.rows = self._wide[: len(self.members)]
        self.weights = np.concatenate([self.weights, np.zeros(len(new))])
        gram = np.empty((len(self.members), len(self.members)))
        gram[:before, :before] = self.gram
        gram[before:] = self.rows[before:] @ self.rows.T
        gram[:before, before:] = gram[before:, :before].T
        self.gram = gram
