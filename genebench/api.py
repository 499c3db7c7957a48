"""The Python API. The command line calls the same functions."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pandas as pd

from genebench._util.notebook import Figures, paragraph
from genebench._util.progress import Progress, silent
from genebench._util.text import printable
from genebench.analysis import vectors
from genebench.analysis.curves import curves
from genebench.analysis.folds import fold_table
from genebench.analysis.tidy import tidy
from genebench.data.profiles import Profiles
from genebench.data.store import Dataset
from genebench.datasets.library import is_ready, open_dataset, suggested_preset
from genebench.errors import UserError, describe, some, unknown
from genebench.explaining.enrichment import read_gmt
from genebench.explaining.explanation import Explanation
from genebench.explaining.making import (
    ModelRun,
    check_explanation,
    explanation_of,
    subject_of,
)
from genebench.explaining.settings import settings_from
from genebench.explaining.subject import Wanted
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.reports.cost import CostReport
from genebench.reports.summary import SummaryReport
from genebench.results import DEFAULT_RESULTS
from genebench.results.record import Kept, Record
from genebench.results.store import ResultsStore
from genebench.runs.config import (
    Amounts,
    Defaults,
    default_engine,
    default_options,
    merged_resources,
    read_config,
)
from genebench.runs.estimates import estimates, remember
from genebench.runs.execute import check
from genebench.runs.jobs import Job, Settings, default_seal, seal_choice
from genebench.runs.live import jobs_line
from genebench.runs.members import with_members
from genebench.runs.orders import remove_outdated
from genebench.runs.plan import (
    Plan,
    Request,
    chosen_methods,
    make_plan,
    merge_plans,
    wanted_metrics,
)
from genebench.runs.resources import with_resources
from genebench.runs.suite import Parameters, Run, Suite, check_lists, grid_texts, texts
from genebench.specs import (
    ALL,
    PRESETS,
    DeviceChoice,
    EngineSpec,
    ProtocolSpec,
    SealChoice,
)

log = logging.getLogger("genebench")

Names = str | Iterable[str]
"""Comma-separated names, or a sequence of names. ``all`` stands for every one."""


class Parts(NamedTuple):
    """The three sets of profiles that a protocol uses."""

    train: Profiles
    validation: Profiles
    test: Profiles


class Results(NamedTuple):
    """Records, and tables of their content. A notebook shows a summary."""

    records: list[Record]
    folder: Path = DEFAULT_RESULTS
    """The folder that they are in."""

    def __repr__(self) -> str:
        states = Counter(record.status for record in self.records)
        methods = some(dict.fromkeys(record.identity.method for record in self.records), 6)
        protocols = some(dict.fromkeys(record.identity.protocol for record in self.records))
        counts = ", ".join(f"{number} {state}" for state, number in states.items())
        of = f" of {methods} under {protocols}" if self.records else ""
        return f"<Results{of}: {counts or 'none'}, in {self.folder}>"

    def _repr_html_(self) -> str:
        if not self.records:
            return paragraph(repr(self))
        return SummaryReport(
            tuple(self.records), registry(), vectors_of=self._vectors_of, with_costs=False
        )._repr_html_()

    def plot(self) -> Figures:
        """Return figures of score against cost, one for each protocol and metric.

        :func:`genebench.report` and :func:`genebench.compare` have others.

        Raises:
            UserError: matplotlib is not installed.
        """
        return CostReport(tuple(self.records), registry()).plot()

    @property
    def table(self) -> pd.DataFrame:
        """Scores: one row per dataset, protocol, method, preset, seed, panel and metric."""
        return tidy(self.records)

    @property
    def _vectors_of(self) -> vectors.VectorsOf:
        return vectors.Readable(ResultsStore(self.folder).vectors)

    @property
    def folds(self) -> pd.DataFrame:
        """Scores of folds: one row per fold, method, seed, panel and metric."""
        return fold_table(self.records)

    def curve(self, name: str) -> pd.DataFrame:
        """Return the curve by which λ, k or an epoch was chosen, one row per point.

        Args:
            name: ``path`` (over λ or k), ``learning`` (over epochs), or another of a method.
        """
        return curves(self.records, name)

    def genes(self, metric: str = "mae", *, wide: bool = False) -> pd.DataFrame:
        """Return a metric's value per target gene.

        With ``wide``, there is one row per gene and one column per record.
        """
        return vectors.genes(self.records, self._vectors_of, metric, wide=wide)

    def profiles(self, metric: str = "mae", *, wide: bool = False) -> pd.DataFrame:
        """Return a metric's value, or its share in the score, per test profile.

        With ``wide``, there is one row per profile and one column per record.
        """
        return vectors.profiles(self.records, self._vectors_of, metric, wide=wide)


def load(
    dataset: str = "sim", protocol: str = "geo", *, preset: str | None = None, mmap: bool = False
) -> Parts:
    """Load the profiles of a protocol: ``.train``, ``.validation`` and ``.test``.

    Each has ``.landmarks`` and ``.targets`` (float32, profiles × genes, standardised) and the
    tables ``.profiles``, ``.landmark_genes`` and ``.target_genes``.

    Args:
        dataset: a built-in or prepared dataset.
        protocol: name of the protocol.
        preset: size of the dataset, where it has several.
        mmap: whether the matrices are read-only memory maps from the dataset's cache. Otherwise
            they are arrays.

    Raises:
        UserError: an unknown dataset, protocol or preset.
    """
    spec = registry().protocols.single(protocol)
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
    train_sizes: Iterable[int | str] = (),
    params: Mapping[str, Mapping[str, Any]] | None = None,
    grid: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    results: Path | str = DEFAULT_RESULTS,
    device: DeviceChoice = "auto",
    engine: str | None = None,
    engine_options: Mapping[str, Any] | None = None,
    resources: Amounts | None = None,
    keep: Names = (),
    metrics: Names = (),
    retry_failed: bool = False,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    sealed: SealChoice | None = None,
) -> Results:
    """Evaluate methods under protocols on a dataset. Results that exist are not computed again.

    Args:
        methods: names, or ``all``. Controls are always added.
        protocols: names, or ``all``.
        dataset: a built-in or prepared dataset.
        preset: ``tiny``, ``small`` or ``paper``. By default, the dataset suggests one.
        seeds: how many seeds stochastic methods are run with.
        train_sizes: numbers of training profiles, or ``all``. Every protocol is run at each.
        params: method → parameter → value, in place of the preset's.
        grid: method → parameter → values. The method is run with every combination.
        results: folder of the results.
        device: ``auto``, ``cpu`` or ``cuda``, for the methods that can use a GPU.
        engine: where jobs are executed. By default, as the user's config file says, or the first
            engine that keeps the limits: ``local``, or ``process`` with a limit.
        engine_options: option of the engine → value, in place of the config file's.
        resources: method → ``cpus``, ``gpus``, ``memory`` (bytes) or ``seconds`` → what an engine
            reserves for a job. The method is an empty text for every method.
        keep: ``predictions`` (float32, profiles × targets), ``model`` (see :func:`open_model`).
        metrics: costly metrics to score besides the others, or ``all``.
        retry_failed: whether to try again what failed earlier.
        time_limit: seconds after which a job is stopped.
        memory_limit: bytes that a job may hold, pages of mapped files not counted.
        sealed: methods to run where they cannot reach test data: ``auto`` (those that genebench
            does not ship), ``require`` (all, or stop) or ``off``. By default, as the environment
            variable ``GENEBENCH_SEALED`` says, or ``auto``.

    Returns:
        The records of everything asked for, failed ones included, in the order of the plan.

    Raises:
        UserError: an unknown name or parameter, a value out of range, a limit that the engine does
            not support, or results that cannot be written.
    """
    settings = Settings(
        results=Path(results), device=device_choice(device), keep=_kept(keep),
        metrics=tuple(listed(metrics)), time_limit=time_limit, memory_limit=memory_limit,
        sealed=default_seal() if sealed is None else seal_choice(sealed),
    )  # fmt: skip
    engine, settings = configure(
        settings, engine, options={"": texts(engine_options or {})}, resources=resources or {}
    )
    fixed, axes = params or {}, grid or {}
    overrides, points = texts(fixed), grid_texts(axes)
    for name in {**fixed, **axes}:
        check_lists(registry().methods.get(name), fixed.get(name, {}), axes.get(name, {}))
    plan = plan_run(
        methods, protocols, dataset,
        preset=preset, seeds=seeds, train_sizes=train_sizes,
        overrides=overrides, grid=points,
        results=settings.results, keep=settings.keep, metrics=settings.metrics,
        sealed=settings.sealed,
    )  # fmt: skip
    jobs = plan.remaining(retry_failed=retry_failed)
    with jobs_line(len(jobs)):
        for _ in execute_plan(jobs, settings, engine):
            pass
    return Results(planned_records(plan, settings.results), settings.results)


def records(results: Path | str = DEFAULT_RESULTS) -> Results:
    """Return every record in a results folder, by dataset, protocol, method, seed and key.

    A record that cannot be read is left out, with a warning that names file and fault.

    Raises:
        UserError: it is no results folder.
    """
    sound, faults = ResultsStore(Path(results)).sound()
    for fault in faults:
        log.warning("left out: %s", printable(fault.line))
    return Results(sorted(sound, key=_reading_order), Path(results))


def _reading_order(record: Record) -> tuple[str, str, str, int, str]:
    identity = record.identity
    return record.dataset, identity.protocol, identity.method, identity.seed, record.key


def is_built(dataset: str, preset: str | None) -> bool:
    """Return whether a dataset needs no preparation.

    The result is also true for an unknown name, because there is nothing to prepare.
    """
    return is_ready(dataset, registry().datasets, preset)


def digest_here(dataset: str, preset: str | None) -> str:
    """Return the digest of a dataset, or an empty text if it is not prepared on this machine."""
    opened = _prepared_here(dataset, preset)
    return opened.digest if opened else ""


def origins(records: Iterable[Record]) -> dict[str, Mapping[str, str]]:
    """Return digest → origin, for the datasets of records that are prepared on this machine."""
    names = {(record.dataset, record.preset) for record in records}
    opened = [_prepared_here(dataset, preset) for dataset, preset in sorted(names)]
    return {dataset.digest: dataset.info["origin"] for dataset in opened if dataset}


def _prepared_here(dataset: str, preset: str | None) -> Dataset | None:
    """Return a dataset that needs no preparation, or None. An unknown name is none."""
    specs = registry().datasets
    try:
        return open_dataset(dataset, specs, preset) if is_ready(dataset, specs, preset) else None
    except UserError:
        return None


def plan_run(
    methods: Names,
    protocols: Names,
    dataset: str,
    *,
    preset: str | None,
    seeds: int,
    train_sizes: Iterable[int | str] = (),
    overrides: Mapping[str, Mapping[str, str]],
    grid: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    results: Path,
    keep: Iterable[Kept] = (),
    metrics: Names = (),
    trials: bool = False,
    sealed: SealChoice = "auto",
    build: bool = True,
    progress: Progress = silent,
) -> Plan:
    """Check every name, open (or build) the dataset, and turn the request into jobs.

    Args:
        methods: names, or ``all``.
        protocols: names, or ``all``.
        dataset: a built-in or prepared dataset.
        preset: the preset, or None for the one that the dataset suggests.
        seeds: how many seeds stochastic methods are run with.
        train_sizes: numbers of training profiles, or ``all``. Every protocol is run at each.
        overrides: method → parameter → value, as typed.
        grid: method → parameter → values, as typed.
        results: folder of the results.
        keep: files to keep. Results without them are to be done again.
        metrics: costly metrics to score as well.
        trials: whether to score on the validation profiles only.
        sealed: which methods are to be sealed. Under ``require``, other results are to be done
            again.
        build: whether a dataset that is not built yet is built. Otherwise the plan has its jobs,
            without keys that mean anything.
        progress: called while the dataset is built.

    Raises:
        UserError: an unknown name or parameter, a value out of range, a missing platform.
    """
    store = ResultsStore(results)
    plan = _planned(
        Request(
            methods=listed(methods),
            protocols=registry().protocols.sized_names(listed(protocols), train_sizes),
            every_protocol=ALL in listed(protocols),
            preset=preset_of(dataset, preset),
            seeds=seeds,
            overrides=overrides,
            grid=grid or {},
            keep=frozenset(keep),
            metrics=listed(metrics),
            trials=trials,
            sealed=sealed,
        ),
        dataset, preset, store, progress, build=build,
    )  # fmt: skip
    return with_members(plan, store, sealed)


def _planned(
    request: Request,
    dataset: str,
    preset: str | None,
    store: ResultsStore,
    progress: Progress,
    *,
    build: bool,
) -> Plan:
    """Check names, open the dataset, and plan a request. Members are not looked up yet."""
    specs = registry()
    # Names first: a typing error should not wait for a dataset to be built, which takes minutes.
    chosen_methods(request, specs)
    specs.protocols.choose(request.protocols)
    wanted_metrics(specs, request.metrics)
    store.check()
    opened = None
    if build or is_ready(dataset, specs.datasets, preset):
        opened = open_dataset(dataset, specs.datasets, preset, progress)
    return make_plan(request, opened, dataset, specs, store)


def preset_of(dataset: str, preset: str | None) -> str:
    """Return the preset that is asked for, or else the one that the dataset suggests.

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
    train_sizes: Iterable[int | str] | None = None,
    results: Path,
    keep: Iterable[Kept] = (),
    metrics: Names = (),
    sealed: SealChoice = "auto",
    build: bool = True,
    progress: Progress = silent,
) -> Plan:
    """Plan a suite. Arguments other than None replace the defaults of the suite.

    A method that others are made of has the parameters that their run gives it. Otherwise it has
    those of its own run in the suite, if there is exactly one, without a grid, or of the preset.

    Raises:
        UserError: as :func:`plan_run`.
    """
    name = dataset or suite.dataset or "sim"
    size = preset_of(name, preset or suite.preset)
    asked = listed(suite.protocols if protocols is None else protocols)
    names = registry().protocols.sized_names(
        asked,
        suite.train_sizes if train_sizes is None else train_sizes,
    )

    store = ResultsStore(results)
    of_members = _own_parameters(suite, size)

    def plan(run: Run) -> Plan:
        methods = [spec.name for spec in registry().methods.choose(run.methods)]
        parameters = run.at(size)
        for method in methods:
            check_lists(registry().methods.get(method), parameters.set, parameters.grid)
        own = dict.fromkeys(methods, texts(parameters.set)) if parameters.set else {}
        if run.members and not all(registry().methods.get(name).members for name in methods):
            raise UserError(
                f"suite {suite.title}: members are set in a run of {', '.join(methods)}, which is "
                "not made of others. Remove them, or give the ensemble a run of its own."
            )
        # Only a kept model can be explained.
        models: frozenset[Kept] = frozenset({"model"} if run.explain else ())
        request = Request(
            methods=methods,
            protocols=names,
            every_protocol=ALL in asked,
            preset=size,
            seeds=suite.seeds if seeds is None else seeds,
            overrides={**own, **texts(run.members)},
            grid=dict.fromkeys(methods, grid_texts(parameters.grid)) if parameters.grid else {},
            of_members=of_members,
            keep=frozenset({*keep, *models}),
            metrics=listed(metrics),
            sealed=sealed,
        )
        planned = _planned(
            request, name, preset or suite.preset, store, progress, build=build
        )  # fmt: skip
        jobs = tuple(replace(job, keep=job.keep | models) for job in planned.jobs)
        return replace(planned, jobs=jobs)

    # A member may be in any run, so members are looked up at the end.
    return with_members(merge_plans(map(plan, suite.runs)), store, sealed)


