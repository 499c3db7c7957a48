"""The fits that checks are about, and what their models predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genebench.conformance.base import Models, NothingToCheck, Predictions, Violation
from genebench.conformance.method_under_check import MethodUnderCheck
from genebench.conformance.surroundings import Traces, traced
from genebench.conformance.temporary_home import (
    PROTOCOLS,
    open_test_sets,
    open_training_set,
    open_validation_sets,
)
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


class SecondFit(NamedTuple):
    """A fit with the seed and the data of the first one."""

    traces: Traces
    """The changes to generators and settings of the process."""
    predictions: Predictions
    """Its predictions of the test profiles."""


class Fits:
    """The fits of one method. Those that several checks need are made once, when first needed.

    Most attributes raise :class:`NothingToCheck` if an earlier step failed, so that one fault of a
    method fails one check.
    """

    def __init__(self, method: MethodUnderCheck) -> None:
        self._method = method

    @cached_property
    def test_sets(self) -> dict[str, Profiles]:
        """The test profiles by protocol. A model is given no more than their landmarks."""
        return open_test_sets()

    # The first fit

    @property
    def first(self) -> Fit:
        """The fit that most checks are about.

        Raises:
            Exception: any exception of the method.
        """
        if isinstance(self._first, Exception):
            raise self._first
        return self._first

    @cached_property
    def _first(self) -> Fit | Exception:
        """The first fit, or the error that it ended with, so that it is made only once."""
        try:
            return self._observed_fit()
        except (NothingToCheck, KeyboardInterrupt):
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  a method may raise anything
            return error if isinstance(error, Exception) else Violation(describe(error))

    def _observed_fit(self) -> Fit:
        # A job, too, has the test profiles in memory while it fits. A dishonest method may
        # search the process for them, so they must be there.
        _ = self.test_sets
        train, validation_sets = open_training_set(), open_validation_sets()
        inputs = {"train": train} | {
            f"validation_sets[{name!r}]": profiles for name, profiles in validation_sets.items()
        }
        before = {name: _content(profiles) for name, profiles in inputs.items()}
        reports = 0

        def count(*_: object) -> None:
            nonlocal reports
            reports += 1

        models, traces = self._traced_fit(train, validation_sets, progress=count)
        altered = [
            f"{name}.{part}"
            for name, profiles in inputs.items()
            for part, value in _content(profiles).items()
            if value != before[name][part]
        ]
        return Fit(models, traces, altered, reports)

    def _traced_fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], **settings: Any
    ) -> tuple[Models, Traces]:
        # The import comes first: a module may draw numbers while it is imported.
        load_code(self._method.spec.code)
        traces = Traces()
        with traced(traces, seed=0):
            models = self._method.fit(train, validation_sets, **settings)
        return models, traces

    @property
    def usable(self) -> Fit:
        """The first fit, for checks of something else than the fit itself.

        Raises:
            NothingToCheck: the fit failed, or lacks a model.
        """
        try:
            fit = self.first
            missing = set(PROTOCOLS) - set(fit.models)
        except NothingToCheck:
            raise
        except Exception as error:
            raise NothingToCheck(f"it cannot be fitted: {describe(error)}") from error
        if missing:
            raise NothingToCheck(f"fit returns no model for {some(missing)}")
        return fit

    @property
    def models(self) -> Models:
        """The models of the first fit, by protocol.

        Raises:
            NothingToCheck: the fit failed, or lacks a model.
        """
        return self.usable.models

    # Predictions of test profiles, by protocol

    def predict(self, model: Model, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a model's predictions of a copy of some landmarks, profiles × targets.

        Raises:
            Violation: the predictions have a wrong shape or type, or are not finite.
        """
        n_targets = len(self.test_sets["geo"].target_genes)
        try:
            return predictions.predict(model, landmarks.copy(), n_targets)
        except BadPredictionError as error:
            raise Violation(f"it {error}.") from error

    def predict_tests(self, models: Models) -> Predictions:
        """Return the predictions of the test profiles by some models.

        Raises:
            Violation: the predictions have a wrong shape or type, or are not finite.
        """
        tests = self.test_sets
        return {name: self.predict(models[name], test.landmarks) for name, test in tests.items()}

    @cached_property
    def first_predictions(self) -> Predictions:
        """The first predictions of the first fit.

        Raises:
            NothingToCheck: there is no fit, or its models cannot predict.
        """
        models = self.models
        try:
            return self.predict_tests(models)
        except Exception as error:
            raise NothingToCheck(f"it cannot predict: {describe(error)}") from error

    @cached_property
    def predictions(self) -> Predictions:
        """The predictions of the first fit, to compare others with.

        Raises:
            NothingToCheck: there are none, or they differ each time.
        """
        first = self.first_predictions
        if largest_difference(first, self.predict_tests(self.models)) > CLOSE:
            raise NothingToCheck("it predicts something else each time")
        return first

    # Other fits

    def again(
        self,
        train: Profiles | None = None,
        validation_sets: Mapping[str, Profiles] | None = None,
        **settings: Any,
    ) -> Models:
        """Fit once more, on the easy data or on other profiles.

        Args:
            train: the training profiles.
            validation_sets: protocol → its validation set.
            settings: fields of the method's ``Context``, where they are not the defaults.

        Raises:
            NothingToCheck: the first fit does not predict, or not the same twice.
            Exception: any exception of the method.
        """
        # Without predictions of the first fit there is nothing to compare.
        _ = self.predictions
        models, _traces = self._traced_fit(
            open_training_set() if train is None else train,
            open_validation_sets() if validation_sets is None else validation_sets,
            **settings,
        )
        return models

    @cached_property
    def second(self) -> SecondFit:
        """A second fit with the same seed and data."""
        # Without predictions of the first fit there is nothing to compare.
        _ = self.first_predictions
        models, traces = self._traced_fit(open_training_set(), open_validation_sets())
        return SecondFit(traces, self.predict_tests(models))

    @property
    def repeat_difference(self) -> float:
        """The largest difference of two fits with the same seed, in standard deviations."""
        return largest_difference(self.predictions, self.second.predictions)

    def require_repeatable(self) -> None:
        """Check that fits can be compared.

        Raises:
            NothingToCheck: two fits with the same seed differ.
        """
        if self.repeat_difference > CLOSE:
            raise NothingToCheck(
                f"two fits with the same seed differ by {self.repeat_difference:.2g} anyway"
            )


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
