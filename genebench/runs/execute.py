"""One job, executed in this process: fit once, then predict, score and record each protocol.

Plugin code, data and clocks meet only here. A method is given the training and the validation
profiles, and later the landmarks of the test profiles. It never receives test targets.
"""

from __future__ import annotations

import logging
import random
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from genebench._util.hashing import code_digest
from genebench._util.npy import NpyWriter
from genebench.data.profiles import Profiles
from genebench.data.store import Dataset, DataStore
from genebench.errors import UserError
from genebench.method import Context, Method, Model
from genebench.methods.device import resolve_device
from genebench.methods.predictions import BadPredictionError, predict
from genebench.methods.training.errors import DivergedError
from genebench.metrics.scoring import score
from genebench.models.saved import save_model, tensors_of
from genebench.plugins.discovery import installed, load_code
from genebench.plugins.registry import registry
from genebench.results.published import is_published
from genebench.results.record import RECORD_FORMAT, UNSAVED, Failure, Provenance, Record
from genebench.results.store import ResultsStore
from genebench.runs.failures import MethodFailedError, method_code
from genebench.runs.jobs import Evaluation, Job, Settings
from genebench.runs.model_facts import model_facts
from genebench.runs.plan import metric_digests, split_digests, wanted_metrics
from genebench.runs.provenance import Peak, PeakMemory, Stopwatch, now, provenance
from genebench.specs import MetricSpec

log = logging.getLogger("genebench")

_UNSAVED_NOTE = "its model cannot be saved: nothing was kept"


def execute(job: Job, settings: Settings) -> list[Record]:
    """Execute a job and write a record for each of its evaluations, failures included.

    Returns:
        The records, in the order of the job's evaluations.

    Raises:
        UserError: the data are gone, the results cannot be written, or the method refuses its
            parameters. A fault of the method is never raised. It becomes a failed record.
    """
    notify("genebench_job_started", job=job)
    _check_code(job)
    run = JobRun(job, settings)
    with run.store.work(evaluation.key for evaluation in job.evaluations) as checkpoints:
        try:
            models = run.fit(_create_method(job), checkpoints)
        except MethodFailedError as error:
            records = [run.record_failure(item, error.failure) for item in job.evaluations]
        else:
            records = [run.evaluate(item, models[item.protocol.name]) for item in job.evaluations]
        # Checkpoints of an interrupted job stay: Ctrl-C does not get here.
        if not any(map(_may_continue, records)):
            shutil.rmtree(checkpoints, ignore_errors=True)
    notify("genebench_job_finished", job=job, records=records)
    return records


def fail(
    job: Job, settings: Settings, failure: Failure,
    *, started: str, seconds: float, peak_memory: int,
) -> list[Record]:  # fmt: skip
    """Write failed records for a job whose own process cannot: it was stopped, or it died.

    Args:
        job: the job, reduced to the evaluations without a record.
        settings: how it was executed.
        failure: why it failed.
        started: when its process was started (UTC, ISO 8601).
        seconds: wall time of its process.
        peak_memory: most memory that its process held, in bytes.

    Raises:
        UserError: the data are gone, or the results cannot be written.
    """
    run = JobRun(
        job, settings,
        started=started, clock=Stopwatch({"process": seconds}), memory=Peak(peak_memory),
    )  # fmt: skip
    records = [run.record_failure(evaluation, failure) for evaluation in job.evaluations]
    notify("genebench_job_finished", job=job, records=records)
    return records


def check(job: Job, settings: Settings, *, create: bool = True) -> None:
    """Find mistakes of the user before the first job starts.

    With ``create``, the method is imported and created here, so that it can refuse its parameters.

    Raises:
        UserError: parameters contradict each other, or there is no such device.
    """
    resolve_device(settings.device, job.method)
    if create:
        # A method that fails for any other reason becomes a failed record when its turn comes.
        with suppress(MethodFailedError):
            _create_method(job)


def notify(hook: str, *, watchers_only: bool = False, **arguments: Any) -> None:
    """Call a hook of all observers. Their failures are logged, and change nothing.

    With ``watchers_only``, plugins are left out: they are notified where the job runs.
    """
    for complaint in installed().notify(hook, watchers_only=watchers_only, **arguments):
        log.warning(complaint)


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, of numpy, and of torch where it is in use."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  for methods that use the global generator
    # Never import torch for this: it costs seconds, and most methods do without.
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _check_code(job: Job) -> None:
    """Refuse a job whose code has changed since its key was computed.

    A job may wait, or run in another process. Its record must not name code that did not run.
    """
    planned = job.evaluations[0].identity.code.digest
    if code_digest(job.method.code) != planned:
        raise UserError(
            f"method {job.method.name}: its code was edited after planning. Run the command again."
        )