def _own_parameters(suite: Suite, preset: str) -> dict[str, dict[str, str]]:
    """Return method → parameter → value, as typed, of the methods with one run without a grid."""
    runs: dict[str, list[Parameters]] = {}
    for run in suite.runs:
        for spec in registry().methods.choose(run.methods):
            runs.setdefault(spec.name, []).append(run.at(preset))
    return {
        name: texts(found[0].set)
        for name, found in runs.items()
        if len(found) == 1 and not found[0].grid
    }


def explain(
    model: Path | str,
    protocol: str | None = None,
    *,
    dataset: str | None = None,
    preset: str | None = None,
    results: Path | str = DEFAULT_RESULTS,
    gmt: Path | str | None = None,
    device: DeviceChoice = "auto",
    progress: Progress = silent,
    **settings: Any,
) -> Explanation:
    """Explain a model: which landmarks its predictions rest on, and how far to trust that.

    It is kept beside the record of the model, and replaces an earlier explanation there.

    Args:
        model: the path of a saved model, the start of a record's key, a method,
            ``METHOD:PARAM=VALUE`` or ``METHOD@PROTOCOL``. A method without a kept model is run.
        protocol: the protocol. Default: ``geo``.
        dataset: a built-in or prepared dataset, for a method. Default: that of its results, or
            ``sim``.
        preset: ``tiny``, ``small`` or ``paper``, for a method that has to be run.
        results: folder of the results.
        gmt: a GMT file, whose gene sets are tested for over-representation.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: called after each pass.
        settings: fields of :class:`genebench.explaining.settings.Settings`, such as
            ``profile_clusters``.

    Raises:
        UserError: an unknown name or setting, too few profiles for the clusters, a GMT file without
            a known gene, or a model that cannot be explained.
    """
    wanted = Wanted.of(str(model), protocol)
    chosen = settings_from(settings)
    sets = read_gmt(Path(gmt)) if gmt else None

    def check(opened: Dataset, spec: ProtocolSpec) -> None:
        check_explanation(opened, spec, chosen, sets, str(gmt))

    results = Path(results)
    run = partial(run_for_model, results=results, device=device, progress=progress)
    subject = subject_of(
        wanted, dataset=dataset, preset=preset, results=results, device=device, check=check,
        run=run, progress=progress,
    )  # fmt: skip
    explanation = explanation_of(subject, chosen, sets, source=str(gmt), progress=progress)
    if subject.record and subject.store:
        explanation.save(subject.store.paths.explanation(subject.record.key))
    return explanation


