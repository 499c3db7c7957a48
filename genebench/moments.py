"""Moments of the training profiles: one streaming pass, shared by the closed-form methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genebench.data.profiles import Profiles
from genebench.progress import Progress, silent

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Counts, means and centred products of landmarks X and targets Y over training profiles.

    Attributes:
        n: number of profiles.
        x_mean, y_mean: means, one per landmark and per target.
        xx: ``Σ (x − x̄)(x − x̄)ᵀ``, landmarks × landmarks.
        xy: ``Σ (x − x̄)(y − ȳ)ᵀ``, landmarks × targets.
        yy: ``Σ (y − ȳ)²``, one per target.
    """

    n: int
    x_mean: Array
    y_mean: Array
    xx: Array
    xy: Array
    yy: Array


def moments(train: Profiles, progress: Progress = silent) -> Moments:
    """Accumulate moments over blocks of profiles, in float64.

    Standardised training profiles have means near 0, so subtracting the means at the end
    cancels nothing.
    """
    n_landmarks, n_targets = len(train.landmark_genes), len(train.target_genes)
    x_sum, y_sum = np.zeros(n_landmarks), np.zeros(n_targets)
    xx, xy = np.zeros((n_landmarks, n_landmarks)), np.zeros((n_landmarks, n_targets))
    yy = np.zeros(n_targets)
    n = 0
    for block in train.blocks():
        x, y = block.landmarks.astype(np.float64), block.targets.astype(np.float64)
        x_sum += x.sum(axis=0)
        y_sum += y.sum(axis=0)
        xx += x.T @ x
        xy += x.T @ y
        yy += (y * y).sum(axis=0)
        n += len(x)
        progress(n, len(train), "training moments")
    x_mean, y_mean = x_sum / n, y_sum / n
    return Moments(
        n=n,
        x_mean=x_mean,
        y_mean=y_mean,
        xx=xx - n * np.outer(x_mean, x_mean),
        xy=xy - n * np.outer(x_mean, y_mean),
        yy=yy - n * y_mean**2,
    )
