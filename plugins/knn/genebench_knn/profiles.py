"""KNN (Wang et al. 2018, §4.1.2): a profile is the mean of the training profiles nearest to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from genebench import Context, Method, Model, Profiles
from genebench_knn.averages import Choice, errors_by_k, in_tiles, mean_of
from genebench_knn.search import ExactSearch, Matrix


class TrainingSet:
    """The training profiles: landmarks in memory for the search, targets read when needed."""

    def __init__(self, train: Profiles, context: Context) -> None:
        self._train = train

        def landmark_blocks() -> Iterator[Matrix]:
            done = 0
            for block in train.landmark_blocks():
                done += len(block)
                yield block
                context.progress(done, len(train), "reading landmarks")

        shape = len(train), len(train.landmark_genes)
        self._search = ExactSearch(landmark_blocks(), shape, context.device)

    def nearest(self, landmarks: Matrix, k: int) -> torch.Tensor:
        """Return indices of the nearest training profiles, nearest first: profiles × min(k, n).

        Distance is Euclidean over landmarks. Of ties, the profile that comes first in the data is
        nearer.
        """
        return self._search.nearest(landmarks, k)

    def targets_of(self, neighbours: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the targets that the averages of some profiles need.

        Args:
            neighbours: indices of training profiles, profiles × k.

        Returns:
            Targets of the training profiles that occur, rows × targets. And the neighbours as
            indices of these rows, profiles × k.
        """
        nearest = neighbours.cpu().numpy()
        # A training profile that is a neighbour of several profiles is read once.
        indices, places = np.unique(nearest, return_inverse=True)
        rows = self._train.target_rows(indices)
        return (
            torch.as_tensor(rows, device=neighbours.device),
            torch.tensor(places.reshape(nearest.shape), device=neighbours.device),
        )


class NearestProfiles(Model):
    """The mean of the targets of the k nearest training profiles.

    It cannot be saved apart from the data, because it consists of the training set itself.
    """

    def __init__(self, training: TrainingSet, n_targets: int, choice: Choice) -> None:
        self.training = training
        self.n_targets = n_targets
        self.k = choice.k
        self.choices = {"k": choice.k}
        self.notes = choice.notes
        self.curves = choice.curves

    def predict(self, landmarks: Matrix) -> Matrix:
        """Return profiles × targets for profiles × landmarks."""
        predicted = np.empty((len(landmarks), self.n_targets), np.float32)
        neighbours = self.training.nearest(landmarks, self.k)

        def mean(profiles: slice) -> torch.Tensor:
            return mean_of(*self.training.targets_of(neighbours[profiles]))

        for profiles, means in in_tiles(mean, *predicted.shape):
            predicted[profiles] = means.cpu().numpy()
        return predicted

    def donors(self, landmarks: Matrix, training: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the training profiles that predictions are the mean of.

        Args:
            landmarks: profiles × landmarks, standardised.
            training: table of the training profiles. Its columns are added, and its index as
                ``id``.

        Returns:
            One row for each neighbour of each profile, nearest first. ``profile`` is the row of the
            profile in ``landmarks``, and ``donor`` the position of the training profile. ``weight``
            and ``share`` are 1 / k.
        """
        nearest = self.training.nearest(landmarks, self.k).cpu().numpy()
        count = nearest.shape[1]
        table = pd.DataFrame(
            {
                "profile": np.repeat(np.arange(len(nearest)), count),
                "donor": nearest.ravel(),
                "weight": 1 / count,
                "share": 1 / count,
            }
        )
        if training is None:
            return table
        about = training.iloc[table["donor"]].rename_axis("id").reset_index()
        return pd.concat([table, about], axis=1)


class KNN(Method):
    """The k nearest training profiles, by Euclidean distance over landmarks."""

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Keep the training set, and choose k on each validation set."""
        training = TrainingSet(train, context)
        k_max = self.params["k_max"]
        models: dict[str, Model] = {}
        for name, validation in validation_sets.items():
            mae = _mae_by_k(training, validation, min(k_max, len(train)), context)
            choice = Choice.of(mae, k_max)
            models[name] = NearestProfiles(training, len(train.target_genes), choice)
        return models


def _mae_by_k(
    training: TrainingSet, validation: Profiles, k_max: int, context: Context
) -> NDArray[np.float64]:
    """Return the MAE over profiles and genes of a validation set, for k = 1 … ``k_max``."""
    errors, start = np.zeros(k_max), 0
    for landmarks, targets in validation.blocks():
        for done, tile_errors in _errors_of(training, landmarks, targets, k_max, context.device):
            errors += tile_errors
            context.progress(start + done, len(validation), "choosing k")
        start += len(targets)
    return np.asarray(errors / (len(validation) * len(validation.target_genes)))


def _errors_of(
    training: TrainingSet, landmarks: Matrix, targets: Matrix, k_max: int, device: str
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield how many profiles of a block are done, and the absolute errors that they add."""
    truth = torch.tensor(targets, device=device)
    neighbours = training.nearest(landmarks, k_max)

    def errors(profiles: slice) -> NDArray[np.float64]:
        return errors_by_k(*training.targets_of(neighbours[profiles]), truth[profiles])

    for profiles, tile_errors in in_tiles(errors, *truth.shape):
        yield min(profiles.stop, len(truth)), tile_errors
