"""The Python API; the command line calls the same functions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import pandas as pd

from genebench._util.progress import Progress, silent
from genebench._util.text import printable
from genebench.analysis import vectors
from genebench.analysis.curves import curves
from genebench.analysis.tidy import tidy
from genebench.data.profiles import Profiles
from genebench.data.store import Dataset
from genebench.datasets.library import is_ready, open_dataset, suggested_preset
from genebench.errors import UserError, unknown
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.results import DEFAULT_RESULTS
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.execute import check
from genebench.runs.jobs import Job, Kept, Settings
from genebench.runs.plan import Plan, Request, make_plan, merged, wanted_metrics
from genebench.runs.suite import Run, Suite, texts
from genebench.specs import PRESETS, DeviceChoice

log = logging.getLogger("genebench")

Names = str | Iterable[str]
"""Comma-separated names, or a sequence of names; ``all`` stands for every one."""


class Parts(NamedTuple):
    """The three parts that a protocol uses."""

    train: Profiles
    validation: Profiles
    test: Profiles


class Results(NamedTuple):
    """Records, and tables of what they hold."""

    records: list[Record]
    folder: Path = DEFAULT_RESULTS
    """Where they are."""

    @property
    def table(self) -> pd.DataFrame:
        """One row per dataset, protocol, method, preset, seed, panel and metric."""
        return tidy(self.records)

    @property
    def _vectors_of(self) -> vectors.VectorsOf:
        return vectors.Readable(ResultsStore(self.folder).vectors)

    def curve(self, name: str) -> pd.DataFrame:
        """How λ, k or an epoch was chosen (``path``, ``learning``): one row per point."""
        return curves(self.records, name)

    def genes(self, metric: str = "mae", *, wide: bool = False) -> pd.DataFrame:
        """A metric's value per target gene; ``wide``: one row per gene, one column per record."""
        return vectors.genes(self.records, self._vectors_of, metric, wide=wide)

    def profiles(self, metric: str = "mae", *, wide: bool = False) -> pd.DataFrame:
        """A metric's value, or its share in the score, per test profile; ``wide`` as in genes."""
        return vectors.profiles(self.records, self._vectors_of, metric, wide=wide)


def load(
    dataset: str = "sim", protocol: str = "geo", *, preset: str | None = None, mmap: bool = False
) -> Parts:
    """Load a dataset as a protocol sees it: ``.train``, ``.validation`` and ``.test``.

    Each has ``.landmarks`` and ``.targets`` (float32, profiles × genes, standardised) and the
    tables ``.profiles``, ``.landmark_genes`` and ``.target_genes``. With ``mmap`` the matrices
    are read-only memory maps, kept in the dataset's cache; otherwise arrays.

    Raises:
        UserError: an unknown dataset, protocol or preset.
    """
    spec = registry().protocols.get(protocol)
    opened = open_dataset(dataset, registry().datasets, preset)
    return Parts(
        *(opened.profiles(part, mmap=mmap) for part in (spec.train, spec.validation, spec.test))
    )


def run(
    methods: Names = "all",
    protocols: Names = ("geo", "gtex"),
    dataset: str = "sim",
    *,
    preset: str | None = None,
    seeds: int = 1,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    grid: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    results: Path | str = DEFAULT_RESULTS,
    device: DeviceChoice = "auto",
    engine: str = "local",
    keep: Names = (),
    metrics: Names = (),
    retry_failed: bool = False,
    time_limit: float | None = None,
    memory_limit: int | None = None,
) -> Results:
    """Evaluate methods under protocols on a dataset; what ``results`` holds is not done again.

    Args:
        methods: names, or ``all``; controls are always added.
        protocols: names, or ``all``.
        dataset: a built-in or prepared dataset.
        preset: ``tiny``, ``small`` or ``paper``; what the dataset suggests unless given.
        seeds: how many seeds stochastic methods are run with.
        params: method → parameter → value, where not the preset's.
        grid: method → parameter → values; the method is run with every combination.
        results: folder of the results.
        device: ``cuda`` and ``auto`` concern the methods that can use a GPU.
        engine: where jobs are executed.
        keep: ``predictions`` (float32, profiles × targets), ``model`` (see :func:`open_model`).
        metrics: costly metrics to score besides the others; ``all`` for every one.
        retry_failed: try again what failed earlier.
        time_limit: seconds after which a job is stopped; with a limit, each job has a process of
            its own.
        memory_limit: bytes that a job may hold, pages of mapped files not counted.

    Returns:
        The records of everything asked for, failed ones included, in the order of the plan.

    Raises:
        UserError: an unknown name or parameter, a value out of range, results not writable.
    """
    engine = engine_of(engine, time_limit, memory_limit)
    check_choices(engine, device)
    kept, asked = _kept(keep), tuple(_names(metrics))
    plan = plan_run(
        methods, protocols, dataset,
        preset=preset, seeds=seeds, overrides=texts(params or {}), grid=texts(grid or {}),
        results=Path(results), keep=kept, metrics=asked,
    )  # fmt: skip
    settings = Settings(
        results=Path(results), device=device, keep=kept, metrics=asked,
        time_limit=time_limit, memory_limit=memory_limit,
    )  # fmt: skip
    for _ in execute_plan(plan.remaining(retry_failed=retry_failed), settings, engine):
        pass
    return Results(planned_records(plan, Path(results)), Path(results))


