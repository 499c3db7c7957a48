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

_SECRET_ROWS = 16
"""Test profiles whose targets give the order of all. No sealed method knows the targets of one."""


def prediction_order(test: Profiles) -> NDArray[np.intp]:
    """Return the order in which test profiles are predicted, as positions.

    It follows from test targets, so no method can foresee it, and it says nothing about a profile.
    It is the same in every run: the last bit of a matrix product can depend on the place of a row.
    """
    first = np.arange(min(len(test), _SECRET_ROWS))
    secret = hashlib.sha256(test.target_rows(first).tobytes()).digest()
    places = [hashlib.sha256(secret + str(place).encode()).digest() for place in range(len(test))]
    return np.array(sorted(range(len(test)), key=places.__getitem__), dtype=np.intp)


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
