"""How good predictions are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genebench.data.profiles import Profiles


def mae(test: Profiles, predicted: NDArray[np.float32]) -> float:
    """Mean absolute error over profiles and genes, in standard deviations of the gene."""
    return float(np.abs(test.targets - predicted).mean(dtype=np.float64))


def mae_of_train_mean(train: Profiles, test: Profiles) -> float:
    """What the control ``train-mean`` errs by."""
    return float(np.abs(test.targets - train.targets.mean(axis=0)).mean(dtype=np.float64))
