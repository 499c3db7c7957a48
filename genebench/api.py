"""The Python API; the command line calls the same functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import pandas as pd

from genebench.analysis.curves import curves
from genebench.analysis.tidy import tidy
from genebench.catalog import catalog
from genebench.data.profiles import Profiles
from genebench.data.store import Dataset
from genebench.device import Device
from genebench.errors import unknown
from genebench.job import Settings, check
from genebench.library import is_ready, open_dataset, suggested_preset
from genebench.plan import Job, Plan, Request, make_plan, merged
from genebench.plugins import load_code
from genebench.progress import Progress, silent
from genebench.results import DEFAULT_RESULTS
from genebench.results.record import Record
from genebench.results.store import Kept, ResultsStore
from genebench.specs import PRESETS
from genebench.suite import Run, Suite, texts

Names = str | Iterable[str]
"""Comma-separated names, or a sequence of names; ``all`` stands for every one."""


class Parts(NamedTuple):
    """The three parts that a protocol uses."""

    train: Profiles
    select: Profiles
    test: Profiles


class Results(NamedTuple):
    """Records, and their tidy table."""

    records: list[Record]

    @property
    def table(self) -> pd.DataFrame:
        """One row per dataset, protocol, method, preset, seed, panel and metric."""
        return tidy(self.records)

    def curve(self, name: str) -> pd.DataFrame:
        """How λ, k or an epoch was chosen (``path``, ``learning``): one row per point."""
        return curves(self.records, name)


def load(
    dataset: str = "sim", protocol: str = "geo", *, preset: str | None = None, mmap: bool = False
) -> Parts:
    """Load a dataset as a protocol sees it: ``.train``, ``.select`` and ``.test``.

    Each has ``.landmarks`` and ``.targets`` (float32, profiles × genes, standardised) and the
    tables ``.profiles``, ``.landmark_genes`` and ``.target_genes``. With ``mmap`` the matrices
    are read-only memory maps, kept in the dataset's cache; otherwise arrays.

    Raises:
        UserError: an unknown dataset, protocol or preset.
    """
    spec = catalog().protocols.get(protocol)
    opened = open_dataset(dataset, catalog().datasets, preset)
    return Parts(
        *(opened.profiles(part, mmap=mmap) for part in (spec.train, spec.select, spec.test))
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
    device: Device = "auto",
    engine: str = "local",
    keep: Names = (),
    retry_failed: bool = False,
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
        retry_failed: try again what failed earlier.

    Returns:
        The records of everything asked for, failed ones included, in the order of the plan.

    Raises:
        UserError: an unknown name or parameter, a value out of range, results not writable.
    """
    check_choices(engine, device)
    kept = _kept(keep)
    plan = plan_run(
        methods, protocols, dataset,
        preset=preset, seeds=seeds, overrides=texts(params or {}), grid=texts(grid or {}),
        results=Path(results), keep=kept,
    )  # fmt: skip
    settings = Settings(results=Path(results), device=device, keep=kept)
    for _ in execute_plan(plan.remaining(retry_failed=retry_failed), settings, engine):
        pass
    return Results(planned_records(plan, Path(results)))


def records(results: Path | str = DEFAULT_RESULTS) -> Results:
    """Every record in a results folder, by dataset, protocol, method and seed.

    Raises:
        UserError: it is no results folder, or a record is damaged.
    """
    found = ResultsStore(Path(results)).records()
    return Results(sorted(found, key=_reading_order))


def _reading_order(record: Record) -> tuple[str, str, str, int, str]:
    identity = record.identity
    return record.dataset, identity.protocol, identity.method, identity.seed, record.key


def is_built(dataset: str, preset: str | None) -> bool:
    """Whether a dataset is there already; one that nobody knows counts as there."""
    return is_ready(dataset, catalog().datasets, preset)


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
    trials: bool = False,
    progress: Progress = silent,
) -> Plan:
    """Check every name, open (or build) the dataset, and turn the request into jobs."""
    offered = catalog()
    request = Request(
        methods=_names(methods),
        protocols=_names(protocols),
        preset=preset_of(dataset, preset),
        seeds=seeds,
        overrides=overrides,
        grid=grid or {},
        keep=frozenset(keep),
        trials=trials,
    )
    # Names first: a typing error should not wait for a dataset to be built.
    offered.methods.choose(request.methods)
    offered.protocols.choose(request.protocols)
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
    return preset or suggested_preset(dataset, catalog().datasets)


def plan_suite(
    suite: Suite,
    dataset: str | None = None,
    *,
    preset: str | None = None,
    protocols: Names | None = None,
    seeds: int | None = None,
    results: Path,
    keep: Iterable[Kept] = (),
    progress: Progress = silent,
) -> Plan:
    """The plan of a suite; what is given here goes before what the suite says."""

    def plan(run: Run) -> Plan:
        methods = [spec.name for spec in catalog().methods.choose(run.methods)]
        return plan_run(
            methods,
            suite.protocols if protocols is None else protocols,
            dataset or suite.dataset or "sim",
            preset=preset or suite.preset,
            seeds=suite.seeds if seeds is None else seeds,
            overrides=dict.fromkeys(methods, texts(run.set)) if run.set else {},
            grid=dict.fromkeys(methods, texts(run.grid)) if run.grid else {},
            results=results,
            keep=keep,
            progress=progress,
        )

    return merged(map(plan, suite.runs))


def check_choices(engine: str, device: str) -> None:
    """Refuse an unknown engine or device before anything is done."""
    catalog().engines.get(engine)
    if device not in get_args(Device):
        raise unknown("device", device, get_args(Device))


def execute_plan(jobs: list[Job], settings: Settings, engine: str = "local") -> Iterable[Job]:
    """Hand jobs to an engine; yields each once it has ended."""
    launch = load_code(catalog().engines.get(engine).code)
    ResultsStore(settings.results).prepare()
    for job in jobs:
        check(job, settings)
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
