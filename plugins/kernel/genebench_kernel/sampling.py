"""Centres of the Nyström approximation, drawn from the training profiles."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from genebench_kernel.kernels import Kernel
from genebench_kernel.spectrum import FITTED_PER_BLOCK, Rows, TrainingSet, cholesky, whitened

PILOT = 2_000
"""Largest number of profiles in the pilot sample that leverage scores are estimated from."""


def draw_centres(
    training: TrainingSet,
    rows: Rows,
    number: int,
    random: np.random.Generator,
    leverage: tuple[Kernel, float] | None = None,
) -> Rows:
    """Return the positions of centres, drawn from some training profiles without replacement.

    Args:
        training: the training set.
        rows: positions of the profiles to draw from.
        number: number of centres.
        random: source of random numbers.
        leverage: kernel and λ of the leverage scores that chances are proportional to. None means
            that all chances are equal.
    """
    chances = None
    if leverage:
        pilot = np.sort(random.choice(rows, min(len(rows), PILOT, number), replace=False))
        scores = leverage_scores(training, rows, pilot, *leverage)
        chances = scores / scores.sum()
    return np.sort(random.choice(rows, number, replace=False, p=chances))


def leverage_scores(
    training: TrainingSet, rows: Rows, pilot: Rows, kernel: Kernel, penalty: float
) -> NDArray[np.float64]:
    """Return approximate ridge leverage scores ``[K (K + λ)⁻¹]ᵢᵢ`` of some training profiles.

    The sum over all profiles is estimated from a uniform pilot sample S of s profiles of n, as in
    one step of Musco & Musco (2017, lemma 6):
    ``(kᵢᵢ − kᵢₛ (Kₛₛ + λ s / n)⁻¹ kₛᵢ) / λ``, and at most 1.
    """
    points = training.at(pilot)
    factor = cholesky(kernel, points, penalty * len(pilot) / len(rows))
    scores = []
    for start in range(0, len(rows), FITTED_PER_BLOCK):
        landmarks = training.at(rows[start : start + FITTED_PER_BLOCK])
        features = whitened(factor, kernel.matrix(landmarks, points))
        left = kernel.diagonal(landmarks) - features.square().sum(1)
        # A score of 0 would make it impossible to draw enough centres.
        scores.append((left / penalty).clamp(1e-12, 1))
    return np.asarray(torch.cat(scores).cpu().numpy())
