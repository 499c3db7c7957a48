"""Kernel ridge, with width and λ chosen on each validation set or by leaving profiles out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from genebench import Context, Method, Model, Profiles, UserError
from genebench.progress import Progress
from genebench_kernel.choice import Choice, Fit, Grid, left_out_mae, validation_measures
from genebench_kernel.factors import Factors, prefers_factors
from genebench_kernel.kernels import LINEAR_CAUCHY, Kernel, median_squared_distance
from genebench_kernel.model import KernelModel
from genebench_kernel.sampling import draw_centres
from genebench_kernel.spectrum import Report, Rows, Spectrum, TrainingSet, exact, nystrom
from genebench_kernel.weights import PRELIMINARY_PENALTY, PRELIMINARY_WIDTH, penalty_weights


class Part(NamedTuple):
    """Training profiles that one model is fitted on.

    Attributes:
        rows: their positions.
        centres: positions of Nyström centres, None for an exact fit.
        weights: the factor of λ for each profile.
    """

    rows: Rows
    centres: Rows | None
    weights: Tensor


class KernelRidge(Method):
    """Kernel ridge: the width, the λ and the scale that a criterion prefers."""

    def __init__(
        self,
        *,
        kernel: str,
        linear_weight: float,
        width_min: float,
        width_max: float,
        widths: int,
        lambda_min: float,
        lambda_max: float,
        lambdas: int,
        choose: str,
        criterion: str,
        scale_max: float,
        profile_weights: float,
        exact_max: int,
        centres: int,
        sampling: str,
        bag_groups: int,
    ) -> None:
        self.kernel = kernel
        self.linear_weight = linear_weight
        self.widths = _grid("width", width_min, width_max, widths)
        self.lambdas = _grid("lambda", lambda_min, lambda_max, lambdas)
        self.choose = choose
        self.criterion = criterion
        self.scales = _scales(scale_max)
        if choose == "loo" and (criterion != "mae" or len(self.scales) > 1):
            raise UserError(
                "kernel-ridge: choose=loo measures the MAE of scale 1 alone. Use choose=validation "
                "with criterion and scale_max."
            )
        self.profile_weights = profile_weights
        self.exact_max = exact_max
        self.centres = centres
        self.sampling = sampling
        self.bag_groups = bag_groups

    def check(self, train: Profiles) -> None:
        """Refuse more centres than profiles, and ``bag_groups`` without two groups.

        Raises:
            UserError: the training profiles have too few profiles or groups.
        """
        self._check_centres(len(train))
        if not self.bag_groups:
            return
        if "group" not in train.profiles or train.profiles["group"].isna().all():
            raise UserError(
                "kernel-ridge: the training profiles have no groups, which bag_groups needs. Use "
                "bag_groups=0, or a dataset with a column group."
            )
        if len(np.unique(_groups(train))) == 1:
            raise UserError(
                "kernel-ridge: all training profiles are of one group, and bag_groups needs two. "
                "Use bag_groups=0."
            )

    def _check_centres(self, number: int) -> None:
        """Refuse more centres than profiles that a model is fitted on."""
        if self.centres > number:
            raise UserError(
                f"kernel-ridge: centres={self.centres} is more than the {number} profiles to fit "
                "on. Lower centres, or use centres=0."
            )

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Factorise once for each width, and choose width and λ on each validation set.

        Raises:
            UserError: :meth:`check` refuses the parameters, there are more centres than profiles of
                a model, the fit needs more memory than there is, or the kernel is not positive
                definite.
        """
        self.check(train)
        random = np.random.default_rng(context.seed)
        all_rows = self._rows(train, random)
        for rows in all_rows:
            self._check_centres(len(rows))
        names = [""] if self.choose == "loo" else [*validation_sets]
        largest = max(len(profiles) for profiles in validation_sets.values())
        self._check_memory(
            train, largest, [len(rows) for rows in all_rows], len(names), context.device
        )
        training = TrainingSet(train, context.device)
        median = median_squared_distance(training.landmarks) or 1.0
        mean_square = float(training.landmarks.square().sum(1, dtype=torch.float64).mean()) or 1.0
        kernels = [
            Kernel(self.kernel, width * median, self.linear_weight / mean_square)
            for width in [*self.widths.tolist(), PRELIMINARY_WIDTH]
        ]
        preliminary = kernels.pop()
        parts = []
        for rows in all_rows:
            centres = self._centres(training, rows, kernels[len(kernels) // 2], random)
            ones = torch.ones(len(rows), dtype=torch.float64, device=training.landmarks.device)
            parts.append(Part(rows, centres, ones))
        if self.profile_weights:
            parts = [self._weighted(part, training, preliminary, context) for part in parts]
        by_left_out = self.choose == "loo"
        choices = {name: Choice(self.lambdas, self.scales, self._unit) for name in names}
        penalties = (self._unit * self.lambdas).tolist()
        for width, kernel in zip(self.widths.tolist(), kernels, strict=True):
            fits: Sequence[Fit]
            if by_left_out:
                fits = spectra = self._spectra(training, parts, kernel, context.progress)
                errors = left_out_mae(spectra, penalties, training, context.progress)[:, None]
                choices[""].offer(width, errors, None, fits)
                del spectra
            else:
                fits = self._fits(training, parts, kernel, context.progress)
                for name, choice in choices.items():
                    errors, concordances = validation_measures(
                        fits,
                        penalties,
                        self.scales,
                        validation_sets[name],
                        context.progress,
                        concordance=self.criterion == "mae-cc",
                    )
                    choice.offer(width, errors, concordances, fits)
            # The fits of two widths may not fit in memory together.
            del fits
        models = {name: choice.model(self.widths) for name, choice in choices.items()}
        return dict.fromkeys(validation_sets, models[""]) if by_left_out else models

    @property
    def _unit(self) -> float:
        """The mean of the kernel's diagonal over the training profiles."""
        return 1.0 + (self.linear_weight if self.kernel == LINEAR_CAUCHY else 0.0)

    def _check_memory(
        self, train: Profiles, validation: int, sizes: Sequence[int], choices: int, device: str
    ) -> None:
        """Refuse a fit that memory cannot hold, before anything large is allocated.

        Args:
            train: the training profiles.
            validation: number of profiles of the largest validation set.
            sizes: number of profiles that each model is fitted on.
            choices: number of choices of width and λ. Each keeps coefficients.
            device: the device of the fit.

        Raises:
            UserError: the estimate is above all memory, or above the free memory of a GPU.
        """
        n_landmarks, n_targets = len(train.landmark_genes), len(train.target_genes)
        held, working, remedies = 4 * len(train) * n_landmarks, 0, set()
        for size in sizes:
            is_exact = self._is_exact(size)
            centres = size if is_exact else self.centres or self.exact_max
            itemsize = self._dtype(is_exact=is_exact).itemsize
            square = centres**2 * itemsize
            # Of each model stay its basis, centres, loadings and coefficients.
            held += square + centres * (8 * n_landmarks + (4 + 8 * choices) * n_targets)
            if is_exact and self.choose != "loo":
                # Kernel values of the validation set serve every λ.
                held += validation * size * itemsize
            # One model at a time is fitted, with five square matrices, or six with centres.
            working = max(working, square * (4 if is_exact else 5))
            remedies.add("centres" if self.centres else "exact_max")
        if self.bag_groups:
            remedies.add("bag_groups")
        memory = device_memory(device)
        if held + working > memory:
            needed = (held + working) / 1e9
            raise UserError(
                f"kernel-ridge: the fit needs about {needed:,.0f} GB of memory, and there are "
                f"{memory / 1e9:,.0f} GB. Lower {' or '.join(sorted(remedies))}."
            )

    def _is_exact(self, size: int) -> bool:
        """Return whether a number of profiles is fitted without Nyström centres."""
        return not self.centres and size <= self.exact_max

    def _dtype(self, *, is_exact: bool) -> torch.dtype:
        """Return the type of a decomposition."""
        # Residuals without a profile are quotients, which need more digits than predictions do.
        # Weights spread the eigenvalues, and float32 rounds to a share of the largest.
        precise = not is_exact or self.choose == "loo" or self.profile_weights > 0
        return torch.float64 if precise else torch.float32

    def _rows(self, train: Profiles, random: np.random.Generator) -> list[Rows]:
        """Return the positions of the profiles that each model is fitted on."""
        if not self.bag_groups:
            return [np.arange(len(train))]
        names, codes = np.unique(_groups(train), return_inverse=True)
        number = len(names)
        return [
            np.flatnonzero(np.isin(codes, random.choice(number, number // 2, replace=False)))
            for _ in range(self.bag_groups)
        ]

    def _centres(
        self, training: TrainingSet, rows: Rows, kernel: Kernel, random: np.random.Generator
    ) -> Rows | None:
        """Return the positions of Nyström centres, or None if the fit is exact."""
        if self._is_exact(len(rows)):
            return None
        number = self.centres or self.exact_max
        leverage = None
        if self.sampling == "leverage":
            penalty = self._unit * float(np.sqrt(self.lambdas[0] * self.lambdas[-1]))
            leverage = kernel, penalty
        return draw_centres(training, rows, number, random, leverage)

    def _weighted(
        self, part: Part, training: TrainingSet, preliminary: Kernel, context: Context
    ) -> Part:
        """Return a part with the weights of its profiles."""
        (spectrum,) = self._spectra(training, [part], preliminary, context.progress)
        penalty = self._unit * PRELIMINARY_PENALTY
        weights = penalty_weights(
            spectrum, training, penalty, self.profile_weights, context.progress
        )
        return part._replace(weights=weights)

    def _fits(
        self,
        training: TrainingSet,
        parts: Sequence[Part],
        kernel: Kernel,
        progress: Progress,
    ) -> Sequence[Fit]:
        """Fit a kernel on each part, in the way that is cheapest for the grid of λ."""
        if not all(
            part.centres is None
            and prefers_factors(len(part.rows), training.n_targets, len(self.lambdas))
            for part in parts
        ):
            return self._spectra(training, parts, kernel, progress)
        dtype = self._dtype(is_exact=True)
        return [
            Factors(training, p.rows, kernel, p.weights, report=_report(progress, p), dtype=dtype)
            for p in parts
        ]

    def _spectra(
        self,
        training: TrainingSet,
        parts: Sequence[Part],
        kernel: Kernel,
        progress: Progress,
    ) -> list[Spectrum]:
        """Fit a kernel on the rows of each part for every λ, exactly if the part has no centres."""
        dtype = self._dtype(is_exact=True)
        spectra = []
        for part in parts:
            rows, centres, weights = part
            report = _report(progress, part)
            if centres is None:
                spectra.append(exact(training, rows, kernel, weights, report=report, dtype=dtype))
            else:
                spectra.append(nystrom(training, rows, centres, kernel, weights, report=report))
        return spectra

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """Return the model with these centres and coefficients, on the context's device."""
        centres, coefficients, mean = (
            torch.tensor(tensors[name], device=context.device)
            for name in ("centres", "coefficients", "mean")
        )
        width, linear = tensors["scales"].tolist()
        return KernelModel(Kernel(self.kernel, width, linear), centres, coefficients, mean)


def _report(progress: Progress, part: Part) -> Report:
    return lambda done: progress(done, len(part.rows), "fitting a width")


def device_memory(device: str) -> int:
    """Return the bytes of a device's memory: free memory of a GPU, all memory of the machine.

    The system gives back the page cache when memory is needed, so free memory says too little.
    """
    if device == "cpu":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(torch.cuda.mem_get_info()[0])


def _groups(train: Profiles) -> NDArray[np.object_]:
    """Return the group of each profile. A profile without one is a group of its own."""
    own = pd.Series([f"profile {number}" for number in range(len(train))])
    groups = train.profiles["group"].reset_index(drop=True).astype(object).fillna(own)
    names: NDArray[np.object_] = groups.astype(str).to_numpy(dtype=object)
    return names


def _grid(name: str, low: float, high: float, number: int) -> Grid:
    """Return a logarithmic grid. A single value is the middle of the two bounds.

    Raises:
        UserError: the bounds contradict each other.
    """
    if low > high:
        raise UserError(
            f"kernel-ridge: {name}_min={low:g} is above {name}_max={high:g}. Lower {name}_min or "
            f"raise {name}_max."
        )
    if number == 1:
        return np.array([np.sqrt(low) * np.sqrt(high)])
    return np.geomspace(low, high, number)


def _scales(largest: float) -> Grid:
    """Return 1, 1.1, … up to the largest.

    Raises:
        UserError: the largest is between 1 and 1.1.
    """
    # 1.3 × 10 may be rounded below 13.
    scales = np.arange(10, int(np.floor(10 * largest + 1e-9)) + 1) / 10
    if largest > 1 and len(scales) == 1:
        raise UserError(
            f"kernel-ridge: scale_max={largest:g} allows no scale but 1. Use 1, or at least 1.1."
        )
    return scales
