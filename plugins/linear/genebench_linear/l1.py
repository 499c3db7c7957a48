"""LSR-L1: the lasso, its λ chosen on the validation profiles."""

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


class _Judge:
    """A validation set, what it has chosen so far, and the model of that.

    Every λ reads the set anew: solving for one takes far longer, and a set of any size fits.
    """

    def __init__(self, validation: Profiles, device: str, choice: Choice) -> None:
        self._validation, self._device, self.choice = validation, device, choice
        self._best: tuple[torch.Tensor, torch.Tensor] | None = None

    def offer(
        self, penalty: float, weights: torch.Tensor, bias: torch.Tensor, **facts: float
    ) -> None:
        """Judge the model of a penalty, unless the choice is made."""
        if self.choice.over:
            return

        def misses(landmarks: torch.Tensor, targets: torch.Tensor) -> Iterator[torch.Tensor]:
            yield torch.addmm(bias, landmarks, weights).sub_(targets)

        errors = mae(self._validation, self._device, misses)[0]
        self._keep(self.choice.offer(penalty, errors, **facts), weights, bias)

    def model(self, grid: NDArray[np.float64]) -> Linear:
        """The model that was chosen, from penalties between the ends of ``grid``."""
        assert self._best is not None, "nothing was offered"
        return self.choice.model(*self._best, grid)

    def _keep(self, better: NDArray[np.bool_], weights: torch.Tensor, bias: torch.Tensor) -> None:
        if better.all() or self._best is None:
            self._best = weights, bias
        elif better.any():
            columns = torch.from_numpy(better).to(weights.device)
            self._best = (
                torch.where(columns, weights, self._best[0]),
                torch.where(columns, bias, self._best[1]),
            )


class LSRL1(LinearMethod):
    """Lasso: the λ with the smallest MAE on the validation profiles, for all genes or for each."""

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
        """Go down the path, once; offer each of its models to each validation set."""
        found = moments(train, context.progress, device=context.device)
        judges = {
            name: _Judge(validation, context.device, self._choice(validation))
            for name, validation in validation_sets.items()
        }
        gaps = self._descend(found, judges.values(), context)
        # No λ above the first could do better than it: all weights are zero there already.
        grid = np.array([min(gaps), np.inf])
        return {name: self._model(judge.model(grid), gaps) for name, judge in judges.items()}

    def _choice(self, validation: Profiles) -> Choice:
        n_targets = len(validation.target_genes)
        return Choice(n_targets, per_gene=self.per_gene, patience=self.patience)

    def _descend(self, found: Moments, judges: Collection[_Judge], context: Context) -> Gaps:
        lasso = Lasso(found, context.device, gap=self.gap, iterations=self.iterations)
        solution, gaps = lasso.zero(), Gaps()
        path = (lasso.penalty_max or 1.0) * np.geomspace(1, self.lambda_min, self.lambdas)
        for at, penalty in enumerate(path.tolist(), start=1):
            solution = lasso.solve(penalty, solution)
            bias = bias_of(solution.weights.double(), found).float()
            gaps[penalty] = gap = solution.gap.cpu().numpy()
            facts = {
                "gap_worst": float(gap.max()),
                "gap_mean": float(gap.mean()),
                "nonzero": _share_used(solution.weights),
            }
            for judge in judges:
                judge.offer(penalty, solution.weights.float(), bias, **facts)
            context.progress(at, self.lambdas, "going down λ")
            if all(judge.choice.over for judge in judges):
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
