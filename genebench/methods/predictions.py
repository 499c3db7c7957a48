"""Checked predictions of a model, and its error on a validation set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.data.profiles import Profiles
from genebench.method import Model


class BadPredictionError(Exception):
    """A prediction has the wrong shape or type, or values that are not finite."""


def predict(model: Model, landmarks: NDArray[np.float32], n_targets: int) -> NDArray[np.float32]:
    """Return a model's predictions of some profiles, checked.

    Args:
        model: a fitted model.
        landmarks: profiles × landmarks, standardised.
        n_targets: the number of target genes that the model must predict.

    Returns:
        Profiles × targets, float32.

    Raises:
        BadPredictionError: the predictions have another shape, are not numbers, or are not finite.
    """
    predicted = np.asarray(model.predict(landmarks))
    expected = (len(landmarks), n_targets)
    if predicted.shape != expected:
        raise BadPredictionError(
            f"predicted {predicted.shape} values where {expected} were expected"
        )
    if predicted.dtype.kind not in "fiu":
        raise BadPredictionError(f"predicted values of type {predicted.dtype}, not numbers")
    # A float64 beyond the range of float32 becomes infinite here, and is refused below.
    with np.errstate(over="ignore"):
        stored = predicted.astype(np.float32)
    if not np.isfinite(stored).all():
        raise BadPredictionError("predicted NaN or infinite values")
    return stored


def mean_absolute_error(model: Model, profiles: Profiles) -> float:
    """Return a model's MAE over some profiles and all targets, read in blocks.

    The unit is one standard deviation of the gene.
    """
    total = 0.0
    for landmarks, targets in profiles.blocks():
        predicted: NDArray[Any] = np.asarray(model.predict(landmarks))
        total += float(np.abs(predicted - targets).sum(dtype=np.float64))
    return total / (len(profiles) * len(profiles.target_genes))


def plain(value: Any) -> Any:
    """Return a numpy scalar as the Python value that it stands for, anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value
