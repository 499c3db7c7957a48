"""Penalty weights of training profiles, from the errors of a preliminary fit without each."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genebench.progress import Progress
from genebench_kernel.spectrum import Spectrum, TrainingSet

PRELIMINARY_WIDTH = 1.0
"""Width of the preliminary fit, in units of the median squared distance."""
PRELIMINARY_PENALTY = 2.0**-5
"""λ of the preliminary fit, in units of the kernel's mean diagonal."""
SMALLEST_ERROR, LARGEST_ERROR = 0.2, 10.0
"""Bounds of a profile's error over the median error, so that no profile rules a fit or is lost."""
WEIGHTED_PER_BLOCK = 512
"""Training profiles left out at a time."""


def penalty_weights(
    spectrum: Spectrum, training: TrainingSet, penalty: float, exponent: float, progress: Progress
) -> Tensor:
    """Return the factor of λ for each training profile of a preliminary fit, float64.

    A profile's error r is the mean absolute error of all targets, by a fit without the profile. It
    is divided by the median over profiles. The factor is ``r^exponent``. So profiles that the
    others predict badly count less. This is one step of iteratively reweighted least squares
    (Holland & Welsch 1977), with weights of profiles in place of weights of values.
    """
    errors, done = [], 0
    for landmarks, targets in training.blocks(spectrum.rows, WEIGHTED_PER_BLOCK):
        own = spectrum.weights[done : done + len(targets)]
        residuals = spectrum.left_out(spectrum.coordinates(landmarks), targets, penalty, own)
        errors.append(residuals.abs_().mean(1, dtype=torch.float64))
        done += len(targets)
        progress(done, len(spectrum.rows), "weighting profiles")
    error = torch.cat(errors)
    median = float(np.median(error.cpu().numpy()))
    if median == 0:
        return torch.ones_like(error)
    return error.div_(median).clamp_(SMALLEST_ERROR, LARGEST_ERROR).pow_(exponent)
