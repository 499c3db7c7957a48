"""KNN: a profile's targets are the mean of those of the training profiles nearest to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Context, Method, Model, Profiles
from genebench.data.profiles import Block
from genebench.progress import Progress
from genebench_knn.averages import Choice, errors_by_k, in_tiles, mean_of
from genebench_knn.search import ExactSearch, Matrix


class TrainingSet:
    """Training profiles: their landmarks in memory to search, their targets read when needed."""

    def __init__(self, train: Profiles, context: Context) -> None:
        self._train = train
        shape = len(train), len(train.landmark_genes)
        self._search = ExactSearch(_told(train, context.progress), shape, context.device)

    def nearest(self, landmarks: Matrix, k: int) -> torch.Tensor:
        """Profiles × min(k, n): the nearest training profiles, nearest first.

        Euclidean distance over landmarks; ties go to the profile that comes first in the data.
        """
        return self._search.nearest(landmarks, k)

    def targets_of(self, neighbours: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read what the averages of some profiles need.

        Returns:
            Targets of some training profiles, rows × targets; and the neighbours as positions in
            these rows, profiles × k.
        """
        nearest = neighbours.cpu().numpy()
        positions, places = np.unique(nearest, return_inverse=True)
        rows = self._train.target_rows(positions)
        return (
            torch.as_tensor(rows, device=neighbours.device),
            torch.tensor(places.reshape(nearest.shape), device=neighbours.device),
        )


class NearestProfiles(Model):
    """Averages the targets of the k nearest training profiles.

    It cannot be saved apart from the data: all that it knows is the training set itself.
    """

    def __init__(self, training: TrainingSet, n_targets: int, choice: Choice) -> None:
        self.training = training
        self.n_targets = n_targets
        self.k = choice.k
        self.choices = {"k": choice.k}
        self.notes = choice.notes
        self.curves = choice.curves

    def predict(self, landmarks: Matrix) -> Matrix:
        """Profiles × landmarks → profiles × targets."""
        predicted = np.empty((len(landmarks), self.n_targets), np.float32)
        neighbours = self.training.nearest(landmarks, self.k)

        def mean(profiles: slice) -> torch.Tensor:
            return mean_of(*self.training.targets_of(neighbours[profiles]))

        for profiles, means in in_tiles(mean, *predicted.shape):
            predicted[profiles] = means.cpu().numpy()
        return predicted


class KNN(Method):
    """k nearest training profiles, by Euclidean distance over landmarks."""

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Keep the training set; choose k on each validation set."""
        training = TrainingSet(train, context)
        k_max = self.params["k_max"]
        models: dict[str, Model] = {}
        for name, validation in validation_sets.items():
            mae = _mae_by_k(training, validation, min(k_max, len(train)), context)
            choice = Choice.of(mae, k_max)
            models[name] = NearestProfiles(training, len(train.target_genes), choice)
        return models


def _told(train: Profiles, progress: Progress) -> Iterator[Matrix]:
    """Training landmarks in blocks; each is told of."""
    done = 0
    for block in train.landmark_blocks():
        done += len(block)
        yield block
        progress(done, len(train), "reading landmarks")


def _mae_by_k(
    training: TrainingSet, validation: Profiles, k_max: int, context: Context
) -> NDArray[np.float64]:
    """MAE over profiles and genes of a validation set, for k = 1 … ``k_max``."""
    errors, start = np.zeros(k_max), 0
    for block in validation.blocks():
        for done, found in _errors_of(training, block, k_max, context):
            errors += found
            context.progress(start + done, len(validation), "choosing k")
        start += len(block.targets)
    return np.asarray(errors / (len(validation) * len(validation.target_genes)))


def _errors_of(
    training: TrainingSet, block: Block, k_max: int, context: Context
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield how many profiles of a block are done, and the absolute errors that they add."""
    truth = torch.tensor(block.targets, device=context.device)
    neighbours = training.nearest(block.landmarks, k_max)

    def errors(profiles: slice) -> NDArray[np.float64]:
        return errors_by_k(*training.targets_of(neighbours[profiles]), truth[profiles])

    for profiles, found in in_tiles(errors, *truth.shape):
        yield min(profiles.stop, len(truth)), found
