"""Execute one job here, in this process: fit once, then predict, score and record each protocol.

The one place where plugin code, data and clocks meet. A method is given the training and the
validation profiles, and later the landmarks of the test profiles; it never receives test targets.
"""

from __future__ import annotations

import logging
import random
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from genebench._util.hashing import code_digest
from genebench._util.npy import NpyWriter
from genebench.data.profiles import Profiles
from genebench.data.store import Dataset, DataStore
from genebench.errors import UserError, describe
from genebench.method import Context, Method, Model
from genebench.methods.device import resolve_device
from genebench.methods.predictions import BadPredictionError, predict
from genebench.methods.training.errors import DivergedError
from genebench.metrics.scoring import Scoring, score
from genebench.models.saved import Tensors, save_model, tensors_of
from genebench.plugins.discovery import installed, load_code
from genebench.plugins.registry import registry
from genebench.results.panels import GENE_MODEL
from genebench.results.published import is_published
from genebench.results.record import RECORD_FORMAT, Failure, Provenance, Record
from genebench.results.store import UNSAVED, ResultsStore
from genebench.runs.jobs import Evaluation, Job, Settings
from genebench.runs.plan import metric_digests, split_digests, wanted_metrics
from genebench.runs.provenance import Peak, PeakMemory, Stopwatch, now, provenance
from genebench.specs import MetricSpec

log = logging.getLogger("genebench")

_UNSAVED_NOTES = {UNSAVED: ("its model cannot be saved: nothing was kept",)}

Result = TypeVar("Result")


class BadModelError(Exception):
    """What a model says of itself does not fit the record."""


@dataclass
class _Workbench:
    """What the steps of one job share."""

    job: Job
    settings: Settings
    train: Profiles
    validation_sets: dict[str, Profiles]
    """Protocol → validation set."""
    tests: dict[str, Profiles]
    """Protocol → test profiles, from a dataset that the method never touches."""
    metrics: dict[str, list[MetricSpec]]
    """Protocol → what to score with."""
    published: bool
    store: ResultsStore
    device: str
    started: str
    clock: Stopwatch
    memory: Peak


def execute(job: Job, settings: Settings) -> list[Record]:
    """Execute a job and write a record for each of its evaluations, failures included.

    Returns:
        The records, in the order of the job's evaluations.

    Raises:
        UserError: the data are gone, the results cannot be written, or the method refuses its
            parameters. What a method does wrong is never raised: it becomes a failed record.
    """
    notify("genebench_job_started", job=job)
    _check_code(job)
    bench = _set_up(job, settings)
    with bench.store.work(evaluation.key for evaluation in job.evaluations) as work:
        method = _create(job)
        models = (
            method if isinstance(method, Failure) else _attempt(lambda: _fit(bench, method, work))
        )
        records = [_evaluate(bench, evaluation, models) for evaluation in job.evaluations]
        if all(map(_is_settled, records)):
            shutil.rmtree(work, ignore_errors=True)
    notify("genebench_job_finished", job=job, records=records)
    return records


def fail(
    job: Job, settings: Settings, failure: Failure,
    *, started: str, seconds: float, peak_memory: int,
) -> list[Record]:  # fmt: skip
    """Write failed records for a job whose process cannot: it was stopped, or it died.

    Raises:
        UserError: the data are gone, or the results cannot be written.
    """
    bench = _set_up(job, settings)
    bench.started = started
    bench.clock.seconds["process"] = seconds
    bench.memory = Peak(peak_memory)
    records = [_record_failure(bench, evaluation, failure) for evaluation in job.evaluations]
    notify("genebench_job_finished", job=job, records=records)
    return records


def _is_settled(record: Record) -> bool:
    """Whether another attempt has no use for checkpoints: it is done, or would diverge again."""
    return record.failure is None or record.failure.kind == DivergedError.__name__


def notify(hook: str, **arguments: Any) -> None:
    """Tell the observers; their failures are logged, and change nothing."""
    for complaint in installed().notify(hook, **arguments):
        log.warning(complaint)


def _set_up(job: Job, settings: Settings) -> _Workbench:
    given, scored, store = _open(job), _open(job), ResultsStore(settings.results)
    _check_splits(job, scored)
    return _Workbench(
        job=job,
        settings=settings,
        train=given.profiles(job.evaluations[0].protocol.train),
        validation_sets={
            item.protocol.name: given.profiles(item.protocol.validation) for item in job.evaluations
        },
        tests={item.protocol.name: scored.profiles(item.protocol.test) for item in job.evaluations},
        metrics={
            item.protocol.name: _metrics(store.read(item.key), settings) for item in job.evaluations
        },
        published=is_published(scored),
        store=store,
        device=resolve_device(settings.device, job.method),
        started=now(),
        clock=Stopwatch(),
        memory=PeakMemory(),
    )


