"""Least squares and ridge from one eigendecomposition of the landmarks' scatter matrix.

With ``XᵀX = V diag(w) Vᵀ`` over centred training profiles, every ridge solution is
``V diag(1 / (w + λ)) VᵀXᵀY``; LSR is its limit λ → 0 on the eigenvectors with ``w > 0``, which
is the minimum-norm solution when landmarks outnumber profiles. The bias is never penalised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh

from genebench import Context, Model, Profiles, UserError
from genebench.moments import Moments, moments
from genebench_linear.model import Linear, LinearMethod
from genebench_linear.path import Choice


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

    def seen(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Landmarks in the eigenvectors: profiles × rank, float32."""
        return ((landmarks - self._x_mean) @ self._vectors).float()

    def path(self, grid: NDArray[np.float64]) -> Iterator[tuple[float, torch.Tensor, torch.Tensor]]:
        """Each λ with weights and bias for what is :meth:`seen`: a product with V is saved."""
        loadings, bias = self._loadings.float(), self._y_mean.float()
        for penalty in grid.tolist():
            yield penalty, loadings / (self._eigenvalues[:, None] + penalty).float(), bias


class LSR(LinearMethod):
    """Least squares with an unpenalised bias."""

    def fit(
        self, train: Profiles, selections: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Solve; the selection sets have nothing to choose."""
        found = moments(train, context.progress, device=context.device)
        spectrum = Spectrum(found, context.device)
        landmarks = len(found.xx)
        notes: tuple[str, ...] = ()
        if spectrum.rank < landmarks:
            rank = f"rank {spectrum.rank} of {landmarks} landmarks from {found.n} profiles"
            notes = (f"under-determined: {rank}; the minimum-norm solution",)
        model = Linear(*spectrum.solution(0.0), notes=notes)
        return dict.fromkeys(selections, model)


class LSRL2(LinearMethod):
    """Ridge: the λ with the smallest MAE on the selection profiles, for all genes or for each."""

    def __init__(
        self, *, lambda_min: float, lambda_max: float, lambdas: int, per_gene: bool
    ) -> None:
        if lambda_min > lambda_max:
            raise UserError(f"lsr-l2: lambda_min={lambda_min:g} is above lambda_max={lambda_max:g}")
        self.grid = np.geomspace(lambda_min, lambda_max, lambdas)
        self.per_gene = per_gene

    def fit(
        self, train: Profiles, selections: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Decompose once; offer the whole path to each selection set."""
        found = moments(train, context.progress, device=context.device)
        spectrum = Spectrum(found, context.device)
        choices = {
            name: Choice(selection, context.device, per_gene=self.per_gene, seen=spectrum.seen)
            for name, selection in selections.items()
        }
        for at, model in enumerate(spectrum.path(self.grid), start=1):
            for choice in choices.values():
                choice.offer(*model)
            context.progress(at, len(self.grid), "choosing λ")
        return {name: self._model(choice, spectrum) for name, choice in choices.items()}

    def _model(self, choice: Choice, spectrum: Spectrum) -> Linear:
        """The chosen model, as weights of landmarks."""
        chosen = choice.model(self.grid)
        one = choice.penalties if self.per_gene else float(choice.penalties[0])
        chosen.weights, chosen.bias = spectrum.solution(one)
        return chosen