def records(results: Path | str = DEFAULT_RESULTS) -> Results:
    """Every record in a results folder, by dataset, protocol, method and seed.

    A record that cannot be read is left out, with a warning that names file and fault.

    Raises:
        UserError: it is no results folder.
    """
    found, faults = ResultsStore(Path(results)).sound()
    for fault in faults:
        log.warning("left out: %s", printable(fault.line))
    return Results(sorted(found, key=_reading_order), Path(results))


def _reading_order(record: Record) -> tuple[str, str, str, int, str]:
    identity = record.identity
    return record.dataset, identity.protocol, identity.method, identity.seed, record.key


def is_built(dataset: str, preset: str | None) -> bool:
    """Whether a dataset is there already; one that nobody knows counts as there."""
    return is_ready(dataset, registry().datasets, preset)


def plan_run(
    methods: Names,
    protocols: Names,
    dataset: str,
    *,
    preset: str | None,
    seeds: int,
    overrides: Mapping[str, Mapping[str, str]],
    grid: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    results: Path,
    keep: Iterable[Kept] = (),
    metrics: Names = (),
    trials: bool = False,
    progress: Progress = silent,
) -> Plan:
    """Check every name, open (or build) the dataset, and turn the request into jobs."""
    offered = registry()
    request = Request(
        methods=_names(methods),
        protocols=_names(protocols),
        preset=preset_of(dataset, preset),
        seeds=seeds,
        overrides=overrides,
        grid=grid or {},
        keep=frozenset(keep),
        metrics=_names(metrics),
        trials=trials,
    )
    # Names first: a typing error should not wait for a dataset to be built.
    offered.methods.choose(request.methods)
    offered.protocols.choose(request.protocols)
    wanted_metrics(offered, request.metrics)
    store = ResultsStore(results)
    store.check()
    opened = open_dataset(dataset, offered.datasets, preset, progress)
    return make_plan(request, opened, dataset, offered, store)


def preset_of(dataset: str, preset: str | None) -> str:
    """The preset that is asked for, or else what the dataset suggests.

    Raises:
        UserError: there is no such preset, or no such dataset.
    """
    if preset is not None and preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    return preset or suggested_preset(dataset, registry().datasets)


def plan_suite(
    suite: Suite,
    dataset: str | None = None,
    *,
    preset: str | None = None,
    protocols: Names | None = None,
    seeds: int | None = None,
    results: Path,
    keep: Iterable[Kept] = (),
    metrics: Names = (),
    progress: Progress = silent,
) -> Plan:
    """The plan of a suite; what is given here goes before what the suite says."""
    name = dataset or suite.dataset or "sim"
    size = preset_of(name, preset or suite.preset)

    def plan(run: Run) -> Plan:
        methods = [spec.name for spec in registry().methods.choose(run.methods)]
        settings = run.at(size)
        return plan_run(
            methods,
            suite.protocols if protocols is None else protocols,
            name,
            preset=preset or suite.preset,
            seeds=suite.seeds if seeds is None else seeds,
            overrides=dict.fromkeys(methods, texts(settings.set)) if settings.set else {},
            grid=dict.fromkeys(methods, texts(settings.grid)) if settings.grid else {},
            results=results,
            keep=keep,
            metrics=metrics,
            progress=progress,
        )

    return merged(map(plan, suite.runs))


def check_choices(engine: str, device: str) -> None:
    """Refuse an unknown engine or device before anything is done."""
    registry().engines.get(engine)
    if device not in get_args(DeviceChoice):
        raise unknown("device", device, get_args(DeviceChoice))


def engine_of(engine: str, *limits: float | None) -> str:
    """The engine to use: a limit needs one that can stop a job.

    Raises:
        UserError: another one is asked for.
    """
    if all(limit is None for limit in limits):
        return engine
    if engine not in ("local", "process"):
        raise UserError(f"engine {engine} keeps no limits; leave them out, or use engine process")
    return "process"


def execute_plan(jobs: list[Job], settings: Settings, engine: str = "local") -> Iterable[Job]:
    """Hand jobs to an engine; yields each once it has ended."""
    spec = registry().engines.get(engine)
    launch = load_code(spec.code)
    ResultsStore(settings.results).prepare()
    for job in jobs:
        check(job, settings, create=not spec.contains)
    yield from launch(jobs, settings)


def planned_records(plan: Plan, results: Path) -> list[Record]:
    """The records of a plan's evaluations that exist, in the order of the plan."""
    store = ResultsStore(results)
    found = (store.read(evaluation.key) for _, evaluation in plan.evaluations)
    return [record for record in found if record]


def _kept(names: Names) -> frozenset[Kept]:
    wanted, known = _names(names), get_args(Kept)
    for name in wanted:
        if name not in known:
            raise unknown("thing to keep", name, known)
    return frozenset(cast("list[Kept]", wanted))


def _names(names: Names) -> list[str]:
    return names.split(",") if isinstance(names, str) else list(names)


__all__ = [
    "DEFAULT_RESULTS",
    "Dataset",
    "Parts",
    "Results",
    "check_choices",
    "engine_of",
    "execute_plan",
    "is_built",
    "load",
    "plan_run",
    "plan_suite",
    "planned_records",
    "preset_of",
    "records",
    "run",
]
