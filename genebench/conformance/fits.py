"""The fits that checks are about, and what their models predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from genebench.conformance.base import Models, NotApplicable, Predictions, Violation
from genebench.conformance.checked import CheckedMethod, FitOptions
from genebench.conformance.home import (
    PROTOCOLS,
    open_test_sets,
    open_training_set,
    open_validation_sets,
)
from genebench.conformance.surroundings import Traces, traced
from genebench.data.profiles import Profiles
from genebench.errors import describe, some
from genebench.method import Model
from genebench.methods import predictions
from genebench.methods.predictions import BadPredictionError
from genebench.plugins.discovery import load_code

CLOSE = 1e-3
"""Standard deviations of a gene that predictions may differ by. Sums of float32 that are taken in
another order or in another process differ by less."""


@dataclass
class Fit:
    """A fit and its effects.

    Attributes:
        models: protocol → the model that was chosen on its validation set.
        traces: the changes to generators and settings of the process.
        altered: names of the inputs that were changed.
        reports: number of calls of ``context.progress``.
    """

    models: Models
    traces: Traces
    altered: list[str]
    reports: int


class Fits:
    """The fits of one method. Those that several checks need are made once, when first needed."""

    def __init__(self, method: CheckedMethod) -> None:
        self._method = method
        self._test_sets: dict[str, Profiles] | None = None

    # The first fit

    def test_sets(self) -> dict[str, Profiles]:
        """Return the test profiles by protocol. A model is given no more than their landmarks."""
        if self._test_sets is None:
            self._test_sets = open_test_sets()
        return self._test_sets

    def first(self) -> Fit:
        """Return the fit that most checks are about.

        Raises:
            Exception: whatever the method raises.
        """
        outcome = self._first_outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @cached_property
    def _first_outcome(self) -> Fit | Exception:
        """The first fit, or the error that it ended with."""
        try:
            return self._observed_fit()
        except (NotApplicable, KeyboardInterrupt):
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  a method may raise anything
            return error if isinstance(error, Exception) else Violation(describe(error))

    def _observed_fit(self) -> Fit:
        # A job, too, has the test profiles in memory while it fits. A dishonest method may
        # search the process for them, so they must be there.
        self.test_sets()
        train, validation_sets = open_training_set(), open_validation_sets()
        inputs = {"train": train} | {
            f"validation_sets[{name!r}]": profiles for name, profiles in validation_sets.items()
        }
        before = {name: _content(profiles) for name, profiles in inputs.items()}
        reports = 0

        def count(*_: object) -> None:
            nonlocal reports
            reports += 1

        traces = Traces()
        models = self._traced_fit(traces, train, validation_sets, progress=count)
        altered = [
            f"{name}.{part}"
            for name, profiles in inputs.items()
            for part, value in _content(profiles).items()
            if value != before[name][part]
        ]
        return Fit(models, traces, altered, reports)

    def _traced_fit(
        self,
        traces: Traces,
        train: Profiles,
        validation_sets: Mapping[str, Profiles],
        **options: Unpack[FitOptions],
    ) -> Models:
        # The import comes first: a module may draw numbers while it is imported.
        load_code(self._method.spec.code)
        with traced(traces, seed=0):
            return self._method.fit(train, validation_sets, **options)

    def usable(self) -> Fit:
        """Return the first fit, for checks of something else than the fit itself.

        Raises:
            NotApplicable: the fit failed, or lacks a model.
        """
        try:
            fit = self.first()
            missing = set(PROTOCOLS) - set(fit.models)
        except NotApplicable:
            raise
        except Exception as error:
            raise NotApplicable(f"it cannot be fitted: {describe(error)}") from error
        if missing:
            raise NotApplicable(f"fit returns no model for {some(missing)}")
        return fit

    def models(self) -> Models:
        """Return the models of the first fit, by protocol.

        Raises:
            NotApplicable: the fit failed, or lacks a model.
        """
        return self.usable().models

    # Predictions of test profiles, by protocol

    def predict(self, model: Model, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a model's predictions of a copy of some landmarks, profiles × targets.

        Raises:
            Violation: the predictions have a wrong shape or type, or are not finite.
        """
        n_targets = len(self.test_sets()["geo"].target_genes)
        try:
            return predictions.predict(model, landmarks.copy(), n_targets)
        except BadPredictionError as error:
            raise Violation(f"it {error}.") from error

    def predict_tests(self, models: Models) -> Predictions:
        """Return the predictions of the test profiles by some models.

        Raises:
            Violation: the predictions have a wrong shape or type, or are not finite.
        """
        tests = self.test_sets()
        return {name: self.predict(models[name], test.landmarks) for name, test in tests.items()}

    def first_predictions(self) -> Predictions:
        """Return the first predictions of the first fit.

        Raises:
            NotApplicable: there is no fit, or its models cannot predict.
        """
        return self._first_predictions

    @cached_property
    def _first_predictions(self) -> Predictions:
        models = self.models()
        try:
            return self.predict_tests(models)
        except Exception as error:
            raise NotApplicable(f"it cannot predict: {describe(error)}") from error

    def predictions(self) -> Predictions:
        """Return the predictions of the first fit, to compare others with.

        Raises:
            NotApplicable: there are none, or they differ each time.
        """
        return self._predictions

    @cached_property
    def _predictions(self) -> Predictions:
        first = self.first_predictions()
        if largest_difference(first, self.predict_tests(self.models())) > CLOSE:
            raise NotApplicable("it predicts something else each time")
        return first

    # Other fits

    def again(
        self,
        train: Profiles | None = None,
        validation_sets: Mapping[str, Profiles] | None = None,
        **options: Unpack[FitOptions],
    ) -> Models:
        """Fit once more, on the easy data or on other profiles.

        Raises:
            NotApplicable: the first fit does not predict, or not the same twice.
            Exception: whatever the method raises.
        """
        self.predictions()
        return self._traced_fit(
            Traces(),
            open_training_set() if train is None else train,
            open_validation_sets() if validation_sets is None else validation_sets,
            **options,
        )

    def traces_of_second(self) -> Traces:
        """Return the changes to the process by a second fit with the same seed and data."""
        return self._second[0]

    def repeat_difference(self) -> float:
        """Return the largest difference of two fits with the same seed, in standard deviations."""
        return largest_difference(self.predictions(), self._second[1])

    @cached_property
    def _second(self) -> tuple[Traces, Predictions]:
        """The traces and the predictions of a second fit with the same seed and data."""
        self.first_predictions()
        traces = Traces()
        models = self._traced_fit(traces, open_training_set(), open_validation_sets())
        return traces, self.predict_tests(models)

    def require_repeatable(self) -> None:
        """Check that fits can be compared.

        Raises:
            NotApplicable: two fits with the same seed differ.
        """
        difference = self.repeat_difference()
        if difference > CLOSE:
            raise NotApplicable(f"two fits with the same seed differ by {difference:.2g} anyway")


def largest_difference(first: Predictions, second: Predictions) -> float:
    """Return the largest difference of two predictions, in standard deviations of the gene."""
    return max(float(np.abs(first[name] - second[name]).max(initial=0)) for name in first)


def _content(profiles: Profiles) -> dict[str, Any]:
    """Return everything that a method is given, by name, comparable by ``==``."""
    tables = {
        name: getattr(profiles, name).to_csv()
        for name in ("profiles", "landmark_genes", "target_genes")
    }
    matrices = {name: getattr(profiles, name).tobytes() for name in ("landmarks", "targets")}
    return tables | matrices
