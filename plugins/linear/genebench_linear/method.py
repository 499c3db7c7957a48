"""Least squares and ridge from one eigendecomposition of the landmarks' scatter matrix.

With ``XᵀX = V diag(w) Vᵀ`` over centred training profiles, every ridge solution is
``V diag(1 / (w + λ)) Vᵀ XᵀY`` (Wang et al. 2018, Eq. 9). LSR (Eq. 8) is its limit λ → 0 on the
eigenvectors with ``w > 0``. That is the minimum-norm solution where landmarks outnumber profiles.
The bias is never penalised.
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
    """Eigenvalues and eigenvectors of the landmarks' scatter, and the targets' loadings on them.

    Attributes:
        rank: number of positive eigenvalues.
        eigenvalues: the positive eigenvalues w, ascending, float64.
        vectors: V, landmarks × rank.
        loadings: VᵀXᵀY, rank × targets.
        x_mean, y_mean: means of the training profiles.
    """

    def __init__(self, train_moments: Moments, device: str) -> None:
        """Decompose the scatter, and leave out eigenvalues that are zero to rounding."""
        # By "evd", scipy 1.13 refuses a matrix of one number (its issue 20512).
        landmarks = len(train_moments.xx)
        eigenvalues, vectors = eigh(train_moments.xx, driver="evd" if landmarks > 1 else "ev")
        # The usual threshold of a numerical rank: eps × the larger side × the largest value.
        size = max(train_moments.n, landmarks)
        rounding = np.finfo(np.float64).eps * size
        positive = eigenvalues > rounding * max(eigenvalues[-1], 0.0)
        self.rank = int(positive.sum())
        self.eigenvalues, self.vectors, self.loadings, self.x_mean, self.y_mean = (
            torch.from_numpy(np.ascontiguousarray(part)).to(device)
            for part in (
                eigenvalues[positive],
                vectors[:, positive],
                vectors[:, positive].T @ train_moments.xy,
                train_moments.x_mean,
                train_moments.y_mean,
            )
        )

    def solution(self, penalty: float | NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights (landmarks × targets) and bias, in float32.

        Args:
            penalty: λ ≥ 0, for all targets or one per target.
        """
        penalties = torch.as_tensor(penalty, dtype=torch.float64, device=self.loadings.device)
        weights = self.vectors @ (self.loadings / (self.eigenvalues[:, None] + penalties))
        return weights.float(), (self.y_mean - self.x_mean @ weights).float()

    def residuals(
        self, grid: NDArray[np.float64], landmarks: torch.Tensor, targets: torch.Tensor
    ) -> Iterator[torch.Tensor]:
        """Yield predictions less targets, profiles × targets, for each λ of a grid."""
        # The landmarks' coordinates on the eigenvectors serve every λ. There are fewer of them than
        # of loadings, so they are what is divided by w + λ.
        coordinates = ((landmarks - self.x_mean) @ self.vectors).float()
        loadings, offset = self.loadings.float(), self.y_mean.float() - targets
        for penalty in grid.tolist():
            scaled = coordinates / (self.eigenvalues + penalty).float()
            yield torch.addmm(offset, scaled, loadings)


class LSR(LinearMethod):
    """Least squares with an unpenalised bias."""

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Return one model for all validation sets, because there is nothing to choose."""
        train_moments = moments(train, context.progress, device=context.device)
        spectrum = Spectrum(train_moments, context.device)
        landmarks = len(train_moments.xx)
        notes: tuple[str, ...] = ()
        if spectrum.rank < landmarks:
            rank = f"rank {spectrum.rank} of {landmarks} landmarks from {train_moments.n} profiles"
            notes = (f"under-determined ({rank}). This is the minimum-norm solution.",)
        model = Linear(*spectrum.solution(0.0), notes=notes)
        return dict.fromkeys(validation_sets, model)


class LSRL2(LinearMethod):
    """Ridge: the λ with the smallest MAE on the validation set, for all genes or for each."""

    def __init__(
        self, *, lambda_min: float, lambda_max: float, lambdas: int, per_gene: bool
    ) -> None:
        if lambda_min > lambda_max:
            raise UserError(
                f"lsr-l2: lambda_min={lambda_min:g} is above lambda_max={lambda_max:g}. "
                "Lower lambda_min or raise lambda_max."
            )
        self.grid = np.geomspace(lambda_min, lambda_max, lambdas)
        self.per_gene = per_gene

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Decompose once, and evaluate the whole grid in one pass over each validation set."""
        train_moments = moments(train, context.progress, device=context.device)
        spectrum = Spectrum(train_moments, context.device)
        return {
            name: self._choose(spectrum, validation, context)
            for name, validation in validation_sets.items()
        }

    def _choose(self, spectrum: Spectrum, validation: Profiles, context: Context) -> Linear:
        choice = Choice(len(validation.target_genes), per_gene=self.per_gene)
        residuals = partial(spectrum.residuals, self.grid)
        errors = mae(validation, context.device, residuals, len(self.grid), context.progress)
        for penalty, penalty_errors in zip(self.grid.tolist(), errors, strict=True):
            choice.offer(penalty, penalty_errors)
        chosen = choice.penalties if self.per_gene else float(choice.penalties[0])
        return choice.model(*spectrum.solution(chosen), self.grid)
