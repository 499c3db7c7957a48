"""Kernel ridge with one Cholesky factor for each λ, which is cheaper than a spectrum of a few λ.

A spectrum costs about as much as forty Cholesky factors, and then each λ is almost free. A factor
serves the validation set as ``W = K_v (K + λD)⁻¹`` and ``ŷ = μ + W (Y − μ)``. Its right-hand sides
are validation profiles, which are fewer than targets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from genebench_kernel.kernels import Kernel
from genebench_kernel.spectrum import (
    Report,
    Rows,
    TrainingSet,
    not_positive_definite,
    solve,
    solved,
)

SPECTRUM_COST = 13.0
"""Floating-point operations of a symmetric eigendecomposition with vectors, as multiples of n³.

Measured for n from 1,000 to 5,000, in units of the operations that matrix products do meanwhile.
"""


VALIDATION_SHARE = 1 / 8
"""Validation profiles that are expected for each training profile, as in the published split.

Their true number must not decide: a fit has the same result, whatever other protocols it serves.
"""


def prefers_factors(profiles: int, targets: int, penalties: int) -> bool:
    """Return whether a factor for each λ takes fewer operations than one spectrum for all.

    Products of validation profiles with targets are left out, because both ways need them.

    Args:
        profiles: number of training profiles.
        targets: number of targets.
        penalties: number of λ.
    """
    return penalties * (1 / 3 + 2 * VALIDATION_SHARE) < SPECTRUM_COST + 2 * targets / profiles


class Factors:
    """Kernel ridge on some training profiles, factorised anew for each λ.

    It is used like a :class:`genebench_kernel.spectrum.Spectrum`. One factor is kept at a time, so
    all profiles should be predicted for one λ before the next.

    Attributes:
        kernel: the kernel.
        centre_rows: positions of the training profiles, which are the centres.
        centres: their landmarks, centres × landmarks, float64.
        mean: mean of each target, float64.
        residual: 0, because nothing is approximated.
    """

    residual = 0.0

    def __init__(
        self,
        training: TrainingSet,
        rows: Rows,
        kernel: Kernel,
        weights: Tensor,
        *,
        report: Report,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        """Compute the kernel matrix of some training profiles.

        Args:
            training: the training set.
            rows: positions of the profiles to fit.
            kernel: the kernel.
            weights: the factor of λ for each of them, float64.
            report: function of the number of profiles that are done.
            dtype: type of the factors. Where float32 has too few digits for a λ, float64 follows.
        """
        self.kernel = kernel
        self.centre_rows = rows
        self.centres = training.at(rows)
        self._training = training
        self._weights = weights
        self._matrix = kernel.matrix(self.centres, self.centres).to(dtype)
        blocks = []
        for _, targets in training.blocks(rows):
            blocks.append(targets)
            report(sum(map(len, blocks)))
        self._targets = torch.cat(blocks)
        self.mean = self._targets.sum(0, dtype=torch.float64) / len(rows)
        self._targets.sub_(self.mean.float())
        self._penalty: float | None = None
        self._factor = self._matrix

    def coordinates(self, landmarks: Tensor) -> Tensor:
        """Return the kernel values of some profiles and the centres, of the factors' type."""
        return self.kernel.matrix(landmarks, self.centres).to(self._matrix.dtype)

    def predictions(self, coordinates: Tensor, penalty: float) -> Tensor:
        """Return predicted targets, profiles × targets, float32.

        Raises:
            UserError: the kernel is not positive definite.
        """
        if penalty != self._penalty:
            self._factor, self._penalty = self._factorised(penalty), penalty
        weights = solved(self._factor, coordinates.to(self._factor.dtype, copy=True).T).T
        return torch.addmm(self.mean.float(), weights.float(), self._targets)

    def _factorised(self, penalty: float) -> Tensor:
        self._factor = self._matrix
        for dtype in (self._matrix.dtype, torch.float64):
            matrix = self._matrix.to(dtype, copy=True)
            matrix.diagonal().add_(penalty * self._weights)
            factor: Tensor
            factor, failed = torch.linalg.cholesky_ex(matrix)
            if not failed:
                return factor
        raise not_positive_definite(self.kernel)

    def solution(self, penalty: float) -> Callable[[], Tensor]:
        """Return a function that returns coefficients, centres × targets, float64."""
        return partial(
            solve,
            self._training,
            self.centre_rows,
            self.kernel,
            penalty * self._weights,
            self.mean,
        )
