"""KNN-GE: a target gene is the mean of the landmark genes nearest to it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from genebench import Context, Method, Model, Profiles
from genebench.moments import Moments, moments
from genebench_knn.choice import edge_notes

Neighbours = NDArray[np.intp]
"""Targets × k: positions of the nearest landmarks, nearest first."""


class NearestLandmarks(Model):
    """Averages, for each target, its k nearest landmarks within the profile itself."""

    def __init__(self, neighbours: Neighbours, notes: tuple[str, ...] = ()) -> None:
        self.neighbours = neighbours
        self.choices = {"k": neighbours.shape[1]}
        self.notes = notes

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
        """Profiles × landmarks → profiles × targets."""
        total = np.zeros((len(landmarks), len(self.neighbours)))
        for nearest in self.neighbours.T:
            total += landmarks[:, nearest]
        return np.asarray(total / self.neighbours.shape[1])


class KNNGE(Method):
    """k nearest landmark genes, by Euclidean distance over the training profiles."""

    def fit(
        self, train: Profiles, selections: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Rank the landmarks of every target once; choose k on each selection set."""
        ranked = nearest_landmarks(moments(train, context.progress), self.params["k_max"])
        models: dict[str, Model] = {}
        for name, selection in selections.items():
            k = 1 + int(np.argmin(errors_by_k(ranked, selection)))
            models[name] = NearestLandmarks(ranked[:, :k], edge_notes(k, self.params["k_max"]))
        return models


def nearest_landmarks(found: Moments, k_max: int) -> Neighbours:
    """Landmarks nearest to each target; ties go to the landmark that comes first in the map."""
    # Σ (x − y)² = Σx² + Σy² − 2Σxy; Σy² is the same for all landmarks of a target.
    n, x_mean, y_mean = found.n, found.x_mean, found.y_mean
    x_squares = np.diag(found.xx) + n * x_mean**2
    products = found.xy + n * np.outer(x_mean, y_mean)
    distance = x_squares[:, None] - 2 * products
    return np.argsort(distance.T, axis=1, kind="stable")[:, :k_max]


def errors_by_k(ranked: Neighbours, selection: Profiles) -> NDArray[np.float64]:
    """Summed absolute error on a selection set for each k from 1 on."""
    errors = np.zeros(ranked.shape[1])
    for block in selection.blocks():
        total = np.zeros(block.targets.shape)
        for at, nearest in enumerate(ranked.T):
            total += block.landmarks[:, nearest]
            errors[at] += np.abs(total / (at + 1) - block.targets).sum()
    return errors