def _metrics(earlier: Record | None, settings: Settings) -> list[MetricSpec]:
    """Those that are wanted, and those of an earlier record: doing it again loses no score."""
    offered = registry().metrics.specs
    scored = [name for name in (earlier.metrics if earlier else ()) if name in offered]
    return wanted_metrics(registry(), [*settings.metrics, *scored])


def _check_code(job: Job) -> None:
    """A job may wait, or run in another process: its key must be that of the code that runs."""
    planned = job.evaluations[0].identity.code.digest
    if code_digest(job.method.code) != planned:
        raise UserError(f"method {job.method.name}: its code was edited after planning; run again")


def _check_splits(job: Job, dataset: Dataset) -> None:
    """Check that the splits of plugins are those that the keys were made with."""
    for evaluation in job.evaluations:
        protocol = evaluation.protocol
        if split_digests(protocol, dataset, registry()) != evaluation.identity.splits:
            raise UserError(
                f"protocol {protocol.name}: a split was edited after planning. Run again."
            )


def _open(job: Job) -> Dataset:
    dataset = DataStore().open(job.store)
    if dataset is None or dataset.digest != job.data:
        raise UserError(f"dataset {job.dataset}: no longer the one that was planned for; run again")
    return dataset


def check(job: Job, settings: Settings, *, create: bool = True) -> None:
    """Find a mistake of the user's before the first job starts.

    With ``create``, the method is imported and created here, which tells whether it takes its
    parameters.

    Raises:
        UserError: parameters contradict each other, or there is no such device.
    """
    resolve_device(settings.device, job.method)
    if create:
        _create(job)


def _attempt(work: Callable[[], Result]) -> Result | Failure:
    """Do what a plugin may do wrong; its failure is a result, not the end of the run."""
    try:
        return work()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  a method may raise anything
        return _failure(error)


def _failure(error: BaseException) -> Failure:
    kind, _, message = describe(error).partition(": ")
    return Failure(kind=kind, message=message, traceback="".join(traceback.format_exception(error)))


def _create(job: Job) -> Method | Failure:
    try:
        code = load_code(job.method.code)
        # After the import: it may have been the first to bring in torch.
        seed_everything(job.seed)
        method: Method = code(**job.params)
    except (UserError, KeyboardInterrupt):
        # Parameters that contradict each other are the user's mistake, not a result.
        raise
    except BaseException as error:  # noqa: BLE001  a method may raise anything
        return _failure(error)
    return method


def _fit(bench: _Workbench, method: Method, work: Path) -> Mapping[str, Model]:
    job = bench.job
    context = Context(seed=job.seed, device=bench.device, progress=_observed(job), scratch=work)
    with bench.clock.phase("fit"):
        models = method.fit(bench.train, dict(bench.validation_sets), context)
    missing = sorted(set(bench.validation_sets) - set(models))
    if missing:
        raise BadPredictionError(f"fit returned no model for {', '.join(missing)}")
    return models


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, of numpy, and of torch where it is in use."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  for methods that use the global generator
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _observed(job: Job) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, message: str) -> None:
        notify("genebench_job_progressed", job=job, done=done, total=total, message=message)

    return progress


def _evaluate(
    bench: _Workbench, evaluation: Evaluation, models: Mapping[str, Model] | Failure
) -> Record:
    if isinstance(models, Failure):
        return _record_failure(bench, evaluation, models)
    model = models[evaluation.protocol.name]
    test = bench.tests[evaluation.protocol.name]
    clock = Stopwatch()
    clock.seconds |= bench.clock.seconds
    with bench.store.scratch(evaluation.key) as scratch:
        failure = _predict(model, test, scratch, clock)
        if failure:
            return _record_failure(bench, evaluation, failure)
        predictions = np.load(scratch, mmap_mode="r", allow_pickle=False)
        with clock.phase("score"):
            scored = score(test, predictions, bench.metrics[evaluation.protocol.name])
        kept = _keep(bench, evaluation, model, scratch)
    if isinstance(kept, Failure):
        return _record_failure(bench, evaluation, kept)
    done = _attempt(
        lambda: _record_success(bench, evaluation, model, scored, kept=kept, clock=clock)
    )
    if isinstance(done, Failure):
        return _record_failure(bench, evaluation, done)
    return bench.store.write(*done)


def _keep(
    bench: _Workbench, evaluation: Evaluation, model: Model, predictions: Path
) -> dict[str, str] | Failure:
    """Keep what the user asked to be kept; return the digests of the files."""
    kept = {}
    if "predictions" in bench.settings.keep:
        kept["predictions"] = bench.store.keep(predictions, evaluation.key, "predictions")
    if "model" in bench.settings.keep:
        tensors = _attempt(lambda: tensors_of(model))
        if isinstance(tensors, Failure):
            return tensors
        kept["model"] = _keep_model(bench, evaluation, tensors) if tensors else UNSAVED
    return kept


