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

# numba takes Cholesky factors from this module, and would load it when the first is computed. Who
# limited the threads of BLAS before that would have missed it.
import scipy.linalg.cython_lapack  # noqa: F401
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float32]
Indices = NDArray[np.intp]
F = TypeVar("F", bound=Callable[..., object])

TINY = 1e-300
"""Divisor in place of zero."""
# The next four numbers are among the fastest of a grid for 280 profiles against 473.
SHARE_OF_EXCESS = 0.4
"""A training profile may get a weight in a round if it violates ``|Xr| ≤ a/2`` by this share of the
worst violation. With a smaller share rounds are fewer, but each has more training profiles."""
SWEEPS = 15
"""Sweeps of coordinate descent in a round. They cost less than further rounds."""
SETTLED = 0.02
"""A round ends with a Newton step if at most this share of its training profiles began without a
weight. Earlier the signs are not right yet, and the step costs more than it gains."""
SWEEPS_BEFORE_STEP = 4
"""Sweeps in place of :data:`SWEEPS` in a round that ends with a Newton step."""
LANES = 16
"""Rows of small matrices are padded to a multiple of this, so that no loop has a slow remainder."""
RIDGE = 1e-10
"""Share of its diagonal that is added to a Gram matrix for a Newton step. It is larger than the
rounding errors, so that the factor exists for training profiles that depend on each other, too."""


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
    slope, half = np.empty(len(weights)), problem.penalty / 2
    for left in range(problem.rounds, -1, -1):
        # Anew in each round, so that rounding errors do not add up.
        slope[:] = pull
        for i in np.flatnonzero(weights):
            _subtract(slope, weights[i], gram[i])
        steepness = np.abs(slope)
        reached = relative_gap(problem, pull, weights, slope, steepness.max())
        if reached <= problem.gap or left == 0:
            return reached
        excess = np.where(weights == 0, steepness - half, 0.0)
        least = SHARE_OF_EXCESS * max(excess.max(), 0.0)
        places = np.flatnonzero((weights != 0) | (excess > least))
        few = weights[places]
        settled = _sweep(gram, half, places, few, slope[places])
        weights[places] = few
        if settled:
            _newton_step(gram, half, pull, weights)
    return np.inf


@_compiled
def _subtract(total: Vector, factor: float, row: Vector) -> None:
    for j in range(len(total)):
        total[j] -= factor * row[j]


@_compiled
def _sweep(gram: Vector, half: float, places: Indices, weights: Vector, slope: Vector) -> bool:
    """Minimise over one weight after another, several times, in float32.

    Without a penalty, ``free[i]`` would be the best value of weight i while the others stay. It
    does not depend on weight i, so that few operations lie between a weight and the next.

    Args:
        gram: G of all training profiles.
        half: a/2.
        places: positions of those whose weights may change.
        weights: their weights, changed in place.
        slope: their slopes Xr at the start.

    Returns:
        Whether a Newton step is worth its cost now.
    """
    n = len(places)
    padded = (n // LANES + 1) * LANES  # one more than n, or several
    squares, few = np.empty(n), weights.astype(np.float32)
    free, scaled = np.zeros(padded, np.float32), np.zeros((n, padded), np.float32)
    for j in range(n):
        squares[j] = gram[places[j], places[j]]
        free[j] = weights[j] + slope[j] / squares[j]
    bounds, inverses = (half / squares).astype(np.float32), 1 / squares
    for i in range(n):
        row = gram[places[i]]
        for j in range(n):
            scaled[i, j] = row[places[j]] * inverses[j]
        scaled[i, i] = 0.0
    settled = bool(np.count_nonzero(few == 0) <= SETTLED * n)
    for _ in range(SWEEPS_BEFORE_STEP if settled else SWEEPS):
        best = free[0]
        for i in range(n):
            beyond = max(min(best, bounds[i]), -bounds[i])
            weight, change = best - beyond, (best - few[i]) - beyond
            # The next weight needs one of the numbers below. It does not wait for the others.
            best = free[i + 1] - change * scaled[i, i + 1]
            few[i] = weight  # an exact zero, which the old weight and the change may miss
            if change != 0:
                for j in range(padded):
                    free[j] -= change * scaled[i, j]
    weights[:] = few
    return settled


@_compiled
def _newton_step(gram: Vector, half: float, pull: Vector, weights: Vector) -> None:
    """Move the weights that are not zero to their minimum, or to the first change of sign.

    Args:
        gram: G.
        half: a/2.
        pull: c = Xx.
        weights: b, changed in place.
    """
    used = np.flatnonzero(weights)
    few, m = weights[used], len(used)
    system, step = np.empty((m, m)), pull[used] - half * np.sign(few)
    for i in range(m):
        row = gram[used[i]]
        for j in range(m):
            system[i, j] = row[used[j]]
        _subtract(step, few[i], system[i])
        system[i, i] *= 1 + RIDGE
    factor = np.linalg.cholesky(system)
    for i in range(m):
        for k in range(i):
            step[i] -= factor[i, k] * step[k]
        step[i] /= factor[i, i]
    for i in range(m - 1, -1, -1):
        step[i] /= factor[i, i]
        for k in range(i):
            step[k] -= factor[i, k] * step[i]
    share, first = 1.0, -1
    for i in range(m):
        if few[i] * (few[i] + step[i]) < 0 and -few[i] / step[i] < share:
            share, first = -few[i] / step[i], i
    weights[used] = few + share * step
    if first >= 0:
        weights[used[first]] = 0.0
