"""Gene-wise metrics: truth and prediction are profiles × genes, the result one value per gene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Expression = NDArray[np.float64]


def mean_absolute_error(truth: Expression, prediction: Expression) -> NDArray[np.float64]:
    """``mean_i |ŷ_ij − y_ij|`` of each gene j (Wang et al. 2018, Eq. 11)."""
    return np.asarray(np.abs(prediction - truth).mean(axis=0))


def concordance_correlation(truth: Expression, prediction: Expression) -> NDArray[np.float64]:
    """``2 ρ σ_y σ_ŷ / (σ_y² + σ_ŷ² + (μ_y − μ_ŷ)²)`` of each gene (Lin 1989; Eq. 12), ddof 0.

    ``ρ σ_y σ_ŷ`` is the covariance, so a constant prediction has CC 0, and so has a gene whose
    truth is constant: nothing varies, nothing can concord.
    """
    truth_mean, prediction_mean = truth.mean(axis=0), prediction.mean(axis=0)
    covariance = ((truth - truth_mean) * (prediction - prediction_mean)).mean(axis=0)
    spread = truth.var(axis=0) + prediction.var(axis=0) + (truth_mean - prediction_mean) ** 2
    # Judged by value: the rounded variance of a constant need not be exactly 0.
    varies = (np.ptp(truth, axis=0) > 0) & (np.ptp(prediction, axis=0) > 0)
    cc: NDArray[np.float64] = np.zeros_like(spread)
    np.divide(2 * covariance, spread, out=cc, where=varies)
    return cc