def _keep_model(bench: _Workbench, evaluation: Evaluation, tensors: Tensors) -> str:
    with bench.store.scratch(evaluation.key) as path:
        save_model(path, tensors, evaluation.identity, evaluation.key, bench.train)
        return bench.store.keep(path, evaluation.key, "model")


def _predict(model: Model, test: Profiles, scratch: Path, clock: Stopwatch) -> Failure | None:
    """Write predictions block by block; only what the model itself does can fail the job."""
    shape = (len(test), len(test.target_genes))
    with scratch.open("wb") as stream:
        writer = NpyWriter(stream, shape, np.float32)
        for landmarks in test.landmark_blocks():
            with clock.phase("predict"):
                block = _attempt(lambda given=landmarks: predict(model, given, shape[1]))  # type: ignore[misc]
            if isinstance(block, Failure):
                return block
            writer.append(block)
        writer.close()
    return None


def _record_success(
    bench: _Workbench, evaluation: Evaluation, model: Model, scored: Scoring,
    *, kept: Mapping[str, str], clock: Stopwatch,
) -> tuple[Record, dict[str, NDArray[Any]]]:  # fmt: skip
    record = _record(
        bench,
        evaluation,
        choices={name: _plain(value) for name, value in model.choices.items()},
        curves=_curves(model),
        model_parameters=_n_parameters(model),
        notes=(*model.notes, *scored.faults, *_UNSAVED_NOTES.get(kept.get("model", ""), ())),
        scores=scored.scores(),
        constant_truth=scored.constant_truth,
        constant_prediction=scored.constant_prediction,
        seconds=clock.seconds,
        **kept,
    )
    return record, scored.vectors | _per_target(model, record.genes["target"])


def _curves(model: Model) -> dict[str, dict[str, list[float]]]:
    curves = {
        name: {column: [float(value) for value in values] for column, values in curve.items()}
        for name, curve in model.curves.items()
    }
    for name, curve in curves.items():
        if len({len(values) for values in curve.values()}) > 1:
            raise BadModelError(f"curve {name}: its columns are not of one length")
    # A table without a point says nothing of how anything was chosen.
    return {name: curve for name, curve in curves.items() if any(curve.values())}


def _n_parameters(model: Model) -> int | None:
    number = _plain(model.n_parameters)
    if number is not None and (type(number) is not int or number < 0):
        raise BadModelError(f"n_parameters: {number!r} is not a number of parameters")
    return number


def _per_target(model: Model, n_targets: int) -> dict[str, NDArray[Any]]:
    vectors = {f"{GENE_MODEL}{name}": np.asarray(v) for name, v in model.per_target.items()}
    for name, values in vectors.items():
        if values.shape != (n_targets,) or values.dtype.kind not in "biuf":
            raise BadModelError(f"{name}: {values.shape} is not one number for each target")
    return vectors


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python value it stands for; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _record_failure(bench: _Workbench, evaluation: Evaluation, failure: Failure) -> Record:
    record = _record(bench, evaluation, failure=failure, seconds=bench.clock.seconds)
    return bench.store.write(record, {})


def _record(bench: _Workbench, evaluation: Evaluation, **outcome: Any) -> Record:
    job, name = bench.job, evaluation.protocol.name
    test = bench.tests[name]
    blank: dict[str, Any] = {
        "choices": {}, "notes": (), "scores": {}, "vectors": "", "model_parameters": None,
        "predictions": "", "constant_truth": 0, "constant_prediction": 0, "failure": None,
    }  # fmt: skip
    return Record(
        format=RECORD_FORMAT,
        key=evaluation.key,
        status="failed" if outcome.get("failure") else "done",
        identity=evaluation.identity,
        dataset=job.dataset,
        preset=job.preset,
        published_data=bench.published,
        profiles={
            "train": len(bench.train),
            "validation": len(bench.validation_sets[name]),
            "test": len(test),
        },
        genes={"landmark": len(test.landmark_genes), "target": len(test.target_genes)},
        metrics=metric_digests(bench.metrics[name]),
        shared_fit=tuple(item.protocol.name for item in job.evaluations),
        peak_memory=bench.memory.read(),
        peak_memory_scope=bench.memory.scope,
        provenance=_provenance(bench),
        **(blank | outcome),
    )


def _provenance(bench: _Workbench) -> Provenance:
    shelves = registry()
    method = shelves.methods.plugins[bench.job.method.name]
    names = {name for item in bench.job.evaluations for name in item.identity.splits}
    splits = [shelves.splits.plugins[name] for name in sorted(names)]
    taking_part = [method, *shelves.metrics.plugins.values(), *splits]
    return provenance(bench.settings.command, bench.started, bench.device, taking_part)