def run_for_model(
    run: ModelRun,
    *,
    results: Path,
    device: str = "auto",
    execute: Callable[[Plan, Settings], None] | None = None,
    progress: Progress = silent,
) -> Record:
    """Run a method and keep its model. Return its record.

    Args:
        run: what is run.
        results: folder of the results.
        device: ``auto``, ``cpu`` or ``cuda``.
        execute: executes what is left of a plan. By default, the engine of the config file.
        progress: called while the dataset is built.

    Raises:
        UserError: the method fails, or is not applicable.
    """
    settings = Settings(
        results=results, device=device_choice(device), keep=frozenset({"model"}),
        sealed=default_seal(),
    )  # fmt: skip
    plan = plan_run(
        run.method, run.protocol, run.dataset, preset=run.preset, seeds=run.seed + 1,
        overrides={run.method: run.params} if run.params else {}, results=results,
        keep=settings.keep, sealed=settings.sealed, progress=progress,
    )  # fmt: skip
    # Controls have no part in an explanation.
    jobs = tuple(job for job in plan.jobs if job.method.name == run.method and job.seed == run.seed)
    plan = replace(plan, jobs=jobs)
    (execute or _execute_all)(plan, settings)
    [made] = planned_records(plan, results)
    if made.failure:
        raise UserError(
            f"{run.method} failed: {made.failure.kind}: {made.failure.message}. See genebench "
            "status."
        )
    if made.reason:
        raise UserError(
            f"{run.method} is not applicable to {run.protocol} on {run.dataset}: {made.reason}. "
            "Choose another method or protocol."
        )
    return made