def _check_splits(job: Job, dataset: Dataset) -> None:
    """Refuse a job if a plugin's split has changed since the key was computed."""
    for evaluation in job.evaluations:
        protocol = evaluation.protocol
        if split_digests(protocol, dataset, registry()) != evaluation.identity.splits:
            raise UserError(
                f"protocol {protocol.name}: a split was edited after planning. "
                "Run the command again."
            )


def _create_method(job: Job) -> Method:
    """Import the method, seed the global generators, and create it with its parameters.

    Raises:
        UserError: parameters contradict each other, which is no result.
        MethodFailedError: anything else that goes wrong.
    """
    with method_code(UserError):
        code = load_code(job.method.code)
        # After the import, which may have been the first to bring in torch. Before the creation,
        # which may draw numbers.
        seed_everything(job.seed)
        method: Method = code(**job.params)
    return method


def _may_continue(record: Record) -> bool:
    """Return whether another attempt could continue from checkpoints.

    A training that diverged would diverge again. One that ran out of memory may end well.
    """
    return record.failure is not None and record.failure.kind != DivergedError.__name__


class JobRun:
    """One job in execution: its data, its clock, and the records that it writes.

    Attributes:
        job: the job.
        settings: how it is executed.
        store: where its records go.
        train: the training profiles.
        validation_sets: protocol → its validation set.
        tests: protocol → its test profiles, from a dataset object that no method can reach.
        metrics: protocol → the metrics to score.
        published: whether the data are those of the published tables.
        device: device that the method runs on.
        started: when the job was started (UTC, ISO 8601).
        clock: wall time of the phases that all evaluations share.
        memory: peak memory of the job.
    """

    def __init__(
        self,
        job: Job,
        settings: Settings,
        *,
        started: str = "",
        clock: Stopwatch | None = None,
        memory: Peak | None = None,
    ) -> None:
        self.job = job
        self.settings = settings
        self.store = ResultsStore(settings.results)
        # Opened twice: profiles share the arrays and caches of their dataset object, and a method
        # that reaches into them must not find those that are scored.
        for_fit, for_scores = _open(job), _open(job)
        _check_splits(job, for_scores)
        protocols = [evaluation.protocol for evaluation in job.evaluations]
        self.train = for_fit.profiles(protocols[0].train)
        self.validation_sets = {item.name: for_fit.profiles(item.validation) for item in protocols}
        self.tests = {item.name: for_scores.profiles(item.test) for item in protocols}
        self.metrics = {
            evaluation.protocol.name: self._metrics(evaluation) for evaluation in job.evaluations
        }
        self.published = is_published(for_scores)
        self.device = resolve_device(settings.device, job.method)
        # The clock starts last: opening the data is no part of the job.
        self.started = started or now()
        self.clock = clock or Stopwatch()
        self.memory = memory or PeakMemory()

    def _metrics(self, evaluation: Evaluation) -> list[MetricSpec]:
        """Return the metrics that are wanted, and those of an earlier record of this key.

        The new record replaces the earlier one, and should lose no costly score that it had.
        """
        earlier = self.store.read(evaluation.key)
        offered = registry().metrics.specs
        scored = [name for name in (earlier.metrics if earlier else ()) if name in offered]
        return wanted_metrics(registry(), [*self.settings.metrics, *scored])

    def fit(self, method: Method, checkpoints: Path) -> dict[str, Model]:
        """Fit the method, and return protocol → the model chosen on its validation set.

        Raises:
            MethodFailedError: the method fails, or leaves out a model.
        """

        def progress(done: int, total: int, message: str) -> None:
            notify(
                "genebench_job_progressed", job=self.job, done=done, total=total, message=message
            )

        context = Context(
            seed=self.job.seed, device=self.device, progress=progress, scratch=checkpoints
        )
        with method_code():
            with self.clock.phase("fit"):
                # A copy: a method that empties its dictionary takes no protocol away.
                models = method.fit(self.train, dict(self.validation_sets), context)
            missing = sorted(set(self.validation_sets) - set(models))
            if missing:
                raise BadPredictionError(f"fit returned no model for {', '.join(missing)}")
            return {name: models[name] for name in self.validation_sets}

    def evaluate(self, evaluation: Evaluation, model: Model) -> Record:
        """Predict, score and record one protocol. A fault of the model is a failed record."""
        name = evaluation.protocol.name
        test = self.tests[name]
        clock = Stopwatch(self.clock.seconds)
        try:
            with self.store.scratch(evaluation.key) as path:
                _write_predictions(model, test, path, clock)
                # A memory map: 11,101 published test profiles × 9,520 targets are 423 MB.
                predictions = np.load(path, mmap_mode="r", allow_pickle=False)
                with clock.phase("score"):
                    scoring = score(test, predictions, self.metrics[name])
                files = self._keep_files(evaluation, model, path)
            with method_code():
                facts = model_facts(model, len(test.target_genes))
                unsaved = [_UNSAVED_NOTE] if files.get("model") == UNSAVED else []
                # A record checks its content, so facts that it cannot hold fail here.
                record = self._record(
                    evaluation,
                    choices=facts.choices,
                    curves=facts.curves,
                    model_parameters=facts.n_parameters,
                    notes=(*facts.notes, *scoring.faults, *unsaved),
                    scores=scoring.scores(),
                    constant_truth=scoring.constant_truth,
                    constant_prediction=scoring.constant_prediction,
                    seconds=clock.seconds,
                    **files,
                )
        except MethodFailedError as error:
            return self.record_failure(evaluation, error.failure)
        return self.store.write(record, scoring.vectors | facts.vectors)

    def record_failure(self, evaluation: Evaluation, failure: Failure) -> Record:
        """Record that one protocol failed."""
        record = self._record(evaluation, failure=failure, seconds=self.clock.seconds)
        return self.store.write(record, {})

    def _keep_files(
        self, evaluation: Evaluation, model: Model, predictions: Path
    ) -> dict[str, str]:
        """Keep the files that the user asked for, and return kind of file → its digest.

        Raises:
            MethodFailedError: the model cannot list its tensors.
        """
        files = {}
        if "predictions" in self.settings.keep:
            files["predictions"] = self.store.keep(predictions, evaluation.key, "predictions")
        if "model" in self.settings.keep:
            with method_code():
                tensors = tensors_of(model)
            files["model"] = UNSAVED
            if tensors:
                with self.store.scratch(evaluation.key) as path:
                    save_model(path, tensors, evaluation.identity, evaluation.key, self.train)
                    files["model"] = self.store.keep(path, evaluation.key, "model")
        return files

    def _record(self, evaluation: Evaluation, **outcome: Any) -> Record:
        """Return a record of one protocol: what all records hold, and its outcome."""
        name = evaluation.protocol.name
        test = self.tests[name]
        # A failed record has these values. A record that is done replaces them.
        blank: dict[str, Any] = {
            "choices": {}, "notes": (), "scores": {}, "vectors": "", "model_parameters": None,
            "predictions": "", "constant_truth": 0, "constant_prediction": 0, "failure": None,
        }  # fmt: skip
        return Record(
            format=RECORD_FORMAT,
            key=evaluation.key,
            status="failed" if outcome.get("failure") else "done",
            identity=evaluation.identity,
            dataset=self.job.dataset,
            preset=self.job.preset,
            published_data=self.published,
            profiles={
                "train": len(self.train),
                "validation": len(self.validation_sets[name]),
                "test": len(test),
            },
            genes={"landmark": len(test.landmark_genes), "target": len(test.target_genes)},
            metrics=metric_digests(self.metrics[name]),
            shared_fit=tuple(item.protocol.name for item in self.job.evaluations),
            peak_memory=self.memory.read(),
            peak_memory_scope=self.memory.scope,
            provenance=self._provenance(),
            **(blank | outcome),
        )

    def _provenance(self) -> Provenance:
        """Return where the work was done, and the plugins of the method and of all metrics."""
        method = registry().methods.plugins[self.job.method.name]
        splits = {name for item in self.job.evaluations for name in item.identity.splits}
        plugins = [
            method,
            *registry().metrics.plugins.values(),
            *(registry().splits.plugins[name] for name in sorted(splits)),
        ]
        return provenance(self.settings.command, self.started, self.device, plugins)


def _open(job: Job) -> Dataset:
    dataset = DataStore().open(job.store)
    if dataset is None or dataset.digest != job.data:
        raise UserError(
            f"dataset {job.dataset}: it has changed since the run was planned. "
            "Run the command again."
        )
    return dataset


def _write_predictions(model: Model, test: Profiles, path: Path, clock: Stopwatch) -> None:
    """Write the predictions for the test profiles as .npy: float32, profiles × targets.

    No more than one block is in memory. Only the model can fail the job: a full disk is the user's
    matter, and ends the run.

    Raises:
        MethodFailedError: the model fails, or predicts another shape or values that are not finite.
    """
    n_targets = len(test.target_genes)
    with path.open("wb") as stream:
        writer = NpyWriter(stream, (len(test), n_targets), np.float32)
        for landmarks in test.landmark_blocks():
            with clock.phase("predict"), method_code():
                block = predict(model, landmarks, n_targets)
            writer.append(block)
        writer.close()
