"""Kernel ridge for every λ from one factorisation, exact or with Nyström centres.

Predictions are ``ŷ = μ + k(x)ᵀα`` with the kernel values k(x) of a profile and the centres. Both
ways lead to coefficients of one form, ``α = W (S + λ)⁻¹ B``, with a diagonal matrix S:

* Exact: all training profiles are centres. With ``K = U S Uᵀ`` there are ``W = U`` and
  ``B = Uᵀ(Y − μ)``. That serves the choice of λ, in float32 if its accuracy is enough. The chosen
  model is solved for anew, in float64.
* Nyström (Williams & Seeger 2001): with the centres' kernel ``K_mm = L Lᵀ``, each profile has the
  features ``φ(x) = L⁻¹ k(x)``. Ridge on them needs ``ΦᵀΦ = U S Uᵀ`` only. So ``W = L⁻ᵀU`` and
  ``B = UᵀΦᵀ(Y − μ)``.

Each training profile may have a weight dᵢ of its penalty: ``(K + λ D) α = Y − μ``. Exact, this
decomposes ``D^-½ K D^-½ = U S Uᵀ``, with ``W = D^-½ U`` and ``B = Wᵀ(Y − μ)``. Nyström, it is least
squares with weights 1/dᵢ. The mean μ has no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genebench import Profiles, UserError
from genebench_kernel.kernels import Kernel

FITTED_PER_BLOCK = 2048
"""Training profiles whose features are in memory at a time."""
COLUMNS_PER_PANEL = 1024
"""Columns of the features' scatter added at a time. Only its lower triangle is computed."""
JITTER = 1e-10
"""Addition to the diagonal of the centres' kernel, as a share of its mean.

It lets equal centres be decomposed, and is far above the rounding of float64.
"""
ROUNDING = 1e-12
"""Size of an eigenvalue, as a share of the largest, that may be rounding."""
NEGATIVE = 1e-5
"""Size of a negative eigenvalue, as a share of the largest, that no rounding explains."""

Rows = NDArray[np.intp]
Report = Callable[[int], None]
"""Function of the number of training profiles that are done."""


