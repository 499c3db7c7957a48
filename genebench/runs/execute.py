"""One job, executed in this process: fit once, then predict, score and record each protocol.

Plugin code, data and clocks meet only here. A method is given the training and the validation
profiles, and later the landmarks of the test profiles. It never receives test targets.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genebench._util.files import remove_tree
from genebench._util.hashing import code_digest
from genebench._util.seeds import seed_everything
from genebench._util.stopping import StoppedError, stop_is_asked
from genebench.confinement.policy import capability
from genebench.data.home import all_homes
from genebench.data.profiles import Profiles
from genebench.data.store import Dataset, DataStore
from genebench.errors import UserError
from genebench.method import Context, Method, Model, NotApplicable
from genebench.methods.device import resolve_device
from genebench.methods.training.errors import DivergedError
from genebench.metrics.scoring import score
from genebench.models.saved import Saved, restored, save_model, tensors_of
from genebench.plugins.discovery import installed, load_code
from genebench.plugins.registry import registry
from genebench.results.record import UNSAVED, Failure, Record, Seal
from genebench.runs.failures import MethodFailedError, method_code
from genebench.runs.jobs import Evaluation, Job, Settings
from genebench.runs.members import saved_members
from genebench.runs.model_facts import BadModelError, model_facts
from genebench.runs.plan import split_digests
from genebench.runs.predicting import prediction_order, write_predictions
from genebench.runs.provenance import Peak, Stopwatch
from genebench.runs.recording import JobFacts, Recorder
from genebench.runs.seals import as_stated, is_sealed
from genebench.sealing.client import SealedJob, SealedMethod, SealedModel, sealed
from genebench.specs import Part

log = logging.getLogger("genebench")

NOT_SEALED = "run in the process that holds the test data"


def execute(job: Job, settings: Settings) -> list[Record]:
    """Execute a job and write a record for each of its evaluations, failures included.

    Returns:
        The records, in the order of the job's evaluations.

    Raises:
        UserError: the data are gone, the results cannot be written, or the method refuses its
            parameters. A fault of the method is never raised. It becomes a failed record.
        StoppedError: the job was asked to stop.
    """
    notify("genebench_job_started", job=job)
    _check_code(job)
    dataset = _open(job)
    # Before the method is created: a split that draws numbers must not disturb its generators.
    data = JobData.load(job, dataset)
    facts = JobFacts.of(job, settings, dataset, resolve_device(settings.device, job.method))
    # The clock starts last: opening the data is no part of the job.
    run = JobRun(Recorder(job, settings, facts), data)
    recorder = run.recorder
    identities = [evaluation.identity for evaluation in job.evaluations]
    is_apart = is_sealed(job.methods, settings.sealed)
    with recorder.store.work(identities, sealed=is_apart) as checkpoints:
        try:
            _check_applicable(job)
            with run.method(checkpoints) as method:
                models = run.fit(method, checkpoints)
                records = [
                    run.evaluate(item, models[item.protocol.name]) for item in job.evaluations
                ]
        except NotApplicable as reason:
            records = [recorder.write_not_applicable(i, str(reason)) for i in job.evaluations]
        except MethodFailedError as error:
            _raise_if_stopped(error)
            records = [recorder.write_failed(item, error.failure) for item in job.evaluations]
        # Checkpoints of an interrupted job stay: Ctrl-C does not get here.
        if not any(map(_may_continue, records)):
            remove_tree(checkpoints)
    notify("genebench_job_finished", job=job, records=records)
    return records


def describe_job(job: Job, settings: Settings, device: str) -> JobFacts:
    """Return what :func:`fail` needs of a job's dataset, in case that changes while the job runs.

    Args:
        job: the job.
        settings: how it is executed.
        device: device that it runs on.

    Raises:
        UserError: the data are gone, or a split fails.
    """
    return JobFacts.of(job, settings, _open(job), device)


def fail(
    job: Job, settings: Settings, failure: Failure,
    *, started: str, seconds: float, peak_memory: int, facts: JobFacts, host: str = "",
) -> list[Record]:  # fmt: skip
    """Write failed records for a job whose own process cannot: it was stopped, or it died.

    Args:
        job: the job, reduced to the evaluations without a record.
        settings: how it was executed.
        failure: why it failed.
        started: when its process was started (UTC, ISO 8601).
        seconds: wall time of its process.
        peak_memory: most memory that its process held, in bytes.
        facts: result of :func:`describe_job`, before the job ran where that is possible.
        host: machine that it ran on. By default, this one.

    Raises:
        UserError: the results cannot be written.
    """
    recorder = Recorder(
        job, settings, facts,
        started=started, clock=Stopwatch({"process": seconds}), memory=Peak(peak_memory), host=host,
    )  # fmt: skip
    records = [recorder.write_failed(evaluation, failure) for evaluation in job.evaluations]
    notify("genebench_job_finished", job=job, records=records)
    return records


def check(
    jobs: Iterable[Job], settings: Settings, *, create: bool = True, device: bool = True
) -> None:
    """Find mistakes of the user before the first job starts.

    With ``create``, a method that is not sealed is imported and created here, so that it can refuse
    its parameters, also for the training profiles. A sealed one refuses them when its turn comes.
    With ``device``, the device is looked up on this machine.

    Raises:
        UserError: parameters contradict each other or the training profiles, there is no such
            device, or the data are gone.
    """
    # Jobs share their training profiles. These are not the objects that a job is scored on.
    training: dict[tuple[str, str, Part], Profiles] = {}
    for job in jobs:
        if device:
            resolve_device(settings.device, job.method)
        if not create or is_sealed(job.methods, settings.sealed):
            continue
        part = job.evaluations[0].protocol.train
        key = job.store, job.data, part
        if key not in training:
            training[key] = _open(job).profiles(part)
        # A method that fails for any other reason becomes a record when its turn comes.
        with suppress(MethodFailedError, NotApplicable):
            method = _create_method(job)
            with method_code(UserError):
                method.check(training[key])


def notify(hook: str, *, watchers_only: bool = False, **arguments: Any) -> None:
    """Call a hook of all observers. Their failures are logged, and change nothing.

    With ``watchers_only``, plugins are left out: they are notified where the job runs.
    """
    for complaint in installed().notify(hook, watchers_only=watchers_only, **arguments):
        log.warning(complaint)


def _check_code(job: Job) -> None:
    """Refuse a job whose code has changed since its key was computed.

    A job may wait, or run in another process. Its record must not name code that did not run.
    """
    planned = job.evaluations[0].identity.code.digest
    if code_digest(job.method.code) != planned:
        raise UserError(
            f"method {job.method.name}: its code was edited after planning. Run the command again."
        )


def _create_method(job: Job) -> Method:
    """Import the method, seed the global generators, and create it with its parameters.

    Raises:
        UserError: parameters contradict each other, which is no result.
        MethodFailedError: anything else that goes wrong.
    """
    with method_code(UserError, NotApplicable):
        code = load_code(job.method.code)
        # After the import, which may have been the first to bring in torch. Before the creation,
        # which may draw numbers.
        seed_everything(job.seed)
        method: Method = code(**job.params)
    return method


def _check_applicable(job: Job) -> None:
    """Refuse a protocol that the method declares that it cannot do.

    The plan gives such protocols a job of their own.

    Raises:
        NotApplicable: there is one.
    """
    for item in job.evaluations:
        if reason := job.method.reason_against(item.protocol.name):
            raise NotApplicable(reason)


def _raise_if_stopped(error: MethodFailedError) -> None:
    """Raise StoppedError if the job was asked to stop: what fails then is no failure."""
    if stop_is_asked():
        raise StoppedError from error


def _may_continue(record: Record) -> bool:
    """Return whether another attempt could continue from checkpoints.

    A training that diverged would diverge again. One that ran out of memory may end well.
    """
    return record.failure is not None and record.failure.kind != DivergedError.__name__


def _open(job: Job) -> Dataset:
    """Open the dataset of a job.

    Raises:
        UserError: the dataset is not here, or it or a plugin's split of it has changed since the
            key was computed.
    """
    dataset = DataStore().open_planned(job.store, job.data)
    for evaluation in job.evaluations:
        protocol = evaluation.protocol
        if split_digests(protocol, dataset, registry()) != evaluation.identity.splits:
            raise UserError(
                f"protocol {protocol.name}: a split was edited after planning. "
                "Run the command again."
            )
    return dataset


@dataclass(frozen=True)
class JobData:
    """The profiles of a job: those that its method is given, and those that score it.

    Attributes:
        train: the training profiles.
        validation_sets: protocol → its validation set.
        tests: protocol → its test profiles, from a dataset object that no method can reach.
    """

    train: Profiles
    validation_sets: Mapping[str, Profiles]
    tests: Mapping[str, Profiles]

    @classmethod
    def load(cls, job: Job, for_scores: Dataset) -> JobData:
        """Load the profiles of a job.

        Args:
            job: the job.
            for_scores: the dataset of the test profiles.

        Raises:
            UserError: the data are gone, or a split fails or gives two different results.
        """
        # Opened twice: profiles share the arrays and caches of their dataset object, and a method
        # that reaches into them must not find those that are scored.
        for_fit = _open(job)
        protocols = [evaluation.protocol for evaluation in job.evaluations]
        for part in (part for protocol in protocols for part in protocol.parts):
            _check_same_split(part, for_fit, for_scores)
        return cls(
            train=for_fit.profiles(protocols[0].train),
            validation_sets={item.name: for_fit.profiles(item.validation) for item in protocols},
            tests={item.name: for_scores.profiles(item.test) for item in protocols},
        )


def _named(validation_sets: Mapping[str, Profiles]) -> dict[str, Profiles]:
    """Return validation sets by names that are no other part's."""
    return {f"validation.{name}": profiles for name, profiles in validation_sets.items()}


