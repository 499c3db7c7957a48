"""A method under check: its parameters, the data it is given, and what it made of them."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.conformance import simulated
from genebench.conformance.base import Models, NotApplicable, Params, Predictions, Violation
from genebench.conformance.surroundings import Traces, settings_kept, traced
from genebench.data.profiles import Profiles
from genebench.data.store import Dataset, DataStore
from genebench.errors import UserError, describe, some
from genebench.method import Context, Method, Model
from genebench.methods.device import resolve_device
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.protocols import GEO, GTEX
from genebench.results.store import ResultsStore
from genebench.runs.execute import seed_everything
from genebench.runs.jobs import Job
from genebench.runs.plan import Request, make_plan
from genebench.specs import MethodSpec

EASY, NOISE = "conformance", "conformance-noise"
"""Names of the datasets: targets that landmarks tell, and targets that nothing tells."""

PROTOCOLS = {protocol.name: protocol for protocol in (GEO, GTEX)}

CLOSE = 1e-3
"""In standard deviations of a gene: what rounding may come to in another process or order."""

_SUBJECTS: weakref.WeakSet[Subject] = weakref.WeakSet()
"""All that there are in this process."""


@dataclass
class Fit:
    """A fit and what was seen of it.

    Attributes:
        models: by validation set.
        traces: what it changed in the process.
        altered: which of its inputs it changed.
        reports: how often it said how far it is.
    """

    models: Models
    traces: Traces
    altered: list[str]
    reports: int


class Subject:
    """A method with certain parameters, on data of its own; fits are made when first needed."""

    def __init__(
        self, method: str, *, preset: str = "tiny", overrides: Mapping[str, str] | None = None
    ) -> None:
        """Look a method up among those installed.

        Args:
            method: its name.
            preset: what parameters are taken from.
            overrides: parameter → value, as typed.

        Raises:
            UserError: there is no such method or parameter, or a value is out of range.
        """
        self.spec: MethodSpec = registry().methods.get(method)
        self.plugin = registry().methods.plugins[method]
        self.preset, self.overrides = preset, dict(overrides or {})
        self.params = self.spec.values(preset, self.overrides)
        _SUBJECTS.add(self)

    def __str__(self) -> str:
        return self.spec.name

    def __repr__(self) -> str:
        return f"<Subject {self.spec.name}>"

    @cached_property
    def device(self) -> str:
        """The CPU where the method runs on it, else CUDA."""
        try:
            return resolve_device("cpu" if "cpu" in self.spec.devices else "auto", self.spec)
        except UserError as error:
            raise NotApplicable(str(error)) from error

    @cached_property
    def root(self) -> Path:
        """A folder of its own, gone when the subject is."""
        folder = tempfile.mkdtemp(prefix="genebench-check-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def folder(self, name: str) -> Path:
        """A new, empty folder in it."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root))

    @property
    def home(self) -> Path:
        """A home with the datasets, test profiles and all: the user's own is not touched."""
        home = self.root / "home"
        if not home.exists():  # not yet, or no more
            for name, simulation in ((EASY, simulated.easy()), (NOISE, simulated.noise())):
                simulation.write(DataStore(home), name)
        return home

    @contextmanager
    def home_without_test(self) -> Iterator[Path]:
        """The only home there is meanwhile, without a test profile: others of this process go.

        Removed, for what is only moved can be found; those of other subjects too. Whoever needs
        one writes it again.
        """
        for subject in _SUBJECTS:
            for folder in subject.root.iterdir():
                shutil.rmtree(folder)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            simulated.easy().without_test().write(DataStore(Path(home)), EASY)
            yield Path(home)

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """Have genebench find the datasets of this subject alone; put torch's settings right."""
        known = os.environ.get("GENEBENCH_HOME")
        os.environ["GENEBENCH_HOME"] = str(self.home)
        try:
            with settings_kept():
                yield
        finally:
            if known is None:
                del os.environ["GENEBENCH_HOME"]
            else:
                os.environ["GENEBENCH_HOME"] = known

    @cached_property
    def tests(self) -> dict[str, Profiles]:
        """Test profiles by protocol; nothing of them is given to a method but landmarks."""
        return self.test_sets(EASY)

    def test_sets(self, name: str) -> dict[str, Profiles]:
        """Test profiles of a dataset, by protocol."""
        return {key: opened(name).profiles(item.test) for key, item in PROTOCOLS.items()}

    def create(self, params: Params | None = None) -> Method:
        """The method with its parameters, or with others."""
        method: Method = load_code(self.spec.code)(**(self.params if params is None else params))
        return method

    def fit(
        self,
        train: Profiles | None = None,
        validation_sets: Mapping[str, Profiles] | None = None,
        **how: Any,
    ) -> Models:
        """Fit on the easy data, or on others; ``how`` goes to :func:`fit`.

        Raises:
            NotApplicable: the first fit failed, or its models do: nothing more can be said.
        """
        assert self.predictions
        if train is None:
            train = open_training_set(opened(EASY))
        if validation_sets is None:
            validation_sets = open_validation_sets(opened(EASY))
        return self._traced_fit(Traces(), train, validation_sets, **how)

    def _traced_fit(
        self, traces: Traces, train: Profiles, validation_sets: Mapping[str, Profiles], **how: Any
    ) -> Models:
        load_code(self.spec.code)
        with traced(traces, seed=0):
            return fit(self, train, validation_sets, **how)

    def first_fit(self) -> Fit:
        """The fit that most checks are about, made once.

        Raises:
            Exception: whatever the method raises.
        """
        outcome = self._first_fit
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @cached_property
    def _first_fit(self) -> Fit | Exception:
        try:
            return self._watched_fit()
        except (NotApplicable, KeyboardInterrupt):
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  a method may raise anything
            return error if isinstance(error, Exception) else Violation(describe(error))

    def _watched_fit(self) -> Fit:
        # As in a job, what is tested on is in the process, where no method has any business.
        assert self.tests
        train, validation_sets = open_training_set(opened(EASY)), open_validation_sets(opened(EASY))
        given = {"train": train} | {
            f"validation_sets[{name!r}]": of for name, of in validation_sets.items()
        }
        before = {name: _content(profiles) for name, profiles in given.items()}
        reports = 0

        def count(*_: object) -> None:
            nonlocal reports
            reports += 1

        traces = Traces()
        models = self._traced_fit(traces, train, validation_sets, progress=count)
        altered = [
            f"{name}.{part}"
            for name, profiles in given.items()
            for part, value in _content(profiles).items()
            if value != before[name][part]
        ]
        return Fit(models, traces, altered, reports)

    @property
    def made(self) -> Fit:
        """The first fit, for checks that are not about whether there is one.

        Raises:
            NotApplicable: there is none.
        """
        try:
            fit = self.first_fit()
            missing = set(PROTOCOLS) - set(fit.models)
        except NotApplicable:
            raise
        except Exception as error:
            raise NotApplicable(f"it cannot be fitted: {describe(error)}") from error
        if missing:
            raise NotApplicable(f"fit gives no model for {some(missing)}")
        return fit

    @property
    def models(self) -> Models:
        """Models of the first fit, one for each protocol."""
        return self.made.models

    @cached_property
    def first_predictions(self) -> Predictions:
        """What the first fit predicts of the test profiles, by protocol.

        Raises:
            NotApplicable: it does not.
        """
        models = self.models
        try:
            return self.predict_tests(models)
        except Exception as error:
            raise NotApplicable(f"it cannot predict: {describe(error)}") from error

    @cached_property
    def predictions(self) -> Predictions:
        """The same, to compare with.

        Raises:
            NotApplicable: there are none, or others each time.
        """
        once = self.first_predictions
        if apart(once, self.predict_tests(self.models)) > CLOSE:
            raise NotApplicable("it predicts something else each time")
        return once

    def predict_tests(self, models: Models) -> Predictions:
        """What models predict of the test profiles, by protocol."""
        return {
            name: self.predict(models[name], test.landmarks) for name, test in self.tests.items()
        }

    def predict(self, model: Model, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a model predicts of a copy of some landmarks, profiles × targets.

        Raises:
            Violation: that is not what it predicts.
        """
        predicted = np.asarray(model.predict(landmarks.copy()))
        expected = (len(landmarks), len(self.tests["geo"].target_genes))
        if predicted.shape != expected:
            raise Violation(f"it predicts {predicted.shape} values where {expected} were expected.")
        if predicted.dtype.kind not in "fiu":
            raise Violation(f"it predicts values of type {predicted.dtype}, not numbers.")
        if not np.isfinite(predicted).all():
            share = 1 - np.isfinite(predicted).mean()
            raise Violation(f"{share:.0%} of {expected} values are NaN or infinite.")
        return predicted.astype(np.float32)

    @cached_property
    def second_traces(self) -> Traces:
        """What a second fit, with everything the same, changes in the process."""
        return self._second_fit[0]

    @cached_property
    def wobble(self) -> float:
        """How far two fits with everything the same are apart, in standard deviations."""
        return apart(self.predictions, self._second_fit[1])

    @cached_property
    def _second_fit(self) -> tuple[Traces, Predictions]:
        assert self.first_predictions
        traces = Traces()
        models = self._traced_fit(
            traces, open_training_set(opened()), open_validation_sets(opened())
        )
        return traces, self.predict_tests(models)

    def check_repeatable(self) -> None:
        """Some checks compare fits: nothing can be said where they differ by themselves.

        Raises:
            NotApplicable: they do.
        """
        if self.wobble > CLOSE:
            raise NotApplicable(f"two fits with the same seed differ by {self.wobble:.2g} anyway")

    def job(self, results: Path) -> Job:
        """The job that ``genebench run`` would make of it."""
        request = Request(
            methods=[self.spec.name],
            protocols=list(PROTOCOLS),
            preset=self.preset,
            overrides={self.spec.name: self.overrides},
        )
        plan = make_plan(request, opened(EASY), EASY, registry(), ResultsStore(results))
        return next(job for job in plan.jobs if job.method.name == self.spec.name)


def fit(
    subject: Subject,
    train: Profiles,
    validation_sets: Mapping[str, Profiles],
    *,
    params: Params | None = None,
    seed: int = 0,
    device: str | None = None,
    progress: Progress = silent,
    scratch: Path | None = None,
) -> Models:
    """Create a method and fit it, as a job would."""
    load_code(subject.spec.code)
    # After the import: it may have been the first to bring in torch.
    seed_everything(seed)
    context = Context(
        seed=seed, device=device or subject.device, progress=progress, scratch=scratch
    )
    return subject.create(params).fit(train, dict(validation_sets), context)


def opened(name: str = EASY) -> Dataset:
    """A dataset of the home in force."""
    dataset = DataStore().open(name)
    assert dataset is not None
    return dataset


def open_training_set(dataset: Dataset) -> Profiles:
    """The training profiles, which both protocols share."""
    return dataset.profiles(GEO.train)


def open_validation_sets(dataset: Dataset) -> dict[str, Profiles]:
    """Validation sets by protocol."""
    return {name: dataset.profiles(protocol.validation) for name, protocol in PROTOCOLS.items()}


def apart(one: Predictions, other: Predictions) -> float:
    """The largest difference of any prediction, in standard deviations of the gene."""
    return max(float(np.abs(one[name] - other[name]).max(initial=0)) for name in one)


def _content(profiles: Profiles) -> dict[str, Any]:
    """What a method is given, by name, comparable by ``==``."""
    tables = {
        name: getattr(profiles, name).to_csv()
        for name in ("profiles", "landmark_genes", "target_genes")
    }
    matrices = {name: getattr(profiles, name).tobytes() for name in ("landmarks", "targets")}
    return tables | matrices
