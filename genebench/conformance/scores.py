"""Scores that checks compare."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genebench.data.profiles import Profiles


def mae(test: Profiles, predicted: NDArray[np.float32]) -> float:
    """Return the mean absolute error over profiles and genes, in standard deviations."""
    return float(np.abs(test.targets - predicted).mean(dtype=np.float64))


def mae_of_train_mean(train: Profiles, test: Profiles) -> float:
    """Return the mean absolute error of predicting each gene's mean over the training profiles."""
    return float(np.abs(test.targets - train.targets.mean(axis=0)).mean(dtype=np.float64))
