"""The level of expression that a model was fitted on, to check new profiles and normalise them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from genebench.data.profiles import Profiles

_MOST_PROFILES = 2000
"""Training profiles that the quantiles are taken over. Normalised profiles hardly differ."""
_FAR = 3.0
"""A profile is far from the training profiles beyond this multiple of their largest distance."""
_LEAST_DISTANCE = 0.05
"""log2 units below which no distance counts, because normalised profiles may have none."""
_LANDMARKS, _GENES, _DISTANCE = (
    f"standardiser.{name}" for name in ("landmark_quantiles", "quantiles", "largest_distance")
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of the training profiles.

    Attributes:
        landmarks: mean over training profiles of their sorted landmark values, ascending.
        genes: the same for landmarks and targets together.
        largest_distance: largest distance of a training profile: see :meth:`distances`.
    """

    landmarks: Floats
    genes: Floats
    largest_distance: float

    @classmethod
    def of(cls, train: Profiles) -> Quantiles:
        """Return the quantiles of training profiles, of at most 2,000 at equal steps."""
        n_landmarks, step = len(train.landmark_genes), -(-len(train) // _MOST_PROFILES)
        landmarks, genes, start = [], [], 0
        for block in train.expression_blocks():
            rows = block[-start % step :: step]
            landmarks.append(np.sort(rows[:, :n_landmarks], axis=1))
            genes.append(np.sort(rows, axis=1).sum(axis=0, dtype=np.float64))
            start += len(block)
        ordered = np.concatenate(landmarks).astype(np.float64)
        reference = ordered.mean(axis=0)
        return cls(
            landmarks=reference,
            genes=np.sum(genes, axis=0) / len(ordered),
            largest_distance=float(np.abs(ordered - reference).mean(axis=1).max()),
        )

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], n_landmarks: int, n_genes: int
    ) -> Quantiles | None:
        """Return the quantiles in a saved model. Models of earlier versions have none.

        Raises:
            ValueError: they are not finite, not ascending or of a wrong number.
        """
        if _GENES not in tensors:
            return None
        lengths = {_LANDMARKS: n_landmarks, _GENES: n_genes, _DISTANCE: 1}
        for name, length in lengths.items():
            values = tensors.get(name, np.empty(0))
            finite = values.shape == (length,) and np.isfinite(values).all()
            if not finite or (np.diff(values) < 0).any():
                raise ValueError(f"{name} is not {length} ascending numbers")
        return cls(
            tensors[_LANDMARKS].astype(np.float64), tensors[_GENES].astype(np.float64),
            float(tensors[_DISTANCE][0]),
        )  # fmt: skip

    def tensors(self) -> dict[str, NDArray[np.float64]]:
        """Return the quantiles by name, for a saved model."""
        return {
            _LANDMARKS: self.landmarks,
            _GENES: self.genes,
            _DISTANCE: np.array([self.largest_distance]),
        }

    def distances(self, landmarks: NDArray[np.floating]) -> Floats:
        """Return the distance of each profile from the quantiles of the landmarks.

        Args:
            landmarks: expression, profiles × landmarks, or × some of the landmarks.

        Returns:
            Mean absolute difference of its sorted values and the quantiles, in log2 units.
        """
        reference = _stretched(self.landmarks, landmarks.shape[1])
        distances: Floats = np.abs(np.sort(landmarks, axis=1) - reference).mean(axis=1)
        return distances

    def remark(self, landmarks: NDArray[np.floating]) -> str:
        """Return a sentence if most profiles are far from the training profiles, or nothing."""
        distance = float(np.median(self.distances(landmarks)))
        if distance <= max(_FAR * self.largest_distance, _LEAST_DISTANCE):
            return ""
        return (
            f"the landmarks are not on the level of the training profiles: their quantiles differ "
            f"by {distance:.2f} log2 units (median profile), those of the training profiles by at "
            f"most {self.largest_distance:.2f}. Add --normalise, or normalise them as the training "
            "set."
        )

    def normalise(self, expression: NDArray[np.float64], *, all_genes: bool) -> Floats:
        """Return profiles with the quantiles of the training set: a value takes that of its rank.

        Args:
            expression: profiles × genes, finite, on any monotone scale.
            all_genes: whether the genes are landmarks and targets, not landmarks alone.
        """
        # Late: it compiles loops, and only new profiles are normalised.
        from genebench.preprocessing.ranks import express, quantile_ranks

        reference = _stretched(self.genes if all_genes else self.landmarks, expression.shape[1])
        ranks, _ = quantile_ranks(np.ascontiguousarray(expression))
        return express(ranks, reference).astype(np.float64)


def _stretched(quantiles: Floats, number: int) -> Floats:
    """Return quantiles for another number of genes, where some are missing."""
    if number == len(quantiles):
        return quantiles
    places = np.linspace(0, len(quantiles) - 1, number)
    return np.interp(places, np.arange(len(quantiles)), quantiles)
