"""Loops that numpy cannot express, compiled to machine code by numba.

The compiler may reorder the terms of a sum, so that vector registers sum several at once. The order
then depends on the lengths alone, and so a result does not depend on other profiles.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float32]
Indices = NDArray[np.intp]
F = TypeVar("F", bound=Callable[..., object])

TINY = 1e-300
"""Divisor in place of zero."""
SUPPORT_SWEEPS = 5
"""Sweeps over the weights that are not zero, in each round."""
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
def squared_distances(rows: Matrix, vector: Matrix) -> Vector:
    """Return the squared distance of each row from a vector, summed in float64."""
    result = np.empty(len(rows))
    for i in range(len(rows)):
        total = 0.0
        for j in range(len(vector)):
            difference = np.float64(rows[i, j]) - vector[j]
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


@_compiled
def relative_gap(
    pull: Vector, square: float, penalty: float, weights: Vector, slope: Vector, steepest: float
) -> float:
    """Return the duality gap of weights, divided by ``square``.

    Args:
        pull: Xx, of the training profiles that may have a weight.
        square: ‖x‖², not zero.
        penalty: a.
        weights: b.
        slope: Xr for the residual r.
        steepest: the largest |Xr| of any training profile.
    """
    along = square
    residual = square
    size = 0.0
    for i in range(len(weights)):
        along -= pull[i] * weights[i]
        residual -= (pull[i] + slope[i]) * weights[i]
        size += abs(weights[i])
    residual = max(residual, 0.0)
    scale = max(min(along / max(residual, TINY), penalty / max(2 * steepest, TINY)), 0.0)
    lower = 2 * scale * along - scale * scale * residual
    return max(residual + penalty * size - lower, 0.0) / square


@_compiled
def _sweep(gram: Vector, penalty: float, weights: Vector, slope: Vector, all_weights: bool) -> None:
    """Minimise over one weight after another, and keep ``slope`` up to date."""
    n = len(weights)
    for i in range(n):
        old = weights[i]
        if (old == 0 and not all_weights) or gram[i, i] <= 0:
            continue
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
    """Move the weights that are not zero to their minimum, or to the first sign change."""
    used = np.flatnonzero(weights)
    m = len(used)
    factor = np.zeros((m, m))
    step = np.empty(m)
    # Row by row: L Lᵀ = G of the weights in use, and L z = half the gradient.
    for i in range(m):
        row = gram[used[i]]
        half = penalty / 2 if weights[used[i]] > 0 else -penalty / 2
        right = slope[used[i]] - half
        for j in range(i):
            total = row[used[j]]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = total / factor[j, j]
        pivot = row[used[i]]
        for k in range(i):
            pivot -= factor[i, k] * factor[i, k]
            right -= factor[i, k] * step[k]
        if pivot <= PIVOT * row[used[i]]:
            return
        factor[i, i] = np.sqrt(pivot)
        step[i] = right / factor[i, i]
    for i in range(m - 1, -1, -1):
        step[i] /= factor[i, i]
        for k in range(i):
            step[k] -= factor[i, k] * step[i]
    share, first = 1.0, -1
    for i in range(m):
        weight = weights[used[i]]
        if weight * (weight + step[i]) < 0 and -weight / step[i] < share:
            share, first = -weight / step[i], i
    for i in range(m):
        weights[used[i]] += share * step[i]
    if first >= 0:
        weights[used[first]] = 0.0


@_compiled
def minimise(
    gram: Vector,
    pull: Vector,
    square: float,
    penalty: float,
    weights: Vector,
    gap: float,
    rounds: int,
) -> float:
    """Improve weights in place until the duality gap is small, and return the gap.

    Args:
        gram: G = XXᵀ of n training profiles.
        pull: c = Xx.
        square: ‖x‖², not zero.
        penalty: a.
        weights: b, the start and the result.
        gap: the gap to reach, relative to ``square``.
        rounds: most rounds.
    """
    slope = np.empty(len(weights))
    for left in range(rounds, -1, -1):
        slope[:] = pull
        for i in range(len(weights)):
            if weights[i] != 0:
                row = gram[i]
                for j in range(len(weights)):
                    slope[j] -= weights[i] * row[j]
        steepest = np.abs(slope).max()
        reached = relative_gap(pull, square, penalty, weights, slope, steepest)
        if reached <= gap or left == 0:
            return reached
        _sweep(gram, penalty, weights, slope, True)
        for _ in range(SUPPORT_SWEEPS):
            _sweep(gram, penalty, weights, slope, False)
        _newton_step(gram, penalty, weights, slope)
    return np.inf
