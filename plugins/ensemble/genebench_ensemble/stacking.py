"""Non-negative stacking: the weights of several predictions with the smallest absolute error.

The mean absolute error is convex in the weights, and smooth but for points where a residual is 0.
It is minimised by iteratively reweighted least squares: ``Σ|r|`` is the limit ε → 0 of
``Σ√(r² + ε²)``, and each step minimises ``Σ r² / √(r₀² + ε²)`` over the non-negative weights, which
never makes that sum larger (Lange, Hunter & Yang 2000, Optimization transfer). A step needs sums
over all profiles and genes of numbers for each pair of members, and no more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

_BLOCK_VALUES = 1 << 20
"""Values of a member that are read at once: 8 MB as float64."""
_SMOOTHING = 1e-3
"""Final ε, as a share of the mean absolute residual."""
_STEPS = 200
_ENOUGH = 1e-7
"""Relative improvement at which the steps end."""
_RIDGE = 1e-10
"""Diagonal that is added, as a share of the mean diagonal. It gives equal members equal weights."""


def stacking_weights(
    predictions: NDArray[np.float32], truth: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the non-negative weights whose weighted sum has the smallest absolute error.

    Args:
        predictions: members × values.
        truth: the values.

    Returns:
        One weight for each member. They need not sum to 1.
    """
    weights = np.full(len(predictions), 1 / len(predictions))
    # From a wide ε to a narrow one, so that early steps are not caught at residuals near 0.
    share, before = 1.0, np.inf
    for _ in range(_STEPS):
        smoothing = max(share * absolute_error(predictions, truth, weights), np.finfo(float).tiny)
        gram, right, loss = _sums(predictions, truth, weights, smoothing)
        if share == _SMOOTHING and before - loss <= _ENOUGH * loss:
            break
        before = loss if share == _SMOOTHING else np.inf
        share = max(share / 2, _SMOOTHING)
        weights = _least_squares(gram, right)
    return weights


def absolute_error(
    predictions: NDArray[np.float32], truth: NDArray[np.float32], weights: NDArray[np.float64]
) -> float:
    """Return the mean absolute error of a weighted sum of predictions.

    Args:
        predictions: members × values.
        truth: the values.
        weights: one for each member.
    """
    total = sum(
        float(np.abs(truth[part] - weights @ predictions[:, part]).sum())
        for part in _parts(len(truth))
    )
    return total / len(truth)


def _sums(
    predictions: NDArray[np.float32],
    truth: NDArray[np.float32],
    weights: NDArray[np.float64],
    smoothing: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return the normal equations of a step, and the smoothed error before it."""
    gram = np.zeros((len(predictions), len(predictions)))
    right, loss = np.zeros(len(predictions)), 0.0
    for part in _parts(len(truth)):
        predicted, values = predictions[:, part].astype(np.float64), truth[part]
        distance = np.hypot(values - weights @ predicted, smoothing)
        loss += float(distance.sum())
        scaled = predicted / distance
        gram += scaled @ predicted.T
        right += scaled @ values
    return gram, right, loss


def _least_squares(gram: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the w ≥ 0 that minimises ``wᵀ G w − 2 wᵀ b``."""
    diagonal = np.diag(gram).mean() * _RIDGE + np.finfo(float).tiny
    factor = np.linalg.cholesky(gram + diagonal * np.eye(len(gram)))
    weights: NDArray[np.float64] = nnls(factor.T, np.linalg.solve(factor, right))[0]
    return weights


def _parts(n_values: int) -> list[slice]:
    return [slice(start, start + _BLOCK_VALUES) for start in range(0, n_values, _BLOCK_VALUES)]
