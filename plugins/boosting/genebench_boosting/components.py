"""Principal components of the targets, from passes over blocks of training profiles.

The method is the randomised range finder with power iterations (Halko, Martinsson & Tropp 2011,
Algorithm 4.4). It needs memory for a few hundred vectors over targets, whatever the profiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genebench import Profiles

Matrix = NDArray[np.float64]

SPARE_VECTORS = 10
"""Vectors beyond the components that are asked for. They make the last components accurate."""
POWER_ITERATIONS = 5
"""Passes over the profiles before the last. Components of similar variance need more."""


@dataclass(frozen=True)
class Components:
    """The leading principal components of the targets.

    Attributes:
        mean: mean of each target.
        axes: components × targets, orthonormal, the largest variance first.
        scores: profiles × components: the centred targets of the training profiles on the axes.
        share: share of the targets' variance that the components hold.
    """

    mean: Matrix
    axes: Matrix
    scores: Matrix
    share: float


def principal_components(train: Profiles, components: int, seed: int) -> Components:
    """Return the leading components of the training targets.

    Args:
        train: the training profiles.
        components: number of components. There are at most as many as profiles or targets.
        seed: seed of the first vectors.
    """
    n_targets = len(train.target_genes)
    components = min(components, len(train), n_targets)
    width = min(components + SPARE_VECTORS, len(train), n_targets)
    total, squares = np.zeros(n_targets), 0.0
    for block in train.column_blocks("targets"):
        total += block.sum(0, dtype=np.float64)
        squares += float(np.square(block, dtype=np.float64).sum())
    mean = total / len(train)
    variance = squares - len(train) * float(mean @ mean)
    vectors: Matrix = np.random.default_rng(seed).normal(size=(n_targets, width))
    for _ in range(POWER_ITERATIONS):
        vectors, _ = np.linalg.qr(_scatter_times(train, mean, vectors))
    scatter = vectors.T @ _scatter_times(train, mean, vectors)
    values, rotation = np.linalg.eigh((scatter + scatter.T) / 2)
    leading = np.argsort(values)[::-1][:components]
    axes = np.ascontiguousarray((vectors @ rotation[:, leading]).T)
    scores = np.concatenate([(block - mean) @ axes.T for block in train.column_blocks("targets")])
    held = float(np.square(scores).sum())
    return Components(mean, axes, scores, held / variance if variance > 0 else 1.0)


def _scatter_times(train: Profiles, mean: Matrix, vectors: Matrix) -> Matrix:
    """Return ``(Y − ȳ)ᵀ (Y − ȳ) vectors``, targets × width."""
    product = np.zeros_like(vectors)
    for block in train.column_blocks("targets"):
        centred = block - mean
        product += centred.T @ (centred @ vectors)
    return product