def _execute_all(plan: Plan, settings: Settings) -> None:
    engine, settings = configure(settings)
    for _ in execute_plan(plan.remaining(retry_failed=True), settings, engine):
        pass


def device_choice(name: str) -> DeviceChoice:
    """Return a device that a user may ask for, by name. ``gpu`` is ``cuda``.

    Raises:
        UserError: there is no such device.
    """
    name = {"gpu": "cuda"}.get(name, name)
    choice: DeviceChoice
    for choice in get_args(DeviceChoice):
        if choice == name:
            return choice
    raise unknown("device", name, [*get_args(DeviceChoice), "gpu"])


def configure(
    settings: Settings,
    engine: str | None = None,
    *,
    options: Mapping[str, Mapping[str, str]] | None = None,
    resources: Amounts | None = None,
    suite: Mapping[str, Defaults] | None = None,
) -> tuple[str, Settings]:
    """Return the engine to use, and the settings with its options and with resources of jobs.

    Each value comes from the arguments, else from the suite, else from the config file.

    Args:
        settings: how jobs are to be executed, limits included.
        engine: the engine that is asked for, if any.
        options: engine → option → value, as typed. The empty name is the engine to use.
        resources: method → field of :class:`genebench.specs.Resources` → value. The empty name is
            every method.
        suite: name of a suite → its content, if a suite is run.

    Raises:
        UserError: there is no such engine, it does not support a limit, an option is for another
            engine, a value is not allowed, or the config file is wrong.
    """
    files = {**(suite or {}), **read_config()}
    engine = choose_engine(engine or default_engine(files), settings)
    spec = registry().engines.get(engine)
    asked: dict[str, str] = {}
    for name, values in (options or {}).items():
        if name and registry().engines.get(name) is not spec:
            raise UserError(
                f"Options of engine {name} are set, but engine {engine} executes the jobs. "
                f"Use --engine {name}, or remove the options."
            )
        asked |= values
    return engine, replace(
        settings,
        options=spec.values(default_options(files, spec) | asked),
        resources=merged_resources(resources or {}, files),
    )