def _check_same_split(part: Part, for_fit: Dataset, for_scores: Dataset) -> None:
    """Refuse a split that differs between two dataset objects.

    Each of them computes a plugin's split anew. If the results differed, test profiles of one could
    be training profiles of the other.
    """
    if part.split is None:
        return
    fitted, scored = (
        dataset.split(part.platform, part.division) for dataset in (for_fit, for_scores)
    )
    if not np.array_equal(fitted, scored):
        raise UserError(
            f"Split {part.by} gave two different results for the same table and seed. Use only the "
            "table and the seed."
        )


class JobRun:
    """One job in execution.

    Attributes:
        recorder: maker of the records.
        data: the profiles.
    """

    def __init__(self, recorder: Recorder, data: JobData) -> None:
        self.recorder = recorder
        self.data = data

    @contextmanager
    def method(self, checkpoints: Path) -> Iterator[Method]:
        """Provide the method, created with its parameters: here, or in a sealed process.

        Args:
            checkpoints: folder that a sealed method may write to.

        Raises:
            UserError: the method refuses its parameters, or a required seal is not given.
            MethodFailedError: it cannot be imported or created.
        """
        job, settings = self.recorder.job, self.recorder.settings
        if not is_sealed(job.methods, settings.sealed):
            able = capability()
            reason = able.reason if able.level == "no" else NOT_SEALED
            self.recorder.seal = Seal(level="no", reason=reason)
            yield _create_method(job)
            return
        order = SealedJob(
            method=job.method, params=job.params, seed=job.seed,
            device=self.recorder.facts.device, n_targets=len(self.data.train.target_genes),
            parts={"train": self.data.train, **_named(self.data.validation_sets)},
            scratch=checkpoints, forbidden=(settings.results, *all_homes()),
            members=[registry().methods.get(name) for name in job.methods[1:]],
        )  # fmt: skip
        with ExitStack() as stack:
            with method_code(UserError, NotApplicable):
                method = stack.enter_context(sealed(order))
            seal = as_stated(method.process.seal, job.methods)
            self.recorder.follow(method.process, seal)
            if settings.sealed == "require" and seal.level != "landlock":
                raise UserError(
                    f"--sealed require: {job.method.name} cannot be confined ({seal.reason}). "
                    "Use other folders, a plugin of methods alone, or --sealed auto."
                )
            yield method

    def fit(self, method: Method, checkpoints: Path) -> dict[str, Model]:
        """Fit the method, and return protocol → the model chosen on its validation set.

        Raises:
            MethodFailedError: the method or a member fails, or a model is left out.
            UserError: the result of a member is not there, or was changed.
        """
        job, validation_sets = self.recorder.job, self.data.validation_sets
        members = self._members(method)

        def progress(done: int, total: int, message: str) -> None:
            notify("genebench_job_progressed", job=job, done=done, total=total, message=message)

        context = Context(
            seed=job.seed,
            device=self.recorder.facts.device,
            progress=progress,
            scratch=checkpoints,
            stop_is_asked=stop_is_asked,
            members=members,
        )
        with method_code(NotApplicable):
            with self.recorder.clock.phase("fit"):
                # A copy: a method that empties its dictionary takes no protocol away.
                models = method.fit(self.data.train, dict(validation_sets), context)
            missing = sorted(set(validation_sets) - set(models))
            if missing:
                raise BadModelError(f"fit returned no model for {', '.join(missing)}")
            return {name: models[name] for name in validation_sets}

    def _members(self, method: Method) -> dict[str, dict[str, Model]]:
        """Return protocol → method → its saved model, restored where the job's method lives."""
        recorder = self.recorder
        members: dict[str, dict[str, Model]] = {}
        with method_code(UserError, NotApplicable):
            for item in recorder.job.evaluations if recorder.job.method.members else ():
                of_protocol = members[item.protocol.name] = {}
                for name, saved in saved_members(recorder.job, item, recorder.store):
                    spec = registry().methods.get(name)
                    device = resolve_device(recorder.settings.device, spec)
                    if isinstance(method, SealedMethod):
                        of_protocol[name] = method.restore_member(saved, device)
                    else:
                        of_protocol[name] = restored(spec, saved, device)
            if members:
                # Their code may have drawn numbers.
                seed_everything(recorder.job.seed)
        return members

    def evaluate(self, evaluation: Evaluation, model: Model) -> Record:
        """Predict, score and record one protocol. A fault of the model is a failed record."""
        name = evaluation.protocol.name
        recorder, test = self.recorder, self.data.tests[name]
        clock = recorder.clock.continued()
        try:
            with recorder.store.scratch(evaluation.key) as path:
                order = prediction_order(test)
                write_predictions(model, test, order, path, clock)
                # A memory map: 11,101 published test profiles × 9,520 targets are 423 MB.
                predictions = np.load(path, mmap_mode="r", allow_pickle=False)
                with clock.phase("score"):
                    scoring = score(test, predictions, recorder.facts.metrics[name])
                files = self._keep_files(evaluation, model, path)
            with method_code():
                if isinstance(model, SealedModel):
                    model.read_facts()
                facts = model_facts(model, len(test.target_genes))
                # A record checks its content, so facts that it cannot hold fail here.
                record = recorder.done(evaluation, scoring, facts, clock, files)
        except MethodFailedError as error:
            _raise_if_stopped(error)
            return recorder.write_failed(evaluation, error.failure)
        vectors = scoring.vectors | facts.vectors
        return recorder.store.write(record, vectors, replaces=evaluation.replaces)

    def _keep_files(
        self, evaluation: Evaluation, model: Model, predictions: Path
    ) -> dict[str, str]:
        """Keep the files that the user asked for, and return kind of file → its digest.

        Raises:
            MethodFailedError: the model cannot list its tensors.
        """
        job, store = self.recorder.job, self.recorder.store
        keep = self.recorder.settings.keep | job.keep
        files = {}
        if "predictions" in keep:
            files["predictions"] = store.keep(predictions, evaluation.key, "predictions")
        if "model" in keep:
            with method_code():
                tensors = tensors_of(model)
            files["model"] = UNSAVED
            if tensors:
                members = dict(saved_members(job, evaluation, store))
                saved = Saved(evaluation.identity, tensors, members)
                with store.scratch(evaluation.key) as path:
                    save_model(path, saved, evaluation.key, self.data.train)
                    files["model"] = store.keep(path, evaluation.key, "model")
        return files
