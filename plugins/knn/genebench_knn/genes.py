"""KNN-GE (Chen et al. 2016): a target gene is the mean of the landmark genes nearest to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Context, Method, Model, Profiles
from genebench.moments import Moments, moments
from genebench.relevance import LINEAR_RULES, Attribution, linear_relevance
from genebench_knn.averages import Choice, errors_by_k, in_tiles, mean_of

Neighbours = NDArray[np.intp]
"""Targets × k: indices of the nearest landmarks, nearest first."""

TIE_TOLERANCE = 1e-9
"""Largest difference of tied distances, relative to the largest distance of the target.

Distances come from moments, which are sums with rounding.
"""


class NearestLandmarks(Model):
    """The mean of each target's k nearest landmarks within the profile itself."""

    relevance_rules = LINEAR_RULES

    def __init__(self, neighbours: Neighbours, device: str, choice: Choice | None = None) -> None:
        self.neighbours = torch.tensor(neighbours, dtype=torch.int64, device=device)
        self.choices = {"k": neighbours.shape[1]}
        if choice:
            self.notes = choice.notes
            self.curves = choice.curves

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return profiles × targets for profiles × landmarks."""
        by_gene = _genes_by_profiles(landmarks, self.neighbours.device)
        predicted = np.empty((len(self.neighbours), len(landmarks)), np.float32)

        def mean(targets: slice) -> torch.Tensor:
            return mean_of(by_gene, self.neighbours[targets])

        for targets, means in in_tiles(mean, *predicted.shape):
            predicted[targets] = means.cpu().numpy()
        return predicted.T

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return the landmarks of each target as ``neighbours``, targets × k."""
        return {"neighbours": self.neighbours.to("cpu", torch.int32).numpy()}

    def relevance(
        self,
        landmarks: NDArray[np.float32],
        weights: NDArray[np.floating[Any]],
        rule: str,  # noqa: ARG002  all rules give the same
    ) -> Attribution:
        """Return the relevance of landmarks for a weighted sum of targets.

        Each of the k landmarks of a target carries the k-th part of its weight.
        """
        neighbours = self.neighbours.cpu().numpy()
        k = neighbours.shape[1]
        slopes = np.zeros(landmarks.shape[1])
        np.add.at(slopes, neighbours, weights[:, None] / k)
        return linear_relevance(landmarks, slopes)


class KNNGE(Method):
    """The k nearest landmark genes, by Euclidean distance over the training profiles."""

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Rank the landmarks of every target once, and choose k on each validation set."""
        train_moments = moments(train, context.progress, device=context.device)
        ranked = nearest_landmarks(train_moments, self.params["k_max"])
        models: dict[str, Model] = {}
        for name, validation in validation_sets.items():
            choice = Choice.of(mae_by_k(ranked, validation, context), self.params["k_max"])
            models[name] = NearestLandmarks(ranked[:, : choice.k], context.device, choice)
        return models

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """Return the model of these neighbours, on the context's device."""
        return NearestLandmarks(tensors["neighbours"], context.device)


def nearest_landmarks(train_moments: Moments, k_max: int) -> Neighbours:
    """Return the landmarks nearest to each target. Of ties, the first in the gene map is first."""
    # Σ (x − y)² = Σx² + Σy² − 2Σxy, and Σy² is the same for all landmarks of a target.
    n, x_mean, y_mean = train_moments.n, train_moments.x_mean, train_moments.y_mean
    x_squares = np.diag(train_moments.xx) + n * x_mean**2
    products = train_moments.xy + n * np.outer(x_mean, y_mean)
    distance = (x_squares[:, None] - 2 * products).T
    return _ranked(distance)[:, :k_max]


def _ranked(distance: NDArray[np.float64]) -> Neighbours:
    """Return the columns of each row by ascending distance, and ties by column."""
    order = np.argsort(distance, axis=1)
    steps = np.diff(np.take_along_axis(distance, order, axis=1), axis=1)
    is_larger = steps > TIE_TOLERANCE * np.abs(distance).max(axis=1, keepdims=True)
    rank = np.zeros_like(order)
    np.cumsum(is_larger, axis=1, out=rank[:, 1:])
    # Sorting rank · n + column as one number orders ties by column.
    n_columns = distance.shape[1]
    return np.asarray(np.sort(rank * n_columns + order, axis=1) % n_columns)


def mae_by_k(ranked: Neighbours, validation: Profiles, context: Context) -> NDArray[np.float64]:
    """Return the MAE over profiles and genes of a validation set, for each k from 1 on."""
    neighbours = torch.tensor(ranked, device=context.device)
    errors, done = np.zeros(ranked.shape[1]), 0
    for block in validation.blocks():
        landmarks, truth = (_genes_by_profiles(part, neighbours.device) for part in block)
        errors += _summed_errors(landmarks, neighbours, truth)
        done += len(block.targets)
        context.progress(done, len(validation), "choosing k")
    return np.asarray(errors / (len(validation) * len(ranked)))


def _summed_errors(
    landmarks: torch.Tensor, neighbours: torch.Tensor, truth: torch.Tensor
) -> NDArray[np.float64]:
    """Return the summed absolute error over a block of genes × profiles, for each k."""

    def errors(targets: slice) -> NDArray[np.float64]:
        return errors_by_k(landmarks, neighbours[targets], truth[targets])

    return np.asarray(sum(tile_errors for _, tile_errors in in_tiles(errors, *truth.shape)))


def _genes_by_profiles(block: NDArray[np.float32], device: torch.device) -> torch.Tensor:
    """Return a block transposed in memory, so that reading a neighbour copies one row."""
    return torch.tensor(block, device=device).T.contiguous()