def choose_engine(name: str | None, settings: Settings) -> str:
    """Return the name of the engine to use.

    Args:
        name: the engine that is asked for. None chooses the first in the registry that keeps the
            limits on this machine. Built-in engines come first there, and ``local`` is the first
            of them.
        settings: how jobs are to be executed, limits included.

    Raises:
        UserError: there is no such engine, it does not support a limit of the settings, or no
            engine supports all of them.
    """
    engines = registry().engines
    values = {"time": settings.time_limit, "memory": settings.memory_limit}
    limits = [limit for limit, value in values.items() if value is not None]
    able = [
        spec.name
        for spec in engines.specs.values()
        # Jobs on other machines take a queue and a shared folder, so a user must ask for them.
        if set(limits) <= set(spec.limits) and not spec.many_machines
    ]
    if name is None:
        if not able:
            raise UserError(
                f"No engine supports {' and '.join(limits)} limits together. "
                f"Remove {_limit_options(limits)}."
            )
        return able[0]
    engine = engines.get(name)
    missing = [limit for limit in limits if limit not in engine.limits]
    if missing:
        remedy = f", or use --engine {able[0]}" if able else ""
        raise UserError(
            f"Engine {name} does not support {' or '.join(missing)} limits. "
            f"Remove {_limit_options(missing)}{remedy}."
        )
    return name


