"""LSR-L1: the lasso, its λ chosen on the selection profiles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Context, Model, Profiles
from genebench.moments import Moments, moments
from genebench_linear.lasso import Lasso
from genebench_linear.model import Linear, LinearMethod, bias_of
from genebench_linear.path import Choice

Gaps = dict[float, NDArray[np.float64]]
"""λ → relative duality gap of each target."""


class LSRL1(LinearMethod):
    """Lasso: the λ with the smallest MAE on the selection profiles, for all genes or for each."""

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
        self, train: Profiles, selections: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Go down the path, once; offer each of its models to each selection set."""
        found = moments(train, context.progress, device=context.device)
        choices = {
            name: Choice(selection, context.device, per_gene=self.per_gene, patience=self.patience)
            for name, selection in selections.items()
        }
        gaps = self._descend(found, choices, context)
        # No λ above the first could do better than it: all weights are zero there already.
        grid = np.array([min(gaps), np.inf])
        return {name: self._model(choice.model(grid), gaps) for name, choice in choices.items()}

    def _descend(self, found: Moments, choices: Mapping[str, Choice], context: Context) -> Gaps:
        lasso = Lasso(found, context.device, gap=self.gap, iterations=self.iterations)
        solution, gaps = lasso.zero(), Gaps()
        path = (lasso.penalty_max or 1.0) * np.geomspace(1, self.lambda_min, self.lambdas)
        for at, penalty in enumerate(path.tolist(), start=1):
            solution = lasso.solve(penalty, solution)
            bias = bias_of(solution.weights.double(), found)
            gaps[penalty] = gap = solution.gap.cpu().numpy()
            facts = {
                "gap_worst": float(gap.max()),
                "gap_mean": float(gap.mean()),
                "nonzero": _share_used(solution.weights),
            }
            for choice in choices.values():
                choice.offer(penalty, solution.weights, bias, **facts)
            context.progress(at, self.lambdas, "going down λ")
            if all(choice.over for choice in choices.values()):
                break
        return gaps

    def _model(self, chosen: Linear, gaps: Gaps) -> Linear:
        """The same model, with the gaps of its targets at the λ that they have."""
        if self.per_gene:
            penalties = chosen.per_target["lambda"].tolist()
            gap = np.array([gaps[penalty][at] for at, penalty in enumerate(penalties)])
        else:
            gap = gaps[float(chosen.choices["lambda"])]
        chosen.per_target = {**chosen.per_target, "gap": gap}
        chosen.choices = {
            **chosen.choices,
            "gap_worst": float(gap.max()),
            "gap_mean": float(gap.mean()),
        }
        chosen.notes = (*chosen.notes, *self._gap_notes(gap))
        return chosen

    def _gap_notes(self, gap: NDArray[np.float64]) -> tuple[str, ...]:
        short = int((gap > self.gap).sum())
        if not short:
            return ()
        what = f"{short} of {len(gap)} genes stopped at {self.iterations} iterations"
        return (f"{what}, above the duality gap of {self.gap:g}: {gap.max():.1e} at worst",)


def _share_used(weights: torch.Tensor) -> float:
    return int(torch.count_nonzero(weights)) / max(weights.numel(), 1)
