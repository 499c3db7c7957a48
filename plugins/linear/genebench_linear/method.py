"""Least squares and ridge from one eigendecomposition of the landmarks' scatter matrix.

With ``XᵀX = V diag(w) Vᵀ`` over centred training profiles, every ridge solution is
``V diag(1 / (w + λ)) VᵀXᵀY``; LSR is its limit λ → 0 on the eigenvectors with ``w > 0``, which
is the minimum-norm solution when landmarks outnumber profiles. The bias is never penalised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from genebench import Context, Method, Model, Profiles, UserError
from genebench.moments import Moments, moments
from genebench.progress import Progress, silent

Array = NDArray[np.float64]


class Linear(Model):
    """``ŷ = (x − x̄) W + ȳ``."""

    def __init__(
        self,
        weights: Array,
        x_mean: Array,
        y_mean: Array,
        choices: Mapping[str, float] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.weights = weights
        self.bias = y_mean - x_mean @ weights
        self.choices = choices or {}
        self.notes = notes

    def predict(self, landmarks: NDArray[np.float32]) -> Array:
        """Profiles × landmarks → profiles × targets."""
        return landmarks.astype(np.float64) @ self.weights + self.bias


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues and eigenvectors of the landmarks' scatter, and the targets seen in them."""

    eigenvalues: Array
    vectors: Array
    """Landmarks × eigenvectors."""
    loadings: Array
    """``VᵀXᵀY``: eigenvectors × targets."""
    moments: Moments

    @classmethod
    def of(cls, found: Moments) -> Spectrum:
        """Decompose, leaving out what is zero to rounding."""
        eigenvalues, vectors = eigh(found.xx)
        rounding = np.finfo(np.float64).eps * max(found.n, len(found.xx))
        real = eigenvalues > rounding * max(eigenvalues[-1], 0.0)
        vectors = vectors[:, real]
        return cls(eigenvalues[real], vectors, vectors.T @ found.xy, found)

    def shrunk(self, vectors: Array, penalty: float) -> Array:
        """Columns of ``vectors`` (one per eigenvector) shrunk by a ridge penalty λ ≥ 0."""
        return vectors / (self.eigenvalues + penalty)

    def model(
        self,
        penalty: float,
        choices: Mapping[str, float] | None = None,
        notes: tuple[str, ...] = (),
    ) -> Linear:
        """The linear model for a penalty."""
        weights = self.shrunk(self.vectors, penalty) @ self.loadings
        return Linear(weights, self.moments.x_mean, self.moments.y_mean, choices, notes)


class LSR(Method):
    """Least squares with an unpenalised bias."""

    def fit(
        self, train: Profiles, selections: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Solve; the selection sets have nothing to choose."""
        spectrum = Spectrum.of(moments(train, context.progress))
        rank, landmarks = len(spectrum.eigenvalues), len(spectrum.vectors)
        notes: tuple[str, ...] = ()
        if rank < landmarks:
            found = f"rank {rank} of {landmarks} landmarks from {spectrum.moments.n} profiles"
            notes = (f"under-determined: {found}; the minimum-norm solution",)
        return dict.fromkeys(selections, spectrum.model(0.0, notes=notes))


class LSRL2(Method):
    """Ridge: the λ with the smallest MAE on the selection profiles, one for all genes."""

    def __init__(self, *, lambda_min: float, lambda_max: float, lambdas: int) -> None:
        if lambda_min > lambda_max:
            raise UserError(f"lsr-l2: lambda_min={lambda_min:g} is above lambda_max={lambda_max:g}")
        self.grid = np.geomspace(lambda_min, lambda_max, lambdas)

    def fit(
        self, train: Profiles, selections: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Decompose once; evaluate the whole path on each selection set."""
        spectrum = Spectrum.of(moments(train, context.progress))
        models: dict[str, Model] = {}
        for name, selection in selections.items():
            errors = path_errors(spectrum, self.grid, selection, context.progress)
            models[name] = _chosen(spectrum, self.grid, errors)
        return models


def path_errors(
    spectrum: Spectrum, grid: Array, selection: Profiles, progress: Progress = silent
) -> Array:
    """MAE over profiles and genes of a selection set, one value for each λ of the grid."""
    total = np.zeros(len(grid))
    for block in selection.blocks():
        projected = (block.landmarks - spectrum.moments.x_mean) @ spectrum.vectors
        residual = block.targets - spectrum.moments.y_mean
        for at, penalty in enumerate(grid):
            predicted = spectrum.shrunk(projected, penalty) @ spectrum.loadings
            total[at] += np.abs(predicted - residual).sum()
            progress(at + 1, len(grid), "choosing λ")
    return total / (len(selection) * len(selection.target_genes))


def _chosen(spectrum: Spectrum, grid: Array, errors: Array) -> Linear:
    at = int(np.argmin(errors))
    penalty = float(grid[at])
    notes: tuple[str, ...] = ()
    if len(grid) > 1 and at in (0, len(grid) - 1):
        bound = "lambda_min" if at == 0 else "lambda_max"
        notes = (f"λ is at the edge of its grid; move {bound}",)
    return spectrum.model(penalty, {"lambda": penalty}, notes)
