"""Whether a method bears what happens to it: being saved, interrupted, short of time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from genebench.conformance.base import NotApplicable, Violation
from genebench.conformance.check import check
from genebench.conformance.child import ChildError, ask
from genebench.conformance.subject import CLOSE, Subject, apart, open_training_set, opened
from genebench.hookspecs import hookimpl
from genebench.models.saved import save_model, tensors_of
from genebench.plugins.discovery import installed
from genebench.results.store import ResultsStore
from genebench.runs.execute import execute
from genebench.runs.jobs import Settings
from genebench.specs import DeviceChoice

_SECONDS = 300.0
_DEADLINE = 0.01
"""Minutes that a method with a deadline is given."""
_FACTOR, _GRACE = 5.0, 5.0
"""What it may take: a multiple of them, and seconds on top for a busy machine."""
_EPOCHS = 1_000_000
"""More than there is time for."""


@check
def a_saved_model_predicts_the_same(subject: Subject) -> None:
    """A model that was saved predicts the same in a fresh process."""
    job = subject.job(subject.folder("results"))
    folder, train = subject.folder("models"), open_training_set(opened())
    paths = {}
    for evaluation in job.evaluations:
        name = evaluation.protocol.name
        tensors = tensors_of(subject.models[name])
        if not tensors:
            raise NotApplicable("its models have no tensors(), and cannot be saved")
        paths[name] = str(folder / f"{name}.safetensors")
        save_model(folder / f"{name}.safetensors", tensors, evaluation.identity, "check", train)
    landmarks = {name: test.landmarks for name, test in subject.tests.items()}
    request = {"model": paths, "device": subject.device}
    try:
        found = ask(subject.home, request, landmarks, _SECONDS)
    except ChildError as error:
        raise Violation(f"it cannot be opened: {error}") from error
    difference = apart(found.predictions, subject.predictions)
    if difference > CLOSE:
        raise Violation(f"predictions differ by up to {difference:.2g} standard deviations.")


@check
def an_interrupted_fit_leaves_no_record(subject: Subject) -> None:
    """An interrupt ends the fit, and a fit that was interrupted leaves no record."""
    for at in sorted({1, _reports(subject)}):
        results = subject.folder("results")
        ResultsStore(results).prepare()
        interrupted = _interrupted(subject, at, results)
        for record in ResultsStore(results).records():
            if interrupted:
                raise Violation(f"there is a record, {record.status}.")
            if record.failure:
                raise Violation(f"the job failed: {record.failure.kind}: {record.failure.message}.")


def _interrupted(subject: Subject, at: int, results: Path) -> bool:
    """Run a job that its n-th report of progress interrupts; whether it came to that."""
    job = subject.job(results)
    with _interrupting(at) as raised:
        try:
            execute(job, Settings(results=results, device=cast("DeviceChoice", subject.device)))
        except KeyboardInterrupt:
            return True
        if raised:
            raise Violation("the fit goes on as if nothing had happened.")
    return False


@check
def an_interrupted_fit_is_continued(subject: Subject) -> None:
    """A fit that is done again after an interrupt, its checkpoints there, predicts the same."""
    subject.check_repeatable()
    middle, scratch = max(_reports(subject) // 2, 1), subject.folder("scratch")
    seen = count(1)

    def interrupt(*_: object) -> None:
        if next(seen) == middle:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        subject.fit(progress=interrupt, scratch=scratch)
    difference = apart(subject.predict_tests(subject.fit(scratch=scratch)), subject.predictions)
    if difference > CLOSE:
        raise Violation(f"predictions differ by up to {difference:.2g} standard deviations.")


@check
def keeps_to_its_deadline(subject: Subject) -> None:
    """A method with a parameter minutes ends its fit soon after they are up."""
    names = {param.name for param in subject.spec.params}
    if "minutes" not in names:
        raise NotApplicable("it has no parameter minutes")
    params = {**subject.params, "minutes": _DEADLINE}
    if "epochs" in names:
        params["epochs"] = int(subject.spec.param("epochs").maximum or _EPOCHS)
    request = {"method": subject.spec.name, "params": params}
    landmarks = {name: test.landmarks for name, test in subject.tests.items()}
    allowed = _FACTOR * 60 * _DEADLINE + _GRACE
    try:
        took = ask(subject.home, request, landmarks, _SECONDS).seconds
    except ChildError as error:
        raise Violation(f"given {60 * _DEADLINE:.1f} seconds: {error}.") from error
    if took > allowed:
        raise Violation(f"given {60 * _DEADLINE:.1f} seconds, it took {took:.1f}.")


def _reports(subject: Subject) -> int:
    """How often the first fit said how far it is."""
    reports = subject.made.reports
    if not reports:
        raise NotApplicable("it calls no progress, so there is no moment to interrupt it at")
    return reports


@contextmanager
def _interrupting(at: int) -> Iterator[list[int]]:
    """Have the n-th report of a job's progress interrupt it, as Ctrl-C would; yields its number."""
    seen = count(1)
    raised: list[int] = []

    def genebench_job_progressed() -> None:
        if next(seen) == at:
            raised.append(at)
            raise KeyboardInterrupt

    observer = SimpleNamespace(genebench_job_progressed=hookimpl(genebench_job_progressed))
    manager = installed().manager
    manager.register(observer, name="genebench-check")
    try:
        yield raised
    finally:
        manager.unregister(observer)
