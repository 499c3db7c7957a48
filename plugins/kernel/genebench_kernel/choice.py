"""The choice of width and λ: the MAE of a whole grid, and the best model of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genebench import Profiles, UserError
from genebench.progress import Progress
from genebench_kernel.model import KernelModel
from genebench_kernel.spectrum import Spectrum, TrainingSet

PROFILES_PER_BLOCK = 512
"""Validation profiles that the whole grid predicts at a time."""
MOST_LEFT_OUT = 10_000
"""Training profiles left out, one at a time. Of more, a random sample is taken."""

Grid = NDArray[np.float64]


def validation_mae(
    spectra: Sequence[Spectrum],
    penalties: Sequence[float],
    validation: Profiles,
    progress: Progress,
) -> Grid:
    """Return the MAE of the mean of some models on a validation set, for each λ.

    All λ are evaluated in one pass over the set. Errors are summed in float64.
    """
    device = spectra[0].centres.device
    errors, done = torch.zeros(len(penalties), dtype=torch.float64, device=device), 0
    for block in validation.blocks(PROFILES_PER_BLOCK):
        landmarks, targets = (torch.tensor(part, device=device) for part in block)
        coordinates = [spectrum.coordinates(landmarks) for spectrum in spectra]
        for index, penalty in enumerate(penalties):
            predicted = torch.zeros_like(targets)
            for spectrum, own in zip(spectra, coordinates, strict=True):
                predicted += spectrum.predictions(own, penalty)
            errors[index] += _absolute(predicted.div_(len(spectra)).sub_(targets))
        done += len(targets)
        progress(done, len(validation), "choosing width and λ")
    return np.asarray(errors.cpu().numpy() / (len(validation) * len(validation.target_genes)))


def left_out_mae(
    spectra: Sequence[Spectrum],
    penalties: Sequence[float],
    training: TrainingSet,
    progress: Progress,
) -> Grid:
    """Return the MAE of training profiles by models without them, for each λ.

    Each model leaves out its own profiles, one at a time. The mean over models is returned.
    """
    errors = np.zeros(len(penalties))
    for spectrum in spectra:
        rows, done = spectrum.rows, 0
        if len(rows) > MOST_LEFT_OUT:
            rows = np.sort(np.random.default_rng(0).choice(rows, MOST_LEFT_OUT, replace=False))
        for landmarks, targets in training.blocks(rows, PROFILES_PER_BLOCK):
            coordinates = spectrum.coordinates(landmarks)
            for index, penalty in enumerate(penalties):
                residuals = spectrum.left_out(coordinates, targets, penalty)
                errors[index] += float(_absolute(residuals)) / (len(rows) * targets.shape[1])
            done += len(targets)
            progress(done, len(rows), "leaving out profiles")
    return errors / len(spectra)


def _absolute(residuals: Tensor) -> Tensor:
    """Return the sum of absolute residuals, in float64. The residuals are overwritten."""
    return residuals.abs_().sum(1).sum(dtype=torch.float64)


class Choice:
    """The best width and λ so far by MAE, the model with them, and the path that was tried."""

    def __init__(self) -> None:
        self._path: dict[str, list[float]] = defaultdict(list)
        self._best = np.inf
        self._chosen: dict[str, float] = {}
        self._solution: Callable[[], KernelModel] | None = None

    def offer(
        self, width: float, lambdas: Grid, errors: Grid, spectra: Sequence[Spectrum], unit: float
    ) -> None:
        """Compare the models of a width with the best so far. Of equals, the first stays.

        Args:
            width: the width, in units of the median squared distance.
            lambdas: each λ of the grid, in units of the kernel's mean diagonal.
            errors: the MAE of each λ.
            spectra: the models whose mean predicts.
            unit: the kernel's mean diagonal.
        """
        residual = float(np.mean([spectrum.residual for spectrum in spectra]))
        for penalty, error in zip(lambdas.tolist(), errors.tolist(), strict=True):
            row = {"width": width, "lambda": penalty, "mae": error, "residual": residual}
            for name, value in row.items():
                self._path[name].append(value)
        best = int(np.argmin(errors))
        if errors[best] < self._best:
            self._best = float(errors[best])
            self._chosen = {"width": width, "lambda": float(lambdas[best]), "residual": residual}
            # The solution before goes first: it may be large.
            self._solution = None
            self._solution = mean_of(spectra, unit * float(lambdas[best]))

    def model(self, widths: Grid, lambdas: Grid) -> KernelModel:
        """Return the best model, with its choice, its path, and a note if a grid ended there.

        Raises:
            UserError: no width and λ had a finite MAE.
        """
        if self._solution is None:
            raise UserError(
                "kernel-ridge: no width and λ of the grid has a finite MAE. Raise lambda_min."
            )
        model = self._solution()
        model.choices = {**self._chosen, "centres": len(model.centres)}
        model.curves = {"path": dict(self._path)}
        model.notes = (
            *_edge_notes("width", self._chosen["width"], widths),
            *_edge_notes("lambda", self._chosen["lambda"], lambdas),
        )
        return model


def mean_of(spectra: Sequence[Spectrum], penalty: float) -> Callable[[], KernelModel]:
    """Return a function that returns the mean of models with one kernel as one model.

    It does not keep the spectra in memory.
    """
    kernel = spectra[0].kernel
    parts = [(s.centre_rows, s.centres, s.mean, s.solution(penalty)) for s in spectra]

    def solved() -> KernelModel:
        rows = np.unique(np.concatenate([part[0] for part in parts]))
        mean = torch.stack([part[2] for part in parts]).mean(0)
        centres = mean.new_empty(len(rows), parts[0][1].shape[1])
        coefficients = mean.new_zeros(len(rows), len(mean))
        for own_rows, own_centres, _, solution in parts:
            positions = torch.from_numpy(np.searchsorted(rows, own_rows)).to(mean.device)
            centres[positions] = own_centres
            coefficients.index_add_(0, positions, solution(), alpha=1 / len(parts))
        return KernelModel(kernel, centres, coefficients, mean)

    return solved


def _edge_notes(name: str, chosen: float, grid: Grid) -> Iterator[str]:
    if len(grid) > 1 and chosen == grid[0]:
        yield f"{name} is the smallest of its grid. Lower {name}_min."
    if len(grid) > 1 and chosen == grid[-1]:
        yield f"{name} is the largest of its grid. Raise {name}_max."
