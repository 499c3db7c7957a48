"""Choosing a penalty: the models of a path are offered one by one to each selection set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Profiles
from genebench_linear.model import Linear, on_device

PROFILES_PER_BLOCK = 1024


class Choice:
    """One selection set, and the best of the models that it was offered so far.

    The best is the one of the smallest MAE over profiles and genes; with ``per_gene``, each
    target keeps the weights that were best for itself. Of equals, the first stays.

    Attributes:
        penalties: λ of the best so far, one per target.
    """

    def __init__(
        self,
        selection: Profiles,
        device: str,
        *,
        per_gene: bool = False,
        patience: int = 0,
        seen: Callable[[torch.Tensor], torch.Tensor] = lambda landmarks: landmarks,
    ) -> None:
        """Judge models of what ``seen`` makes of the landmarks.

        After ``patience`` models in a row of which none was better for any target, it is over;
        0 is endless.
        """
        self._landmarks = seen(on_device(selection.landmarks, device))
        self._targets = on_device(selection.targets, device)
        self._per_gene = per_gene
        n_targets = len(selection.target_genes)
        self._errors = np.full(n_targets, np.inf)
        self.penalties = np.zeros(n_targets)
        self._best: tuple[torch.Tensor, torch.Tensor] | None = None
        self._path: dict[str, list[float]] = defaultdict(list)
        self._patience, self._worse = patience, 0

    @property
    def over(self) -> bool:
        """Whether patience has run out."""
        return 0 < self._patience <= self._worse

    def offer(
        self, penalty: float, weights: torch.Tensor, bias: torch.Tensor, **facts: float
    ) -> None:
        """Judge the model of a penalty; ``facts`` about it go to the path that is recorded."""
        if self.over:
            return
        weights, bias = weights.float(), bias.float()
        errors = self._errors_of(weights, bias)
        for name, value in {"lambda": penalty, "mae": float(errors.mean()), **facts}.items():
            self._path[name].append(value)
        if self._per_gene:
            better = errors < self._errors
        else:
            better = np.full(len(errors), errors.mean() < self._errors.mean())
        self._worse = 0 if better.any() else self._worse + 1
        self._keep(better, penalty, weights, bias)
        self._errors[better] = errors[better]

    def model(self, grid: NDArray[np.float64]) -> Linear:
        """The model that was chosen, from penalties between the ends of ``grid``."""
        assert self._best is not None, "nothing was offered"
        chosen = self.penalties
        one = float(chosen[0])
        return Linear(
            *self._best,
            choices={"lambda": "one per gene" if self._per_gene else one},
            notes=tuple(_edge_notes(chosen, grid)),
            curves={"path": dict(self._path)},
            per_target={"lambda": chosen} if self._per_gene else {},
        )

    def _keep(
        self, better: NDArray[np.bool_], penalty: float, weights: torch.Tensor, bias: torch.Tensor
    ) -> None:
        self.penalties[better] = penalty
        if better.all():
            self._best = weights, bias
        elif better.any() and self._best is not None:
            columns = torch.from_numpy(better).to(weights.device)
            self._best = (
                torch.where(columns, weights, self._best[0]),
                torch.where(columns, bias, self._best[1]),
            )

    def _errors_of(self, weights: torch.Tensor, bias: torch.Tensor) -> NDArray[np.float64]:
        """MAE of each target, in float64 over blocks that are summed in float32."""
        total = torch.zeros(weights.shape[1], dtype=torch.float64, device=weights.device)
        for start in range(0, len(self._landmarks), PROFILES_PER_BLOCK):
            rows = slice(start, start + PROFILES_PER_BLOCK)
            predicted = torch.addmm(bias, self._landmarks[rows], weights)
            total += predicted.sub_(self._targets[rows]).abs_().sum(0)
        return (total / len(self._landmarks)).cpu().numpy()


def _edge_notes(chosen: NDArray[np.float64], grid: NDArray[np.float64]) -> list[str]:
    if len(grid) == 1:
        return []
    notes = []
    for bound, edge in (("lambda_min", grid.min()), ("lambda_max", grid.max())):
        share = (chosen == edge).mean()
        if share == 1:
            notes.append(f"λ is at the edge of its grid; move {bound}")
        elif share:
            notes.append(f"λ of {share:.1%} of the genes is at the edge of its grid ({bound})")
    return notes