class TrainingSet:
    """Training profiles: landmarks in memory on a device, targets read when needed.

    Attributes:
        landmarks: profiles × landmarks, float32.
        n_targets: number of targets.
    """

    def __init__(self, train: Profiles, device: str) -> None:
        self._train = train
        self.n_targets = len(train.target_genes)
        shape = len(train), len(train.landmark_genes)
        self.landmarks = torch.empty(shape, device=device)
        start = 0
        for block in train.landmark_blocks():
            self.landmarks[start : start + len(block)] = torch.as_tensor(block)
            start += len(block)

    def __len__(self) -> int:
        return len(self.landmarks)

    def at(self, rows: Rows) -> Tensor:
        """Return the landmarks of some profiles, in float64."""
        return self.landmarks[torch.from_numpy(rows).to(self.landmarks.device)].double()

    def blocks(self, rows: Rows, size: int = FITTED_PER_BLOCK) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield landmarks (float64) and targets (float32) of some profiles, block by block."""
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            targets = torch.from_numpy(self._train.target_rows(block))
            yield self.at(block), targets.to(self.landmarks.device)


@dataclass(frozen=True)
class Spectrum:
    """Kernel ridge on some training profiles, for every λ.

    Attributes:
        kernel: the kernel.
        rows: positions of the profiles that it was fitted on.
        weights: d, the factor of λ for each of these profiles, float64.
        centre_rows: positions of the centres.
        centres: their landmarks, centres × landmarks, float64.
        basis: W, centres × rank, float64 or float32.
        values: S, of the same type, as all that follows.
        loadings: B, rank × targets, always float32.
        ones: what B would be for one target that is 1 everywhere.
        leverages: factors of squared coordinates in ``hᵢᵢ dᵢ (S + λ)``.
        mean: μ, one per target, always float64.
        residual: share of the trace of the training kernel that the centres leave out.
        training: the training set, if the coefficients of a λ are solved for anew.
    """

    kernel: Kernel
    rows: Rows
    weights: Tensor
    centre_rows: Rows
    centres: Tensor
    basis: Tensor
    values: Tensor
    loadings: Tensor
    ones: Tensor
    leverages: Tensor
    mean: Tensor
    residual: float
    training: TrainingSet | None = None

    def coordinates(self, landmarks: Tensor) -> Tensor:
        """Return ``k(x)ᵀW`` of some profiles, which serves every λ: profiles × rank."""
        return self.kernel.matrix(landmarks, self.centres).to(self.basis.dtype) @ self.basis

    def predictions(self, coordinates: Tensor, penalty: float) -> Tensor:
        """Return predicted targets, profiles × targets, float32."""
        # There are fewer coordinates than loadings, so they are what is divided.
        scaled = (coordinates / (self.values + penalty)).float()
        return torch.addmm(self.mean.float(), scaled, self.loadings)

    def left_out(
        self, coordinates: Tensor, targets: Tensor, penalty: float, weights: Tensor
    ) -> Tensor:
        """Return the residuals of training profiles, each by a fit without the profile.

        With the hat matrix H and fixed offset c, a fit without profile i has the residual
        ``[(I − H)(Y − c)]ᵢ / (1 − hᵢᵢ)``. The mean without it is ``c = μ − (yᵢ − μ) / (n − 1)``. So
        nothing is fitted again, and the result is exact. Centres and weights stay.

        Args:
            coordinates: those of the profiles.
            targets: those of the profiles, float32.
            penalty: λ.
            weights: d of the profiles.
        """
        hat = coordinates / (self.values + penalty)
        centred = targets - self.mean.float()
        residuals = torch.addmm(centred, hat.float(), self.loadings, alpha=-1)
        of_ones = (1 - hat @ self.ones) / max(len(self.rows) - 1, 1)
        residuals += of_ones.float()[:, None] * centred
        leverages = (hat * coordinates) @ self.leverages / weights
        return residuals / (1 - leverages).float()[:, None]

    def solution(self, penalty: float) -> Callable[[], Tensor]:
        """Return a function that returns α, centres × targets, float64.

        It does not keep the basis in memory.
        """
        if self.training is not None:
            penalties = penalty * self.weights
            return partial(solve, self.training, self.rows, self.kernel, penalties, self.mean)
        alpha = self.basis.new_empty(len(self.basis), self.loadings.shape[1])
        weights = self.basis / (self.values + penalty)
        for columns in _panels(alpha.shape[1]):
            alpha[:, columns] = weights @ self.loadings[:, columns].double()
        return lambda: alpha


def exact(
    training: TrainingSet,
    rows: Rows,
    kernel: Kernel,
    weights: Tensor,
    *,
    report: Report,
    dtype: torch.dtype = torch.float64,
) -> Spectrum:
    """Decompose the kernel matrix of some training profiles, each with a weight of its penalty.

    float32 takes less than half the time, but its rounding is about 1e-7 of the largest eigenvalue.

    Memory: five times the matrix.

    Raises:
        UserError: the kernel is not positive definite.
    """
    centres = training.at(rows)
    roots = weights.sqrt()[:, None]
    values, basis = torch.linalg.eigh(
        kernel.matrix(centres, centres).div_(roots).div_(roots.T).to(dtype)
    )
    if not values[0] >= -NEGATIVE * values[-1]:
        raise not_positive_definite(kernel)
    basis.div_(roots)
    loadings = basis.new_zeros(len(rows), training.n_targets)
    total = centres.new_zeros(training.n_targets)
    done = 0
    for _, targets in training.blocks(rows):
        loadings.addmm_(basis[done : done + len(targets)].T, targets.to(dtype))
        total += targets.sum(0, dtype=torch.float64)
        done += len(targets)
        report(done)
    ones, mean = basis.sum(0), total / len(rows)
    return Spectrum(
        kernel=kernel,
        rows=rows,
        weights=weights,
        centre_rows=rows,
        centres=centres,
        basis=basis,
        values=values.clamp(min=0),
        loadings=loadings.addr_(ones, mean.to(dtype), alpha=-1).float(),
        ones=ones,
        # Coordinates are D^½ U S. A direction without variance has no leverage.
        leverages=torch.where(values > ROUNDING * values[-1], 1 / values, 0.0),
        mean=mean,
        residual=0.0,
        training=training,
    )


def solve(
    training: TrainingSet, rows: Rows, kernel: Kernel, penalties: Tensor, mean: Tensor
) -> Tensor:
    """Return ``(K + λD)⁻¹(Y − μ)`` of some training profiles, profiles × targets, float64."""
    factor = cholesky(kernel, training.at(rows), penalties)
    # LAPACK's order of memory is by columns, and then nothing is copied.
    alpha = factor.new_empty(len(mean), len(rows)).T
    done = 0
    for _, targets in training.blocks(rows):
        alpha[done : done + len(targets)] = targets - mean
        done += len(targets)
    return solved(factor, alpha)


def nystrom(
    training: TrainingSet,
    rows: Rows,
    centre_rows: Rows,
    kernel: Kernel,
    weights: Tensor,
    *,
    report: Report,
) -> Spectrum:
    """Fit some training profiles on the features of some centres, in one pass over the profiles.

    Memory: six times 8 bytes for each pair of centres.

    Raises:
        UserError: the kernel is not positive definite.
    """
    centres = training.at(centre_rows)
    factor = cholesky(kernel, centres, JITTER * float(kernel.diagonal(centres).mean()))
    scatter = torch.zeros_like(factor)
    products = torch.zeros(len(factor), training.n_targets, device=factor.device)
    sums, total = factor.new_zeros(len(factor)), factor.new_zeros(training.n_targets)
    trace, left, done = 0.0, 0.0, 0
    for landmarks, targets in training.blocks(rows):
        features = whitened(factor, kernel.matrix(landmarks, centres))
        roots = weights[done : done + len(targets), None].sqrt()
        diagonal = kernel.diagonal(landmarks)
        trace += float(diagonal.sum())
        left += float((diagonal - features.square().sum(1)).sum())
        total += targets.sum(0, dtype=torch.float64)
        # Products of one block are taken in float32, at twice the speed. Sums over blocks of the
        # scatter are in float64, because λ may be small against it.
        single = features.div_(roots).float()
        sums += features.div_(roots).sum(0)
        for columns in _panels(len(factor)):
            scatter[columns.start :, columns] += single[:, columns.start :].T @ single[:, columns]
        products.addmm_(single.T, targets / roots.float())
        done += len(targets)
        report(done)
    values, vectors = torch.linalg.eigh(scatter)
    del scatter
    ones, mean = vectors.T @ sums, total / len(rows)
    for columns in _panels(products.shape[1]):
        products[:, columns] = (vectors.T @ products[:, columns].double()).float()
    return Spectrum(
        kernel=kernel,
        rows=rows,
        weights=weights,
        centre_rows=centre_rows,
        centres=centres,
        basis=torch.linalg.solve_triangular(factor.T, vectors, upper=True),
        values=values.clamp(min=0),
        loadings=products.addr_(ones.float(), mean.float(), alpha=-1),
        ones=ones,
        leverages=torch.ones_like(ones),
        mean=mean,
        residual=max(left / trace, 0.0),
    )


def cholesky(kernel: Kernel, centres: Tensor, added: float | Tensor) -> Tensor:
    """Return the Cholesky factor of the centres' kernel, with something added to its diagonal.

    Raises:
        UserError: the kernel is not positive definite.
    """
    matrix = kernel.matrix(centres, centres)
    matrix.diagonal().add_(added)
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if failed:
        raise not_positive_definite(kernel)
    return factor


def solved(factor: Tensor, right: Tensor) -> Tensor:
    """Return ``(L Lᵀ)⁻¹ B`` for a Cholesky factor L, in the memory of the right-hand sides B.

    It takes 0.8 to 0.9 of the time of ``torch.cholesky_solve``, which copies the factor.

    Args:
        factor: L.
        right: B, contiguous by columns.
    """
    torch.linalg.solve_triangular(factor, right, upper=False, out=right)
    torch.linalg.solve_triangular(factor.T, right, upper=True, out=right)
    return right


def whitened(factor: Tensor, values: Tensor) -> Tensor:
    """Return the features ``L⁻¹ k(x)`` of kernel values: profiles × centres."""
    features: Tensor = torch.linalg.solve_triangular(factor.T, values, upper=True, left=False)
    return features


def _panels(length: int) -> Iterator[slice]:
    return (
        slice(at, min(at + COLUMNS_PER_PANEL, length)) for at in range(0, length, COLUMNS_PER_PANEL)
    )


def not_positive_definite(kernel: Kernel) -> UserError:
    """Return the mistake of a kernel that has no Cholesky factor, or negative eigenvalues."""
    return UserError(
        f"kernel-ridge: the {kernel.name} kernel is not positive definite on the training "
        "profiles. Raise lambda_min, lower linear_weight, or choose another kernel."
    )
