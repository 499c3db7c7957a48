"""The training profiles: landmarks in memory, targets read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from genebench import Context, Profiles
from genebench_samplewise.loops import Indices, Matrix, Vector, mix, squared_distances

QUERIES_PER_BLOCK = 64
"""Profiles that are compared with all training profiles at a time."""
SPARE_CANDIDATES = 64
"""Candidates beyond the neighbours. Distances in float64 then decide, so that the neighbours do not
depend on the rounding of the product in float32, which depends on the block."""
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
        self._squares = np.square(landmarks, dtype=np.float64).sum(1).astype(np.float32)

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

    def nearest(self, landmarks: Matrix, count: int) -> Iterator[Indices]:
        """Yield the positions of the nearest training profiles of each profile, ascending.

        Distance is Euclidean over landmarks. Of ties, the one that comes first is nearer.
        """
        if count >= len(self):
            everyone = np.arange(len(self))
            yield from (everyone for _ in landmarks)
            return
        n_candidates = min(count + SPARE_CANDIDATES, len(self))
        points = torch.from_numpy(self.landmarks)
        for start in range(0, len(landmarks), QUERIES_PER_BLOCK):
            block = np.array(landmarks[start : start + QUERIES_PER_BLOCK], np.float32)
            scores = self._squares - 2 * (torch.from_numpy(block) @ points.T).numpy()
            for profile, score in zip(block, scores, strict=True):
                candidates = np.sort(np.argpartition(score, n_candidates - 1)[:n_candidates])
                distances = squared_distances(self.landmarks, candidates, profile)
                order = np.argsort(distances, kind="stable")[:count]
                yield np.sort(candidates[order])

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