def _limit_options(limits: Iterable[str]) -> str:
    return " and ".join(f"--{limit}-limit" for limit in limits)


def execute_plan(jobs: list[Job], settings: Settings, engine: str | None = None) -> Iterable[Job]:
    """Hand jobs to an engine. Yield each once it has ended.

    Jobs of methods that are made of others come last, once all other jobs have ended.

    Args:
        jobs: the jobs, such as :meth:`genebench.runs.plan.Plan.remaining` gives.
        settings: how they are executed, as :func:`configure` completes them.
        engine: name of the engine, as in :func:`choose_engine`.

    Raises:
        UserError: the engine does not support a limit, its code cannot be loaded, it ends without a
            result of some job, the results cannot be written, or a job has a mistake of the user's.
    """
    spec = registry().engines.get(choose_engine(engine, settings))
    launch = _engine_code(spec, spec.code)
    store = ResultsStore(settings.results)
    store.prepare()
    remove_outdated(settings.results)
    # An engine that contains methods creates them only where their jobs run.
    check(jobs, settings, create=not spec.contains, device=not spec.many_machines)
    if spec.many_machines or spec.assigns_devices:
        jobs = with_resources(jobs, settings, store)
    for wave in _waves(jobs):
        ended = launch(wave, settings)
        if not isinstance(ended, Iterable):
            raise UserError(
                f"Engine {spec.name}: {spec.code} returned {ended!r}, not the jobs that have "
                "ended. Correct its plugin, or use another --engine."
            )
        for job in ended:
            remember(job, store)
            yield job
        # An engine that forgets a job would leave a gap in the tables that nobody notices.
        without = [job for job in wave if any(not store.read(item.key) for item in job.evaluations)]
        if without:
            raise UserError(
                f"Engine {spec.name} ended without a result of {len(without)} of {len(wave)} "
                f"jobs, such as {without[0].label}. Correct its plugin, or use another --engine."
            )


