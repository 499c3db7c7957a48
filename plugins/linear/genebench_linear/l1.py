"""LSR-L1 (Wang et al. 2018, Eq. 10): the lasso, with λ chosen on the validation set."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Context, Model, Profiles
from genebench.moments import Moments, moments
from genebench_linear.lasso import Lasso
from genebench_linear.model import Linear, LinearMethod, bias_of
from genebench_linear.path import Choice, mae

Gaps = dict[float, NDArray[np.float64]]
"""λ → relative duality gap of each target."""


class _BestModel:
    """The best model of the path so far, by MAE on one validation set.

    Each λ reads the set again. Solving for a λ takes far longer, and so a set of any size fits in
    memory.
    """

    def __init__(self, validation: Profiles, device: str, choice: Choice) -> None:
        self._validation, self._device, self.choice = validation, device, choice
        self._best: tuple[torch.Tensor, torch.Tensor] | None = None

    def offer(
        self, penalty: float, weights: torch.Tensor, bias: torch.Tensor, **columns: float
    ) -> None:
        """Compare the model of a penalty with the best so far, unless the choice is over."""
        if self.choice.over:
            return

        def residuals(landmarks: torch.Tensor, targets: torch.Tensor) -> Iterator[torch.Tensor]:
            yield torch.addmm(bias, landmarks, weights).sub_(targets)

        errors = mae(self._validation, self._device, residuals)[0]
        better = self.choice.offer(penalty, errors, **columns)
        if better.all() or self._best is None:
            self._best = weights, bias
        elif better.any():
            improved = torch.from_numpy(better).to(weights.device)
            self._best = (
                torch.where(improved, weights, self._best[0]),
                torch.where(improved, bias, self._best[1]),
            )

    def model(self, grid: NDArray[np.float64]) -> Linear:
        """Return the best model. ``grid`` holds the two ends of the path."""
        assert self._best is not None, "nothing was offered"
        return self.choice.model(*self._best, grid)


class LSRL1(LinearMethod):
    """Lasso: the λ with the smallest MAE on the validation set, for all genes or for each."""

    def __init__(
        self,
        *,
        lambdas: int,
        lambda_min: float,
        patience: int,
        gap: float,
        iterations: int,
        per_gene: bool,
    ) -> None:
        self.lambdas = lambdas
        self.lambda_min = lambda_min
        self.patience = patience
        self.gap = gap
        self.iterations = iterations
        self.per_gene = per_gene

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Solve the path once, and choose one of its models on each validation set."""
        train_moments = moments(train, context.progress, device=context.device)
        best_models = {}
        for name, validation in validation_sets.items():
            n_targets = len(validation.target_genes)
            choice = Choice(n_targets, per_gene=self.per_gene, patience=self.patience)
            best_models[name] = _BestModel(validation, context.device, choice)
        gaps = self._solve_path(train_moments, best_models.values(), context)
        # No λ above the first can be better: there, all weights are zero already. So the upper end
        # is infinite, and only a choice at the lower end gets a note.
        grid = np.array([min(gaps), np.inf])
        return {name: self._with_gaps(best.model(grid), gaps) for name, best in best_models.items()}

    def _solve_path(
        self, train_moments: Moments, best_models: Collection[_BestModel], context: Context
    ) -> Gaps:
        """Solve for one λ after another, and offer each model to every validation set."""
        lasso = Lasso(train_moments, context.device, gap=self.gap, iterations=self.iterations)
        solution, gaps = lasso.zero(), Gaps()
        path = (lasso.penalty_max or 1.0) * np.geomspace(1, self.lambda_min, self.lambdas)
        for step, penalty in enumerate(path.tolist(), start=1):
            solution = lasso.solve(penalty, solution)
            bias = bias_of(solution.weights.double(), train_moments).float()
            gaps[penalty] = gap = solution.gap.cpu().numpy()
            used = int(torch.count_nonzero(solution.weights))
            columns = {
                "gap_worst": float(gap.max()),
                "gap_mean": float(gap.mean()),
                "nonzero": used / max(solution.weights.numel(), 1),
            }
            for best in best_models:
                best.offer(penalty, solution.weights.float(), bias, **columns)
            context.progress(step, self.lambdas, "going down λ")
            if all(best.choice.over for best in best_models):
                break
        return gaps

    def _with_gaps(self, model: Linear, gaps: Gaps) -> Linear:
        """Add the duality gap of each target, at its chosen λ, to a model."""
        if self.per_gene:
            penalties = model.per_target["lambda"].tolist()
            gap = np.array([gaps[penalty][target] for target, penalty in enumerate(penalties)])
        else:
            gap = gaps[float(model.choices["lambda"])]
        model.per_target = {**model.per_target, "gap": gap}
        model.choices = {
            **model.choices,
            "gap_worst": float(gap.max()),
            "gap_mean": float(gap.mean()),
        }
        above = int((gap > self.gap).sum())
        if above:
            note = (
                f"{above} of {len(gap)} genes stopped at {self.iterations} iterations, above the "
                f"duality gap of {self.gap:g} (the worst: {gap.max():.1e}). Raise iterations."
            )
            model.notes = (*model.notes, note)
        return model
