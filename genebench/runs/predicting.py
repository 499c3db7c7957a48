"""Predictions of test profiles, block by block, in an order that says nothing about them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genebench._util.npy import NpyFile
from genebench.data.profiles import Profiles
from genebench.formats.base import BLOCK
from genebench.method import Model
from genebench.methods.predictions import predict
from genebench.runs.failures import method_code
from genebench.runs.provenance import Stopwatch


def prediction_order(data: str, test: str, number: int) -> NDArray[np.intp]:
    """Return the order in which test profiles are predicted.

    It is the same for every method, and says nothing about the profiles. It must not be drawn anew:
    the last bit of a matrix product can depend on the place of a row.

    Args:
        data: digest of the dataset.
        test: the test set, as the identity of a result names it.
        number: number of test profiles.
    """
    places = [hashlib.sha256(f"{data} {test} {place}".encode()).digest() for place in range(number)]
    return np.array(sorted(range(number), key=places.__getitem__), dtype=np.intp)


def write_predictions(
    model: Model, test: Profiles, order: NDArray[np.intp], path: Path, clock: Stopwatch
) -> None:
    """Write the predictions for the test profiles as .npy: float32, profiles × targets.

    No more than one block is in memory. Only the model can fail the job: a full disk is the user's
    matter, and ends the run.

    Args:
        model: the model.
        test: the test profiles.
        order: the order in which they are predicted. They are written in their own order.
        path: the file.
        clock: the clock of the evaluation.

    Raises:
        MethodFailedError: the model fails, or predicts another shape or values that are not finite.
    """
    n_targets = len(test.target_genes)
    with path.open("wb") as stream:
        file = NpyFile(stream, (len(test), n_targets), np.float32)
        for start in range(0, len(test), BLOCK):
            rows = order[start : start + BLOCK]
            landmarks = test.landmark_rows(rows)
            with clock.phase("predict"), method_code():
                block = predict(model, landmarks, n_targets)
            file.write_rows(rows, block)
