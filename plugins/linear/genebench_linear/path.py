"""The choice of a penalty: the models of a path are compared on each validation set."""

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
"""Profiles predicted at a time: enough for fast matrix products, and few in memory."""

Residuals = Callable[[torch.Tensor, torch.Tensor], Iterable[torch.Tensor]]
"""Landmarks and targets of some profiles → predictions less targets, for each model."""


def mae(
    validation: Profiles,
    device: str,
    residuals: Residuals,
    models: int = 1,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Return the MAE of models on a validation set: models × targets.

    All models are evaluated in one pass over the set, on the device, in bounded memory. Errors are
    summed in float32 within a block, and in float64 over blocks.
    """
    total = torch.zeros(models, len(validation.target_genes), dtype=torch.float64, device=device)
    done = 0
    for block in validation.blocks(PROFILES_PER_BLOCK):
        landmarks, targets = (on_device(part, device) for part in block)
        for model, residual in enumerate(residuals(landmarks, targets)):
            total[model] += residual.abs_().sum(0)
        done += len(targets)
        progress(done, len(validation), "choosing λ")
    return np.asarray((total / len(validation)).cpu().numpy())


class Choice:
    """The best penalty so far, by MAE on one validation set, and the path that was tried.

    The best penalty has the smallest MAE over profiles and genes. With ``per_gene`` each target has
    a separate one. Of equals, the first stays.

    Attributes:
        penalties: the best λ so far, one per target.
    """

    def __init__(self, n_targets: int, *, per_gene: bool = False, patience: int = 0) -> None:
        """Start without a penalty.

        Args:
            n_targets: number of targets.
            per_gene: choose a λ for each target.
            patience: offers in a row, better for no target, after which the choice is over. 0 means
                that it never is.
        """
        self._per_gene = per_gene
        self._errors = np.full(n_targets, np.inf)
        self.penalties = np.zeros(n_targets)
        self._path: dict[str, list[float]] = defaultdict(list)
        self._patience, self._worse_in_a_row = patience, 0

    @property
    def over(self) -> bool:
        """True when patience has run out."""
        return 0 < self._patience <= self._worse_in_a_row

    def offer(
        self, penalty: float, errors: NDArray[np.float64], **columns: float
    ) -> NDArray[np.bool_]:
        """Compare a penalty with the best so far, and return for which targets it is better.

        Args:
            penalty: λ.
            errors: its MAE, one per target.
            columns: further values of this λ for the recorded path.
        """
        for name, value in {"lambda": penalty, "mae": float(errors.mean()), **columns}.items():
            self._path[name].append(value)
        if self._per_gene:
            better = errors < self._errors
        else:
            better = np.full(len(errors), errors.mean() < self._errors.mean())
        self._worse_in_a_row = 0 if better.any() else self._worse_in_a_row + 1
        self.penalties[better] = penalty
        self._errors[better] = errors[better]
        return better

    def model(self, weights: torch.Tensor, bias: torch.Tensor, grid: NDArray[np.float64]) -> Linear:
        """Return the model of the chosen penalties, with its choice, path and notes.

        Args:
            weights: weights of the model, landmarks × targets.
            bias: bias of the model, one per target.
            grid: the penalties of the path, or its two ends. A note says so when an end was chosen.
        """
        chosen = self.penalties
        return Linear(
            weights,
            bias,
            choices={"lambda": "one per gene" if self._per_gene else float(chosen[0])},
            notes=tuple(edge_notes(chosen, grid)),
            curves={"path": dict(self._path)},
            per_target={"lambda": chosen} if self._per_gene else {},
        )


def edge_notes(chosen: NDArray[np.float64], grid: NDArray[np.float64]) -> list[str]:
    """Return a note for each end of a grid of λ that was chosen, for all genes or some."""
    if len(grid) == 1:
        return []
    notes = []
    for bound, edge in (("lambda_min", grid.min()), ("lambda_max", grid.max())):
        share = (chosen == edge).mean()
        if share == 1:
            notes.append(f"λ is at the edge of its grid. Move {bound}.")
        elif share:
            notes.append(f"λ of {share:.1%} of the genes is at the edge of its grid ({bound})")
    return notes
