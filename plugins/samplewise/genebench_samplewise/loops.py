"""Loops that numpy cannot express, compiled to machine code by numba.

The compiler may reorder the terms of a sum, so that vector registers sum several at once. The order
then depends on the lengths alone, and so a result does not depend on other profiles.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float32]
Indices = NDArray[np.intp]
F = TypeVar("F", bound=Callable[..., object])

TINY = 1e-300
"""Divisor in place of zero."""
SUPPORT_SWEEPS = 20
"""Sweeps over the weights that are not zero, in each round. They cost less than further rounds.

For 280 profiles against 473, twenty take 0.22, 0.47 and 2.5 ms a profile at penalties of 0.06, 0.03
and 0.01, and ten 0.21, 0.53 and 3.6 ms (one core of an AMD EPYC, Zen 5).
"""
PIVOT = 1e-10
"""Smallest pivot of a Cholesky factor, relative to its diagonal element. Below it the training
profiles in use are almost dependent, and a round does without its Newton step."""


def _compiled(loop: F) -> F:
    compiler = partial(
        numba.njit, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}
    )
    try:
        return cast("F", compiler(cache=True)(loop))
    except RuntimeError:  # no folder for the cache can be written
        return cast("F", compiler()(loop))


@_compiled
def products(rows: Matrix, vector: Vector) -> Vector:
    """Return ``rows @ vector``, summed in float64."""
    result = np.empty(len(rows))
    for i in range(len(rows)):
        total = 0.0
        for j in range(len(vector)):
            total += rows[i, j] * vector[j]
        result[i] = total
    return result


@_compiled
def squared_distances(rows: Matrix, positions: Indices, vector: Matrix) -> Vector:
    """Return the squared distance of some rows from a vector, summed in float64."""
    result = np.empty(len(positions))
    for i in range(len(positions)):
        row = rows[positions[i]]
        total = 0.0
        for j in range(len(vector)):
            difference = np.float64(row[j]) - vector[j]
            total += difference * difference
        result[i] = total
    return result


@_compiled
def mix(weights: Vector, places: Indices, rows: Matrix, total: Vector) -> None:
    """Add the weighted sum of some rows to ``total``, in the order of their places."""
    for k in range(len(places)):
        weight = weights[k]
        row = rows[places[k]]
        for j in range(len(total)):
            total[j] += weight * row[j]


class Problem(NamedTuple):
    """The lasso of one profile for one penalty, and when to stop.

    Attributes:
        square: ‖x‖², not zero.
        penalty: a.
        gap: the duality gap to reach, relative to ``square``.
        rounds: most rounds.
    """

    square: float
    penalty: float
    gap: float
    rounds: int


@_compiled
def relative_gap(
    problem: Problem, pull: Vector, weights: Vector, slope: Vector, steepest: float
) -> float:
    """Return the duality gap of weights, divided by ``square``.

    Args:
        problem: square and penalty.
        pull: Xx, of the training profiles that may have a weight.
        weights: b.
        slope: Xr for the residual r.
        steepest: the largest |Xr| of any training profile.
    """
    along = problem.square
    residual = problem.square
    size = 0.0
    for i in range(len(weights)):
        along -= pull[i] * weights[i]
        residual -= (pull[i] + slope[i]) * weights[i]
        size += abs(weights[i])
    residual = max(residual, 0.0)
    feasible = problem.penalty / max(2 * steepest, TINY)
    scale = max(min(along / max(residual, TINY), feasible), 0.0)
    lower = 2 * scale * along - scale * scale * residual
    return max(residual + problem.penalty * size - lower, 0.0) / problem.square


@_compiled
def minimise(problem: Problem, gram: Vector, pull: Vector, weights: Vector) -> float:
    """Improve weights in place until the duality gap is small, and return the gap.

    Args:
        problem: the problem.
        gram: G = XXᵀ of n training profiles.
        pull: c = Xx.
        weights: b, the start and the result.
    """
    slope = np.empty(len(weights))
    for left in range(problem.rounds, -1, -1):
        # Anew in each round, so that rounding errors do not add up.
        slope[:] = pull
        for i in range(len(weights)):
            if weights[i] != 0:
                row = gram[i]
                for j in range(len(weights)):
                    slope[j] -= weights[i] * row[j]
        reached = relative_gap(problem, pull, weights, slope, np.abs(slope).max())
        if reached <= problem.gap or left == 0:
            return reached
        _sweep(gram, problem.penalty, weights, slope)
        used = np.flatnonzero(weights)
        compact = np.empty((len(used), len(used)))
        for i in range(len(used)):
            for j in range(len(used)):
                compact[i, j] = gram[used[i], used[j]]
        few_weights, few_slopes = weights[used], slope[used]
        for _ in range(SUPPORT_SWEEPS):
            _sweep(compact, problem.penalty, few_weights, few_slopes)
        _newton_step(compact, problem.penalty, few_weights, few_slopes)
        weights[used] = few_weights
    return np.inf


@_compiled
def _sweep(gram: Vector, penalty: float, weights: Vector, slope: Vector) -> None:
    """Minimise over one weight after another, and keep ``slope`` up to date."""
    n = len(weights)
    for i in range(n):
        if gram[i, i] <= 0:
            continue
        old = weights[i]
        free = slope[i] + gram[i, i] * old
        new = max(abs(free) - penalty / 2, 0.0) / gram[i, i]
        if free < 0:
            new = -new
        if new != old:
            weights[i] = new
            change = new - old
            row = gram[i]
            for j in range(n):
                slope[j] -= change * row[j]


@_compiled
def _newton_step(gram: Vector, penalty: float, weights: Vector, slope: Vector) -> None:
    """Move the weights that are not zero to their minimum, or to the first change of sign."""
    used = np.flatnonzero(weights)
    step = _newton_direction(gram, slope - penalty / 2 * np.sign(weights), used)
    share, first = 1.0, -1
    for i in range(len(step)):
        weight = weights[used[i]]
        if weight * (weight + step[i]) < 0 and -weight / step[i] < share:
            share, first = -weight / step[i], i
    for i in range(len(step)):
        weights[used[i]] += share * step[i]
    if first >= 0:
        weights[used[first]] = 0.0


@_compiled
def _newton_direction(gram: Vector, descent: Vector, used: Indices) -> Vector:
    """Return the step to the minimum over the weights in use. It is empty if they are dependent.

    Solved by a Cholesky factor of their Gram matrix, row by row.
    """
    m = len(used)
    factor, step = np.empty((m, m)), descent[used]
    for i in range(m):
        for j in range(i + 1):
            total = gram[used[i], used[j]]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if j < i:
                factor[i, j] = total / factor[j, j]
            elif total <= PIVOT * gram[used[i], used[i]]:
                return step[:0]
            else:
                factor[i, i] = np.sqrt(total)
        for k in range(i):
            step[i] -= factor[i, k] * step[k]
        step[i] /= factor[i, i]
    for i in range(m - 1, -1, -1):
        step[i] /= factor[i, i]
        for k in range(i):
            step[k] -= factor[i, k] * step[i]
    return step
