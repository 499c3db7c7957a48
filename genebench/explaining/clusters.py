"""K-means clusters of the rows of a matrix."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.errors import UserError

RESTARTS = 10
"""Starts of K-means. The result with the smallest sum of squares is kept."""


def k_means(values: NDArray[np.floating[Any]], clusters: int, seed: int = 0) -> NDArray[np.intp]:
    """Return the cluster of each row, from 0, the largest cluster first.

    No cluster is empty. The starts are those of k-means++ (Arthur & Vassilvitskii 2007).

    Args:
        values: rows × columns.
        clusters: number of clusters.
        seed: seed of the starts.

    Raises:
        UserError: there are fewer different rows than clusters.
    """
    from scipy.cluster.vq import kmeans2  # late: commands without clusters start faster

    rows = np.asarray(values, np.float64)
    different = len(np.unique(rows, axis=0))
    if different < clusters:
        raise UserError(
            f"{clusters} clusters of {different} different rows cannot be made. "
            "Lower the number of clusters, or give more profiles or genes."
        )
    random = np.random.default_rng(seed)
    best: NDArray[np.intp] = np.zeros(len(rows), np.intp)
    smallest = np.inf
    for _ in range(RESTARTS):
        with warnings.catch_warnings():
            # An empty cluster is filled below.
            warnings.simplefilter("ignore", UserWarning)
            centres, nearest = kmeans2(rows, clusters, minit="++", rng=random)
        labels = _filled(rows, centres, nearest.astype(np.intp))
        means = np.stack([rows[labels == cluster].mean(0) for cluster in range(clusters)])
        squares = float(np.square(rows - means[labels]).sum())
        if squares < smallest:
            best, smallest = labels, squares
    order = np.argsort(-np.bincount(best, minlength=clusters), kind="stable")
    return np.argsort(order)[best]


def _filled(
    rows: NDArray[np.float64], centres: NDArray[np.float64], labels: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Give each empty cluster the row farthest from its centre, of those in larger clusters."""
    labels = labels.copy()
    for cluster in np.flatnonzero(np.bincount(labels, minlength=len(centres)) == 0):
        distances = np.square(rows - centres[labels]).sum(1)
        distances[np.bincount(labels, minlength=len(centres))[labels] == 1] = -1
        labels[distances.argmax()] = cluster
    return labels
