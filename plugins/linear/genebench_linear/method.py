"""Least squares and ridge from one eigendecomposition of the landmarks' scatter matrix.

With ``XᵀX = V diag(w) Vᵀ`` over centred training profiles, every ridge solution is
``V diag(1 / (w + λ)) VᵀXᵀY``; LSR is its limit λ → 0 on the eigenvectors with ``w > 0``, which
is the minimum-norm solution when landmarks outnumber profiles. The bias is never penalised.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.linalg import eigh

from genebench import Context, Model, Profiles, UserError
from genebench.moments import Moments, moments
from genebench_linear.model import Linear, LinearMethod, bias_of
from genebench_linear.path import Choice


class Spectrum:
    """Eigenvalues and eigenvectors of the landmarks' scatter, and the targets seen in them."""

    def __init__(self, found: Moments, device: str) -> None:
        """Decompose, leaving out what is zero to rounding."""
        eigenvalues, vectors = eigh(found.xx)
        rounding = np.finfo(np.float64).eps * max(found.n, len(found.xx))
        real = eigenvalues > rounding * max(eigenvalues[-1], 0.0)
        self.rank = int(real.sum())
        self._eigenvalues, self._vectors, self._loadings = (
            torch.from_numpy(np.ascontiguousarray(part)).to(device)
            for part in (eigenvalues[real], vectors[:, real], vectors[:, real].T @ found.xy)
        )

    def weights(self, penalty: float) -> torch.Tensor:
        """Landmarks × targets for a ridge penalty λ ≥ 0, float64."""
        return self._vectors @ (self._loadings / (self._eigenvalues[:, None] + penalty))


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
        weights = spectrum.weights(0.0)
        model = Linear(weights.float(), bias_of(weights, found).float(), notes=notes)
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
            name: Choice(selection, context.device, per_gene=self.per_gene)
            for name, selection in selections.items()
        }
        for at, penalty in enumerate(self.grid, start=1):
            weights = spectrum.weights(float(penalty))
            for choice in choices.values():
                choice.offer(float(penalty), weights, bias_of(weights, found))
            context.progress(at, len(self.grid), "choosing λ")
        return {name: choice.model(self.grid) for name, choice in choices.items()}
