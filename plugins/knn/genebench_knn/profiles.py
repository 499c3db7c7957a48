"""KNN: a profile's targets are the mean of those of the training profiles nearest to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from genebench import Context, Method, Model, Profiles
from genebench_knn.choice import edge_notes

Matrix = NDArray[np.float32]
QUERIES = 256
"""Profiles compared with the whole training set at a time; bounds the distances in memory."""


class TrainingSet:
    """Training landmarks and targets, and the search among them."""

    def __init__(self, train: Profiles) -> None:
        self.targets = train.targets
        self._landmarks = train.landmarks.astype(np.float64)
        self._squares = (self._landmarks**2).sum(axis=1)

    def __len__(self) -> int:
        return len(self._landmarks)

    def nearest(self, landmarks: Matrix, k: int) -> NDArray[np.intp]:
        """Profiles × k: the nearest training profiles, nearest first.

        Euclidean distance over landmarks; ties go to the profile that comes first in the data.
        """
        # |q − x|² = |q|² + |x|² − 2q·x, and |q|² is the same for all training profiles.
        distance = self._squares - 2 * (landmarks.astype(np.float64) @ self._landmarks.T)
        return np.argsort(distance, axis=1, kind="stable")[:, :k]


class NearestProfiles(Model):
    """Averages the targets of the k nearest training profiles."""

    def __init__(self, training: TrainingSet, k: int, notes: tuple[str, ...] = ()) -> None:
        self.training = training
        self.choices = {"k": k}
        self.notes = notes
        self.k = k

    def predict(self, landmarks: Matrix) -> NDArray[np.float64]:
        """Profiles × landmarks → profiles × targets."""
        predicted = np.zeros((len(landmarks), self.training.targets.shape[1]))
        for start in range(0, len(landmarks), QUERIES):
            queries = landmarks[start : start + QUERIES]
            for neighbour in self.training.nearest(queries, self.k).T:
                predicted[start : start + QUERIES] += self.training.targets[neighbour]
        return predicted / self.k


class KNN(Method):
    """k nearest training profiles, by Euclidean distance over landmarks."""

    def fit(
        self, train: Profiles, selections: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Keep the training set; choose k on each selection set."""
        training = TrainingSet(train)
        k_max = min(self.params["k_max"], len(training))
        models: dict[str, Model] = {}
        for name, selection in selections.items():
            errors = sum(_errors_by_k(training, selection, k_max, context))
            k = 1 + int(np.argmin(errors))
            models[name] = NearestProfiles(training, k, edge_notes(k, self.params["k_max"]))
        return models


def _errors_by_k(
    training: TrainingSet, selection: Profiles, k_max: int, context: Context
) -> Iterator[NDArray[np.float64]]:
    """Summed absolute error of each block of a selection set, for k = 1 … k_max."""
    done = 0
    for block in selection.blocks(QUERIES):
        errors = np.zeros(k_max)
        total = np.zeros(block.targets.shape)
        for at, neighbour in enumerate(training.nearest(block.landmarks, k_max).T):
            total += training.targets[neighbour]
            errors[at] = np.abs(total / (at + 1) - block.targets).sum()
        done += len(block.targets)
        context.progress(done, len(selection), "choosing k")
        yield errors
