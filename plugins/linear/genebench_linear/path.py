"""Choosing a penalty: the models of a path are judged on each validation set, block by block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Profiles
from genebench.progress import Progress, silent
from genebench_linear.model import Linear, on_device

PROFILES_PER_BLOCK = 512
"""Enough for matrix products to run at full speed, and few in memory."""

Misses = Callable[[torch.Tensor, torch.Tensor], Iterable[torch.Tensor]]
"""Landmarks and targets of some profiles → for each model, its predictions less the targets."""


def mae(
    validation: Profiles,
    device: str,
    misses: Misses,
    models: int = 1,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """MAE of models on a validation set, models × targets: one pass, in bounded memory.

    Errors are summed in float64 over blocks that are summed in float32.
    """
    total = torch.zeros(models, len(validation.target_genes), dtype=torch.float64, device=device)
    done = 0
    for block in validation.blocks(PROFILES_PER_BLOCK):
        landmarks, targets = (on_device(part, device) for part in block)
        for model, missed in enumerate(misses(landmarks, targets)):
            total[model] += missed.abs_().sum(0)
        done += len(targets)
        progress(done, len(validation), "choosing λ")
    return np.asarray((total / len(validation)).cpu().numpy())


class Choice:
    """The best of the penalties that were offered so far, by their errors on a validation set.

    The best is the one of the smallest MAE over profiles and genes; with ``per_gene``, the one
    that is best for each target itself. Of equals, the first stays.

    Attributes:
        penalties: λ of the best so far, one per target.
    """

    def __init__(self, n_targets: int, *, per_gene: bool = False, patience: int = 0) -> None:
        """After ``patience`` offers in a row that were better for no target, it is over.

        0 is endless.
        """
        self._per_gene = per_gene
        self._errors = np.full(n_targets, np.inf)
        self.penalties = np.zeros(n_targets)
        self._path: dict[str, list[float]] = defaultdict(list)
        self._patience, self._worse = patience, 0

    @property
    def over(self) -> bool:
        """Whether patience has run out."""
        return 0 < self._patience <= self._worse

    def offer(
        self, penalty: float, errors: NDArray[np.float64], **facts: float
    ) -> NDArray[np.bool_]:
        """Take up a penalty by the MAE of each target; say for which targets it is the best now.

        ``facts`` about it go to the path that is recorded.
        """
        for name, value in {"lambda": penalty, "mae": float(errors.mean()), **facts}.items():
            self._path[name].append(value)
        if self._per_gene:
            better = errors < self._errors
        else:
            better = np.full(len(errors), errors.mean() < self._errors.mean())
        self._worse = 0 if better.any() else self._worse + 1
        self.penalties[better] = penalty
        self._errors[better] = errors[better]
        return better

    def model(self, weights: torch.Tensor, bias: torch.Tensor, grid: NDArray[np.float64]) -> Linear:
        """A model of the chosen penalties, with what is to be known of their choice.

        Args:
            weights: of the model, landmarks × targets.
            bias: of the model.
            grid: ends of the path; it is said when one of them was chosen.
        """
        chosen = self.penalties
        return Linear(
            weights,
            bias,
            choices={"lambda": "one per gene" if self._per_gene else float(chosen[0])},
            notes=tuple(_edge_notes(chosen, grid)),
            curves={"path": dict(self._path)},
            per_target={"lambda": chosen} if self._per_gene else {},
        )


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
