"""Least squares and ridge from one eigendecomposition of the landmarks' scatter matrix.

With ``XᵀX = V diag(w) Vᵀ`` over centred training profiles, every ridge solution is
``V diag(1 / (w + λ)) VᵀXᵀY``; LSR is its limit λ → 0 on the eigenvectors with ``w > 0``, which
is the minimum-norm solution when landmarks outnumber profiles. The bias is never penalised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh

from genebench import Context, Model, Profiles, UserError
from genebench.moments import Moments, moments
from genebench_linear.model import Linear, LinearMethod
from genebench_linear.path import Choice, mae


class Spectrum:
    """Eigenvalues and eigenvectors of the landmarks' scatter, and the targets seen in them."""

    def __init__(self, found: Moments, device: str) -> None:
        """Decompose, leaving out what is zero to rounding."""
        eigenvalues, vectors = eigh(found.xx, driver="evd")
        rounding = np.finfo(np.float64).eps * max(found.n, len(found.xx))
        real = eigenvalues > rounding * max(eigenvalues[-1], 0.0)
        self.rank = int(real.sum())
        self._eigenvalues, self._vectors, self._loadings, self._x_mean, self._y_mean = (
            torch.from_numpy(np.ascontiguousarray(part)).to(device)
            for part in (
                eigenvalues[real],
                vectors[:, real],
                vectors[:, real].T @ found.xy,
                found.x_mean,
                found.y_mean,
            )
        )

    def solution(self, penalty: float | NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (landmarks × targets) and bias for a ridge penalty λ ≥ 0, or one per target."""
        penalties = torch.as_tensor(penalty, dtype=torch.float64, device=self._loadings.device)
        weights = self._vectors @ (self._loadings / (self._eigenvalues[:, None] + penalties))
        return weights.float(), (self._y_mean - self._x_mean @ weights).float()

    def misses(
        self, grid: NDArray[np.float64], landmarks: torch.Tensor, targets: torch.Tensor
    ) -> Iterator[torch.Tensor]:
        """Predictions less targets, profiles × targets, for each λ of a grid.

        What is seen of the landmarks in the eigenvectors serves all λ, and it is smaller than the
        loadings: so it is what is divided by ``w + λ``.
        """
        seen = ((landmarks - self._x_mean) @ self._vectors).float()
        loadings, beside = self._loadings.float(), self._y_mean.float() - targets
        for penalty in grid.tolist():
            yield torch.addmm(beside, seen / (self._eigenvalues + penalty).float(), loadings)


class LSR(LinearMethod):
    """Least squares with an unpenalised bias."""

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Solve; the validation sets have nothing to choose."""
        found = moments(train, context.progress, device=context.device)
        spectrum = Spectrum(found, context.device)
        landmarks = len(found.xx)
        notes: tuple[str, ...] = ()
        if spectrum.rank < landmarks:
            rank = f"rank {spectrum.rank} of {landmarks} landmarks from {found.n} profiles"
            notes = (f"under-determined: {rank}; the minimum-norm solution",)
        model = Linear(*spectrum.solution(0.0), notes=notes)
        return dict.fromkeys(validation_sets, model)


class LSRL2(LinearMethod):
    """Ridge: the λ with the smallest MAE on the validation profiles, for all genes or for each."""

    def __init__(
        self, *, lambda_min: float, lambda_max: float, lambdas: int, per_gene: bool
    ) -> None:
        if lambda_min > lambda_max:
            raise UserError(f"lsr-l2: lambda_min={lambda_min:g} is above lambda_max={lambda_max:g}")
        self.grid = np.geomspace(lambda_min, lambda_max, lambdas)
        self.per_gene = per_gene

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Decompose once; judge the whole path in one pass over each validation set."""
        found = moments(train, context.progress, device=context.device)
        spectrum = Spectrum(found, context.device)
        return {
            name: self._chosen(spectrum, validation, context)
            for name, validation in validation_sets.items()
        }

    def _chosen(self, spectrum: Spectrum, validation: Profiles, context: Context) -> Linear:
        """The model that a validation set chooses."""
        choice = Choice(len(validation.target_genes), per_gene=self.per_gene)
        misses = partial(spectrum.misses, self.grid)
        errors = mae(validation, context.device, misses, len(self.grid), context.progress)
        for penalty, of_penalty in zip(self.grid.tolist(), errors, strict=True):
            choice.offer(penalty, of_penalty)
        one = choice.penalties if self.per_gene else float(choice.penalties[0])
        return choice.model(*spectrum.solution(one), self.grid)
