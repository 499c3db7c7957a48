"""The choice of width, λ and scale: measures of a whole grid, and the best model of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genebench import Profiles, UserError
from genebench.progress import Progress
from genebench_kernel.factors import Factors
from genebench_kernel.model import KernelModel
from genebench_kernel.spectrum import ROUNDING, Spectrum, TrainingSet

EVALUATED_PER_BLOCK = 512
"""Profiles that the whole grid predicts at a time: of a validation set, or left out."""
MOST_LEFT_OUT = 10_000
"""Training profiles left out, one at a time. Of more, a random sample is taken."""
CONCORDANCE_WEIGHT = 0.5
"""Mean concordance counted against MAE where both choose."""

Grid = NDArray[np.float64]
Fit = Spectrum | Factors


def validation_measures(
    spectra: Sequence[Fit],
    penalties: Sequence[float],
    scales: Grid,
    validation: Profiles,
    progress: Progress,
    *,
    concordance: bool = False,
) -> tuple[Grid, Grid | None]:
    """Return MAE and mean CC of the mean of some models on a validation set, each λ × scales.

    All λ and scales are evaluated in one pass over the set, or each λ in its own. A scale
    multiplies the predicted difference from the training mean. Sums are in float64.

    Args:
        spectra: the models.
        penalties: each λ.
        scales: each scale.
        validation: the validation set.
        progress: function to report to.
        concordance: compute CC. It is None otherwise.
    """
    device = spectra[0].centres.device
    mean = torch.stack([spectrum.mean for spectrum in spectra]).mean(0).float()
    shape = len(penalties), len(scales)
    errors, done = torch.zeros(shape, dtype=torch.float64, device=device), 0
    sums = [_Sums(len(mean), device) for _ in penalties] if concordance else []
    # Factors hold one λ at a time, so that each λ is a pass over the set. The first keeps the
    # coordinates for the others.
    indices = range(len(penalties))
    passes = [[i] for i in indices] if isinstance(spectra[0], Factors) else [indices]
    kept: dict[int, list[Tensor]] = {}
    for taken in passes:
        for number, block in enumerate(validation.blocks(EVALUATED_PER_BLOCK)):
            landmarks, targets = (torch.tensor(part, device=device) for part in block)
            coordinates = kept.get(number) or [s.coordinates(landmarks) for s in spectra]
            if len(passes) > 1:
                kept[number] = coordinates
            for index in taken:
                predicted = torch.zeros_like(targets)
                for spectrum, own in zip(spectra, coordinates, strict=True):
                    predicted += spectrum.predictions(own, penalties[index])
                predicted.div_(len(spectra))
                if concordance:
                    sums[index].add(targets - mean, predicted - mean)
                for column, scale in enumerate(scales.tolist()):
                    # A scale of 1 changes no bit.
                    scaled = torch.lerp(mean, predicted, scale)
                    errors[index, column] += _absolute(scaled.sub_(targets))
            done += len(targets)
            progress(done, len(validation) * len(passes), "choosing width and λ")
    measured = errors.cpu().numpy() / (len(validation) * len(validation.target_genes))
    if not concordance:
        return measured, None
    return measured, np.array([[own.concordance(scale) for scale in scales] for own in sums])


class _Sums:
    """Sums over profiles, float64, that the concordance of each gene needs for any scale."""

    def __init__(self, genes: int, device: torch.device) -> None:
        self._profiles = 0
        # Σ y, Σ ŷ, Σ y², Σ ŷ², Σ y ŷ.
        self._sums = torch.zeros(5, genes, dtype=torch.float64, device=device)

    def add(self, truth: Tensor, prediction: Tensor) -> None:
        """Add a block of profiles. Both matrices are differences from the training mean."""
        y, p = truth.double(), prediction.double()
        self._profiles += len(y)
        self._sums += torch.stack([term.sum(0) for term in (y, p, y * y, p * p, y * p)])

    def concordance(self, scale: float) -> float:
        """Return the mean over genes of Lin's concordance, with predictions times a scale.

        As in :mod:`genebench.metrics.agreement`, ddof is 0, and a gene without variance of truth
        or prediction has CC 0.
        """
        y, p, yy, pp, yp = self._sums / self._profiles
        variances = yy - y * y, pp - p * p
        # The variance of a constant may be rounded to a number near 0.
        varying = (variances[0] > ROUNDING * yy) & (variances[1] > ROUNDING * pp)
        spread = variances[0] + scale**2 * variances[1] + (y - scale * p).square()
        return float(torch.where(varying, 2 * scale * (yp - y * p) / spread, 0.0).mean())


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
        rows, weights, done = spectrum.rows, spectrum.weights, 0
        if len(rows) > MOST_LEFT_OUT:
            drawn = np.random.default_rng(0).choice(len(rows), MOST_LEFT_OUT, replace=False)
            drawn.sort()
            rows, weights = rows[drawn], weights[torch.from_numpy(drawn).to(weights.device)]
        for landmarks, targets in training.blocks(rows, EVALUATED_PER_BLOCK):
            coordinates = spectrum.coordinates(landmarks)
            own = weights[done : done + len(targets)]
            for index, penalty in enumerate(penalties):
                residuals = spectrum.left_out(coordinates, targets, penalty, own)
                errors[index] += float(_absolute(residuals)) / (len(rows) * targets.shape[1])
            done += len(targets)
            progress(done, len(rows), "leaving out profiles")
    return errors / len(spectra)


def _absolute(residuals: Tensor) -> Tensor:
    """Return the sum of absolute residuals, in float64. The residuals are overwritten."""
    return residuals.abs_().sum(1).sum(dtype=torch.float64)


class Choice:
    """The best width, λ and scale so far, the model with them, and the path that was tried."""

    def __init__(self, lambdas: Grid, scales: Grid, unit: float) -> None:
        """Begin without a model.

        Args:
            lambdas: each λ of the grid, in units of the kernel's mean diagonal.
            scales: each factor of predicted differences from the mean.
            unit: the kernel's mean diagonal.
        """
        self._lambdas, self._scales, self._unit = lambdas, scales, unit
        self._path: dict[str, list[float]] = defaultdict(list)
        self._best = np.inf
        self._chosen: dict[str, float] = {}
        self._solution: Callable[[], KernelModel] | None = None

    def offer(
        self, width: float, errors: Grid, concordances: Grid | None, spectra: Sequence[Fit]
    ) -> None:
        """Compare the models of a width with the best so far. Of equals, the first stays.

        Args:
            width: the width, in units of the median squared distance.
            errors: the MAE, λ × scales.
            concordances: the mean CC, λ × scales. None means that the MAE alone decides.
            spectra: the models whose mean predicts.
        """
        residual = float(np.mean([spectrum.residual for spectrum in spectra]))
        scaled = len(self._scales) > 1
        losses = errors if concordances is None else errors - CONCORDANCE_WEIGHT * concordances
        for (at, column), error in np.ndenumerate(errors):
            row = {"width": width, "lambda": float(self._lambdas[at])}
            if scaled:
                row["scale"] = float(self._scales[column])
            row["mae"] = float(error)
            if concordances is not None:
                row["cc"] = float(concordances[at, column])
            for name, value in (row | {"residual": residual}).items():
                self._path[name].append(value)
        best, column = np.unravel_index(int(np.argmin(losses)), losses.shape)
        if losses[best, column] < self._best:
            self._best = float(losses[best, column])
            penalty, scale = float(self._lambdas[best]), float(self._scales[column])
            self._chosen = {"width": width, "lambda": penalty, "residual": residual}
            if scaled:
                self._chosen["scale"] = scale
            # The solution before goes first: it may be large.
            self._solution = None
            self._solution = mean_of(spectra, self._unit * penalty, scale)

    def model(self, widths: Grid) -> KernelModel:
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
            *_edge_notes("lambda", self._chosen["lambda"], self._lambdas),
        )
        if self._chosen.get("scale") == self._scales[-1]:
            model.notes += ("scale is the largest of its grid. Raise scale_max.",)
        return model


def mean_of(spectra: Sequence[Fit], penalty: float, scale: float) -> Callable[[], KernelModel]:
    """Return a function that returns the mean of models with one kernel as one model.

    It does not keep the spectra in memory. The scale is a factor of all coefficients.
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
            coefficients.index_add_(0, positions, solution(), alpha=scale / len(parts))
        return KernelModel(kernel, centres, coefficients, mean)

    return solved


def _edge_notes(name: str, chosen: float, grid: Grid) -> Iterator[str]:
    # A grid of one value has no edge that could be moved.
    if grid[0] < grid[-1] and chosen == grid[0]:
        yield f"{name} is the smallest of its grid. Lower {name}_min."
    if grid[0] < grid[-1] and chosen == grid[-1]:
        yield f"{name} is the largest of its grid. Raise {name}_max."
