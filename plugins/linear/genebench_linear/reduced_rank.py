"""Reduced-rank ridge regression (Mukherjee & Zhu 2011): ridge, cut to its leading directions.

With ``XᵀX + λI = V diag(w + λ) Vᵀ``, the ridge solution is ``B = V D⁻¹ L`` with ``D = w + λ`` and
``L = VᵀXᵀY``. The best solution of rank r under the same penalty keeps the r leading singular
directions of ``M = D^(−½) L``. One singular value decomposition gives every rank of one λ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Context, Model, Profiles, UserError
from genebench.moments import moments
from genebench_linear.method import Spectrum
from genebench_linear.model import Linear, LinearMethod
from genebench_linear.path import edge_notes, mae


class RankPath:
    """The ridge solution of one λ as a sum of directions, the strongest first.

    ``ŷ = ȳ + (x − x̄) directions[:, :r] responses[:r]`` is the solution of rank r.

    Attributes:
        directions: landmarks × rank, float64.
        responses: rank × targets, float64.
    """

    def __init__(self, spectrum: Spectrum, scatter: torch.Tensor, penalty: float) -> None:
        """Decompose the solution.

        Args:
            spectrum: spectrum of the training profiles.
            scatter: ``L Lᵀ`` of its loadings, rank × rank. It serves every λ.
            penalty: λ > 0.
        """
        roots = (spectrum.eigenvalues + penalty).rsqrt()
        # M Mᵀ is far smaller than M, and has the same left singular vectors.
        _, left = torch.linalg.eigh(roots[:, None] * scatter * roots)
        left = left.flip(1) * roots[:, None]
        self.directions = spectrum.vectors @ left
        self.responses = left.T @ spectrum.loadings
        self._x_mean, self._y_mean = spectrum.x_mean, spectrum.y_mean

    def residuals(
        self, ranks: list[int], landmarks: torch.Tensor, targets: torch.Tensor
    ) -> Iterator[torch.Tensor]:
        """Yield predictions less targets, profiles × targets, for each of ascending ranks."""
        coordinates = ((landmarks - self._x_mean) @ self.directions).float()
        total, start = self._y_mean.float() - targets, 0
        for rank in ranks:
            added = slice(start, rank)
            total = torch.addmm(total, coordinates[:, added], self.responses[added].float())
            start = rank
            # The caller overwrites what it is given.
            yield total.clone()

    def solution(self, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights (landmarks × targets) and bias of a rank, in float32."""
        weights = self.directions[:, :rank] @ self.responses[:rank]
        return weights.float(), (self._y_mean - self._x_mean @ weights).float()


class _Best:
    """The best λ and rank so far, by MAE on one validation set, and everything that was tried.

    Attributes:
        mae: the smallest MAE so far.
        penalty, rank: its λ and rank.
        model: its weights and bias.
        path: λ, rank and MAE of every candidate.
    """

    def __init__(self) -> None:
        self.mae, self.penalty, self.rank = np.inf, 0.0, 0
        self.model: tuple[torch.Tensor, torch.Tensor] | None = None
        self.path: dict[str, list[float]] = {"lambda": [], "rank": [], "mae": []}

    def offer(
        self, penalty: float, ranks: list[int], errors: NDArray[np.float64], solutions: RankPath
    ) -> None:
        """Compare every rank of a λ with the best so far. Of equals, the first stays."""
        self.path["lambda"] += [penalty] * len(ranks)
        self.path["rank"] += ranks
        self.path["mae"] += errors.tolist()
        best = int(np.argmin(errors))
        if errors[best] < self.mae:
            self.mae, self.penalty, self.rank = float(errors[best]), penalty, ranks[best]
            self.model = solutions.solution(self.rank)


class ReducedRank(LinearMethod):
    """Ridge of a limited rank: λ and rank have the smallest MAE on the validation set."""

    def __init__(self, *, lambda_min: float, lambda_max: float, lambdas: int, ranks: int) -> None:
        if lambda_min > lambda_max:
            raise UserError(
                f"reduced-rank: lambda_min={lambda_min:g} is above lambda_max={lambda_max:g}. "
                "Lower lambda_min or raise lambda_max."
            )
        self.grid = np.geomspace(lambda_min, lambda_max, lambdas)
        self.ranks = ranks

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Decompose once for each λ, and evaluate all ranks in one pass over each set."""
        spectrum = Spectrum(moments(train, context.progress, device=context.device), context.device)
        scatter = spectrum.loadings @ spectrum.loadings.T
        most = min(spectrum.rank, len(train.target_genes))
        # Whole numbers, so that the small ones are all there and none is twice.
        ranks = np.unique(np.geomspace(1, max(most, 1), self.ranks).round().astype(int)).tolist()
        best = {name: _Best() for name in validation_sets}
        for step, penalty in enumerate(self.grid.tolist(), start=1):
            solutions = RankPath(spectrum, scatter, penalty)
            residuals = partial(solutions.residuals, ranks)
            for name, validation in validation_sets.items():
                errors = mae(validation, context.device, residuals, len(ranks)).mean(1)
                best[name].offer(penalty, ranks, errors, solutions)
            context.progress(step, len(self.grid), "choosing λ and rank")
        return {name: self._model(chosen, most) for name, chosen in best.items()}

    def _model(self, best: _Best, most: int) -> Linear:
        assert best.model is not None, "nothing was offered"
        notes = edge_notes(np.array([best.penalty]), self.grid)
        if best.rank == most:
            notes.append(f"rank {most} is the largest, so this is ridge.")
        model = Linear(
            *best.model,
            choices={"lambda": best.penalty, "rank": best.rank},
            notes=tuple(notes),
            curves={"path": best.path},
        )
        landmarks, targets = best.model[0].shape
        # A matrix of rank r has r (p + t − r) free numbers.
        model.n_parameters = best.rank * (landmarks + targets - best.rank) + targets
        return model
