"""Checks of models that are saved, and of fits that are interrupted or short of time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from genebench.conformance.base import NothingToCheck, Violation
from genebench.conformance.check import check
from genebench.conformance.child import ChildError, ask
from genebench.conformance.fits import CLOSE, largest_difference
from genebench.conformance.subject import Subject
from genebench.conformance.temporary_home import open_training_set
from genebench.hookspecs import hookimpl
from genebench.models.saved import Saved, save_model, tensors_of
from genebench.plugins.discovery import installed
from genebench.results.store import ResultsStore
from genebench.runs.execute import execute
from genebench.runs.jobs import Settings
from genebench.runs.members import saved_members
from genebench.specs import DeviceChoice

_CHILD_SECONDS = 300.0
"""Time limit of a child process."""

_DEADLINE_MINUTES = 0.01
"""The value of the parameter ``minutes``."""

_DEADLINE_FACTOR, _GRACE_SECONDS = 5.0, 5.0
"""A fit may take a multiple of its deadline, and some seconds more on a busy machine."""

_EPOCHS = 1_000_000
"""More epochs than fit into the deadline."""


@check
def a_saved_model_predicts_the_same(subject: Subject) -> None:
    """Save models that predict the same in a fresh process."""
    fits, results = subject.fits, subject.home.new_folder("results")
    folder, train = subject.home.new_folder("models"), open_training_set()
    paths = {}
    for job in subject.method.jobs(results):
        for evaluation in job.evaluations:
            name = evaluation.protocol.name
            tensors = tensors_of(fits.models[name])
            if not tensors:
                raise NothingToCheck("its models have no tensors(), and cannot be saved")
            members = dict(saved_members(job, evaluation, ResultsStore(results)))
            saved = Saved(evaluation.identity, tensors, members)
            paths[name] = str(folder / f"{name}.safetensors")
            save_model(folder / f"{name}.safetensors", saved, "check", train)
    landmarks = {name: test.landmarks for name, test in fits.test_sets.items()}
    request = {"model": paths, "device": subject.method.device}
    try:
        opened = ask(subject.home.path(), request, landmarks, _CHILD_SECONDS)
    except ChildError as error:
        raise Violation(f"the saved model cannot be opened: {error}") from error
    difference = largest_difference(opened.predictions, fits.predictions)
    if difference > CLOSE:
        raise Violation(f"predictions differ by up to {difference:.2g} standard deviations.")


@check
def an_interrupted_fit_leaves_no_record(subject: Subject) -> None:
    """Stop when the fit is interrupted, so that no record is written."""
    # At the first report of progress all work is still to do, at the last one none is.
    for number in sorted({1, _reports(subject)}):
        results = subject.home.new_folder("results")
        interrupted = _interrupt_job(subject, number, results)
        for record in ResultsStore(results).records():
            if record.identity.method != subject.method.spec.name:
                continue  # a member, which was executed before
            if interrupted:
                raise Violation(f"there is a record, {record.status}.")
            if record.failure:
                raise Violation(f"the job failed: {record.failure.kind}: {record.failure.message}.")


def _interrupt_job(subject: Subject, number: int, results: Path) -> bool:
    """Run a job, interrupt it at a report of progress, and return whether that ended it."""
    job = subject.method.jobs(results)[0]
    device = cast("DeviceChoice", subject.method.device)
    with _interrupting(number) as raised:
        try:
            execute(job, Settings(results=results, device=device))
        except KeyboardInterrupt:
            return True
        if raised:
            raise Violation("the fit goes on as if nothing had happened.")
    return False


@check
def an_interrupted_fit_is_continued(subject: Subject) -> None:
    """Predict the same when an interrupted fit is done again with its checkpoints."""
    fits = subject.fits
    fits.require_repeatable()
    middle, scratch = max(_reports(subject) // 2, 1), subject.home.new_folder("scratch")
    reports = count(1)

    def interrupt(*_: object) -> None:
        if next(reports) == middle:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        fits.again(progress=interrupt, scratch=scratch)
    continued = fits.predict_tests(fits.again(scratch=scratch))
    difference = largest_difference(continued, fits.predictions)
    if difference > CLOSE:
        raise Violation(f"predictions differ by up to {difference:.2g} standard deviations.")


@check
def keeps_to_its_deadline(subject: Subject) -> None:
    """End the fit soon after the time that the parameter minutes sets."""
    method = subject.method
    names = {param.name for param in method.spec.params}
    if "minutes" not in names:
        raise NothingToCheck("it has no parameter minutes")
    params = {**method.params, "minutes": _DEADLINE_MINUTES}
    if "epochs" in names:
        params["epochs"] = int(method.spec.param("epochs").maximum or _EPOCHS)
    request = {"method": method.spec.name, "params": params}
    landmarks = {name: test.landmarks for name, test in subject.fits.test_sets.items()}
    seconds = 60 * _DEADLINE_MINUTES
    allowed = _DEADLINE_FACTOR * seconds + _GRACE_SECONDS
    try:
        taken = ask(subject.home.path(), request, landmarks, _CHILD_SECONDS).seconds
    except ChildError as error:
        raise Violation(f"with a deadline of {seconds:.1f} seconds, {error}.") from error
    if taken > allowed:
        raise Violation(f"with a deadline of {seconds:.1f} seconds, it took {taken:.1f}.")


def _reports(subject: Subject) -> int:
    """Return the number of reports of progress of the first fit."""
    reports = subject.fits.usable.reports
    if not reports:
        raise NothingToCheck("it never calls context.progress, so it cannot be interrupted")
    return reports


@contextmanager
def _interrupting(number: int) -> Iterator[list[int]]:
    """Interrupt a job at a report of progress, as Ctrl-C would.

    Yield a list that holds the number of the report once the interrupt was raised.
    """
    reports = count(1)
    raised: list[int] = []

    def genebench_job_progressed() -> None:
        if next(reports) == number:
            raised.append(number)
            raise KeyboardInterrupt

    observer = SimpleNamespace(genebench_job_progressed=hookimpl(genebench_job_progressed))
    manager = installed().manager
    manager.register(observer, name="genebench-check")
    try:
        yield raised
    finally:
        manager.unregister(observer)