def _waves(jobs: list[Job]) -> list[list[Job]]:
    """Return jobs in groups. Those of a group need only results of earlier groups."""
    made_of_others = [job for job in jobs if job.method.members]
    others = [job for job in jobs if not job.method.members]
    # An engine may prepare for jobs at length, so it is given no empty group, unless there is none.
    return [wave for wave in (others, made_of_others) if wave] or [[]]


def is_elsewhere(engine: str) -> bool:
    """Return whether an engine executes jobs on other machines."""
    return registry().engines.get(engine).many_machines


def preview(jobs: list[Job], settings: Settings, engine: str) -> str:
    """Return the text that an engine would submit for jobs. Empty if it submits none.

    Raises:
        UserError: the code of the engine cannot be loaded, or it refuses its options.
    """
    spec = registry().engines.get(engine)
    if not (spec.preview and jobs):
        return ""
    estimated = with_resources(jobs, settings, ResultsStore(settings.results))
    code = _engine_code(spec, spec.preview)
    return "\n\n".join(str(code(wave, settings)) for wave in _waves(estimated))


def _engine_code(spec: EngineSpec, code: str) -> Any:
    """Return the object that an import string of an engine names."""
    try:
        return load_code(code)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"Engine {spec.name}: {code} cannot be loaded ({describe(error)}). "
            "Correct its plugin, or use another --engine."
        ) from error


def planned_records(plan: Plan, results: Path) -> list[Record]:
    """Return the records that exist of a plan's evaluations, in the order of the plan."""
    store = ResultsStore(results)
    stored = (store.read(evaluation.key) for _, evaluation in plan.evaluations)
    return [record for record in stored if record]


def _kept(names: Names) -> frozenset[Kept]:
    """Return the kinds of files to keep, by name."""
    kinds: dict[str, Kept] = {kind: kind for kind in get_args(Kept)}
    wanted = listed(names)
    for name in wanted:
        if name not in kinds:
            raise unknown("thing to keep", name, kinds)
    return frozenset(kinds[name] for name in wanted)


def listed(names: Names) -> list[str]:
    """Return names that may be one text with commas."""
    return names.split(",") if isinstance(names, str) else list(names)


__all__ = [
    "DEFAULT_RESULTS",
    "Dataset",
    "Explanation",
    "Parts",
    "Results",
    "choose_engine",
    "configure",
    "device_choice",
    "digest_here",
    "estimates",
    "execute_plan",
    "explain",
    "is_built",
    "is_elsewhere",
    "load",
    "origins",
    "plan_run",
    "plan_suite",
    "planned_records",
    "preset_of",
    "preview",
    "records",
    "run",
    "run_for_model",
]
