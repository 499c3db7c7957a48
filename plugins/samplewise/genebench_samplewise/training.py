"""The training profiles: landmarks in memory, targets read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from genebench import Context, Profiles
from genebench_samplewise.loops import Indices, Matrix, Vector, mix, squared_distances

DONORS_PER_READ = 1024
"""Training profiles whose targets are in memory at a time."""


class Mixture(NamedTuple):
    """One profile as a mixture of training profiles.

    Attributes:
        donors: positions of the training profiles with a weight, ascending.
        weights: their weights b.
        constant: the profile's own constant, which is added to all genes.
        gap: the duality gap, relative to ‖x‖².
    """

    donors: Indices
    weights: Vector
    constant: float
    gap: float


class TrainingSet:
    """The training profiles of a model.

    Attributes:
        landmarks: training profiles × landmarks, float32.
        n_targets: number of targets.
    """

    def __init__(
        self, landmarks: Matrix, target_rows: Callable[[Indices], Matrix], n_targets: int
    ) -> None:
        """Keep landmarks, and the function that returns the targets of some positions."""
        self.landmarks = landmarks
        self.n_targets = n_targets
        self.target_rows = target_rows
        squares = np.square(landmarks, dtype=np.float64).sum(1)
        self._squares = squares.astype(np.float32)
        self._largest = float(np.sqrt(squares.max(initial=0)))

    @classmethod
    def read(cls, train: Profiles, context: Context) -> TrainingSet:
        """Read the landmarks of the training profiles."""
        landmarks = np.empty((len(train), len(train.landmark_genes)), np.float32)
        done = 0
        for block in train.landmark_blocks():
            landmarks[done : done + len(block)] = block
            done += len(block)
            context.progress(done, len(train), "reading landmarks")
        return cls(landmarks, train.target_rows, len(train.target_genes))

    def __len__(self) -> int:
        return len(self.landmarks)

    def searches(self, landmarks: Matrix, count: int) -> list[Callable[[], Indices]]:
        """Return a search for the nearest training profiles of each profile.

        The products that all searches need are computed here, by all threads. The searches
        themselves can run in several threads. Each returns positions, ascending.

        Distance is Euclidean over landmarks. Of ties, the one that comes first is nearer.

        Products in float32 decide where their rounding cannot. Distances in float64 decide the
        rest. So the neighbours do not depend on the block, as the rounding does.

        Args:
            landmarks: profiles × landmarks. Memory grows by 4 bytes for each pair of a profile and
                a training profile.
            count: the number of neighbours of a profile. All are near if there are no more.
        """
        if count >= len(self):
            everyone = np.arange(len(self))
            return [lambda: everyone] * len(landmarks)
        block = np.array(landmarks, np.float32)
        scores = self._squares - 2 * (block @ self.landmarks.T)
        return [
            partial(self._nearest, profile, score, count)
            for profile, score in zip(block, scores, strict=True)
        ]

    def _nearest(self, profile: Matrix, score: Matrix, count: int) -> Indices:
        """Return the positions of the nearest training profiles of one profile, ascending.

        Args:
            profile: its landmarks.
            score: ``‖z‖² − 2xᵀz`` for the profile x and each training profile z, float32.
            count: number of neighbours, smaller than that of training profiles.
        """
        # The bound of Higham 2002, Eq. 3.5, for a sum in any order, with room for other roundings.
        size = self._largest * (self._largest + float(np.linalg.norm(profile)))
        rounding = (len(profile) + 2) * float(np.finfo(np.float32).eps) * size
        last = float(np.partition(score, count - 1)[count - 1])
        near = np.flatnonzero(score <= np.float32(last + 2 * rounding))
        doubtful = score[near] >= np.float32(last - 2 * rounding)
        certain, candidates = near[~doubtful], near[doubtful]
        distances = squared_distances(self.landmarks, candidates, profile)
        order = np.argsort(distances, kind="stable")[: count - len(certain)]
        return np.sort(np.concatenate([certain, candidates[order]]))

    def targets_of(self, mixtures: Sequence[Mixture]) -> Vector:
        """Return the targets of mixtures of training profiles: mixtures × targets.

        Terms are added in the order of the training profiles. So a sum does not depend on the
        other mixtures.
        """
        totals = np.zeros((len(mixtures), self.n_targets))
        totals += np.array([[mixture.constant] for mixture in mixtures]).reshape(-1, 1)
        used = np.unique(np.concatenate([[], *(mixture.donors for mixture in mixtures)]))
        used = used.astype(np.intp)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for start in range(0, len(used), DONORS_PER_READ):
                positions = used[start : start + DONORS_PER_READ]
                add = partial(_add, positions, self.target_rows(positions))
                for _ in pool.map(add, mixtures, totals):
                    pass
        return totals


def _add(positions: Indices, rows: Matrix, mixture: Mixture, total: Vector) -> None:
    """Add the donors at some positions, ascending, to the total of a mixture."""
    first, last = np.searchsorted(mixture.donors, (positions[0], positions[-1] + 1))
    places = np.searchsorted(positions, mixture.donors[first:last])
    mix(mixture.weights[first:last], places, rows, total)
