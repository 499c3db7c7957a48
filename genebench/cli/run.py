"""``genebench run``: evaluate methods under protocols."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from genebench._util.amounts import gigabytes, spoken
from genebench._util.text import setting
from genebench.cli import output
from genebench.cli.exit_status import FAILED, OK
from genebench.cli.limits import (
    MemoryLimitOption,
    ResourcesOption,
    TimeLimitOption,
    memory_limit,
    resources_of,
    time_limit,
)
from genebench.cli.options import (
    DEFAULT_RESULTS,
    CostOption,
    DeviceOption,
    DryRunOption,
    EngineOption,
    EngineSetOption,
    GridOption,
    JsonOption,
    KeepModelsOption,
    KeepPredictionsOption,
    MetricsOption,
    NotesOption,
    NotifyFileOption,
    OptionalDatasetOption,
    OptionalMethodsOption,
    OptionalProtocolsOption,
    OptionalSeedsOption,
    PluginOption,
    PresetOption,
    QuietOption,
    ResultsOption,
    RetryFailedOption,
    SealedOption,
    SetOption,
    ShardOption,
    SuiteArgument,
    TrainSizeOption,
    command_line,
    engine_options_of,
    grid_of,
    overrides_of,
    shard_of,
)
from genebench.cli.progress import bar, jobs_shown
from genebench.cli.reporting import metrics_of, print_results
from genebench.errors import UserError, counted, some
from genebench.specs import ALL

_LONG_SECONDS = 60.0
"""Time from which on a run is long: its plan then says that it may be stopped."""
_MOST_NAMED = 5
"""Methods that the line about a run's time names."""
SHORT_KEY = 8
"""Letters of a key that a list of jobs shows."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from genebench.results.record import Kept, Record
    from genebench.runs.estimates import Estimate
    from genebench.runs.jobs import Job, Settings
    from genebench.runs.plan import Plan
    from genebench.runs.suite import Suite


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "run",
        short_help="Evaluate methods and print the tables.",
        epilog="Example: genebench run --methods lsr,lsr-l2 --protocol geo,gtex --dataset sim",
    )(run)


def run(  # noqa: PLR0917  typer's options are the arguments
    suite: SuiteArgument = None,
    methods: OptionalMethodsOption = None,
    protocol: OptionalProtocolsOption = None,
    dataset: OptionalDatasetOption = None,
    preset: PresetOption = None,
    set_: SetOption = None,
    grid: GridOption = None,
    seeds: OptionalSeedsOption = None,
    train_size: TrainSizeOption = None,
    device: DeviceOption = "auto",
    engine: EngineOption = None,
    engine_set: EngineSetOption = None,
    resources: ResourcesOption = None,
    shard: ShardOption = None,
    sealed: SealedOption = None,
    time_limit_: TimeLimitOption = None,
    memory_limit_: MemoryLimitOption = None,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
    results: ResultsOption = DEFAULT_RESULTS,
    keep_predictions: KeepPredictionsOption = False,
    keep_models: KeepModelsOption = False,
    metrics: MetricsOption = None,
    retry_failed: RetryFailedOption = False,
    dry_run: DryRunOption = False,
    notify_file: NotifyFileOption = None,
    notes: NotesOption = False,
    cost: CostOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Evaluate methods under protocols on a dataset, and print a table and a verdict.

    Results that are in the folder already are not computed again: issue the same command to
    continue.
    """
    from genebench import api
    from genebench.cli.notify import notifications

    asked = tuple(metrics.split(",")) if metrics else ()
    share = shard_of(shard)
    read = suite_of(suite, methods, set_, grid)
    engine, settings = settings_of(
        engine, device, time_limit_, memory_limit_, engine_set=engine_set, resources=resources,
        suite={suite: read} if suite and read else None, sealed=sealed, results=results,
        keep=kept(predictions=keep_predictions, models=keep_models), metrics=asked,
    )  # fmt: skip
    name, preset, protocol, seeds = with_defaults(read, dataset, preset, protocol, seeds)
    # Checked before is_built, which does not refuse unknown names.
    api.preset_of(name, preset)
    built = not dry_run or api.is_built(name, preset)
    plan = plan_of(
        settings, read, name, methods=methods, protocol=protocol, preset=preset, set_=set_,
        grid=grid, seeds=seeds, train_size=train_size, resources=resources, quiet=quiet,
        build=built,
    )  # fmt: skip
    plan = share_of(plan, share)
    if dry_run:
        show_plan(plan, settings, engine, retry_failed=retry_failed, json=json, built=built)
        return OK
    with notifications(notify_file, settings.results):
        records = carry_out(plan, settings, engine, retry_failed=retry_failed, quiet=quiet)
    layout: dict[str, Any] = {
        "metrics": shown_metrics(asked, records), "format_": "json" if json else "terminal",
        "with_notes": notes,
    }  # fmt: skip
    # The layout of a suite has no rows for controls, which a suite of one of them asks for.
    if read and not share and any(not job.method.control for job in plan.jobs):
        preset = api.preset_of(name, preset)
        print_results("suite", records, run_suite=read, preset=preset, **layout)
    elif records:
        from genebench.results.filters import RecordFilter

        # A fold that is named is shown by itself.
        layout["record_filter"] = RecordFilter(protocols=protocol)
        print_summary(records, results, cost=cost, quiet=quiet or json, **layout)
    return status_of(records)


def with_defaults(
    suite: Suite | None,
    dataset: str | None,
    preset: str | None,
    protocols: str | None,
    seeds: int | None,
) -> tuple[str, str | None, str | None, int | None]:
    """Return dataset, preset, protocols and seeds: as typed, else of the suite, else of the files.

    Protocols and seeds of a suite are None here, because its plan has them.

    Raises:
        UserError: a file of defaults is wrong.
    """
    from genebench.runs.config import preferred

    given = suite.model_fields_set if suite else set()
    if protocols is None and "protocols" not in given:
        listed = preferred("protocols")
        protocols = ",".join(listed) if listed else None
    if seeds is None and "seeds" not in given:
        seeds = preferred("seeds")
    name = dataset or (suite.dataset if suite else None) or preferred("dataset") or "sim"
    return (
        name,
        preset or (suite.preset if suite else None) or preferred("preset"),
        protocols,
        seeds,
    )


def print_summary(
    records: Sequence[Record], results: Path, *, cost: bool, quiet: bool, **layout: Any
) -> None:
    """Print a line for each method with a verdict, and where the rest is."""
    from genebench.analysis.vectors import Readable
    from genebench.results.store import ResultsStore

    vectors_of = Readable(ResultsStore(results).vectors)
    print_results("summary", records, vectors_of=vectors_of, with_costs=cost, **layout)
    if not quiet:
        where = "" if results == DEFAULT_RESULTS else f" --results {results}"
        output.message(f"Panels, costs, notes: genebench report --cost --notes{where}")
        output.message(f"Two methods, gene by gene: genebench compare A B{where}")


def settings_of(
    engine: str | None,
    device: str,
    time: str | None = None,
    memory: str | None = None,
    *,
    engine_set: Sequence[str] | None = None,
    resources: Sequence[str] | None = None,
    suite: dict[str, Suite] | None = None,
    sealed: str | None = None,
    **others: Any,
) -> tuple[str, Settings]:
    """Return the engine to use, and how it executes jobs.

    Args:
        engine: the engine that is asked for, if any.
        device: the device that is asked for.
        time: time limit, as typed.
        memory: memory limit, as typed.
        engine_set: options of the engine, as typed.
        resources: resources of jobs, as typed.
        suite: name of the suite → its content, if one is run.
        sealed: which methods to seal, if that is asked for.
        others: further fields of the settings.

    Raises:
        UserError: there is no such engine or device, a value is malformed, the engine does not
            support a limit or an option, or the config file is wrong.
    """
    from genebench import api
    from genebench.runs.jobs import Settings, default_seal, seal_choice

    settings = Settings(
        device=api.device_choice(device), command=command_line(),
        time_limit=time_limit(time), memory_limit=memory_limit(memory),
        sealed=default_seal() if sealed is None else seal_choice(sealed), **others,
    )  # fmt: skip
    return api.configure(
        settings, engine, options=engine_options_of(engine_set or ()),
        resources=resources_of(resources or ()), suite=suite,
    )  # fmt: skip


def kept(*, predictions: bool, models: bool) -> frozenset[Kept]:
    """Return the kinds of files to keep."""
    wanted: dict[Kept, bool] = {"predictions": predictions, "model": models}
    return frozenset(kind for kind, is_wanted in wanted.items() if is_wanted)


def plan_of(
    settings: Settings,
    suite: Suite | None,
    dataset: str,
    *,
    methods: str | None,
    protocol: str | None,
    preset: str | None,
    set_: Sequence[str] | None,
    grid: Sequence[str] | None,
    seeds: int | None,
    train_size: str | None,
    resources: Sequence[str] | None,
    quiet: bool,
    build: bool = True,
) -> Plan:
    """Plan a suite, or what the options select.

    Args:
        settings: how the jobs are to be executed.
        suite: the suite, if one is named.
        dataset: name of the dataset.
        methods: comma-separated names, or None for all methods.
        protocol: comma-separated names, or None for the usual ones.
        preset: name of the preset, or None for the one that the dataset suggests.
        set_: parameters, as typed.
        grid: grids of parameters, as typed.
        seeds: number of seeds, or None for the usual one.
        train_size: comma-separated numbers of training profiles, or None for the usual ones.
        resources: resources of jobs, as typed. They must be of methods in the plan.
        quiet: whether to show no progress.
        build: whether to build a dataset that is not built yet.

    Raises:
        UserError: an unknown name or parameter, a value out of range, a missing platform.
    """
    from genebench import api

    sizes = None if train_size is None else train_size.split(",")
    with bar(quiet=quiet) as progress:
        if suite:
            plan = api.plan_suite(
                suite, dataset, preset=preset, protocols=protocol, seeds=seeds, train_sizes=sizes,
                results=settings.results, keep=settings.keep, metrics=settings.metrics,
                sealed=settings.sealed, build=build, progress=progress,
            )  # fmt: skip
        else:
            chosen = "all" if methods is None else methods
            plan = api.plan_run(
                chosen, "geo,gtex" if protocol is None else protocol, dataset,
                preset=preset, seeds=1 if seeds is None else seeds, train_sizes=sizes or (),
                overrides=overrides_of(set_ or ()), grid=grid_of(grid or (), chosen),
                results=settings.results, keep=settings.keep, metrics=settings.metrics,
                sealed=settings.sealed, build=build, progress=progress,
            )  # fmt: skip
    check_resources(resources, {job.method.name for job in plan.jobs})
    return plan


def check_resources(resources: Sequence[str] | None, methods: Iterable[str]) -> None:
    """Refuse resources of methods that are not run, as of parameters: nobody means them.

    Raises:
        UserError: there are some.
    """
    if others := resources_of(resources or ()).keys() - {"", *methods}:
        raise UserError(
            f"--resources: {some(sorted(others))} is not among the methods. "
            "Add it to them, or remove the resources."
        )


def share_of(plan: Plan, share: tuple[int, int] | None) -> Plan:
    """Return every N-th job of a plan from the I-th on, done or not, as ``--shard I/N`` asks.

    Jobs that are done count, so that the shares stay the same while results arrive. A job that is
    made of results of other shares is left out until they are done.
    """
    if share is None:
        return plan
    first, step = share
    jobs = plan.jobs[first - 1 :: step]
    if not jobs:
        output.message(
            f"share {first} of {step} is empty: the plan has {counted(len(plan.jobs), 'job')}."
        )
    here = {item.key for job in jobs for item in job.evaluations}
    left_to_others = {
        key for key, state in plan.states.items() if state == "to do" and key not in here
    }
    ready = tuple(
        job
        for job in jobs
        if not left_to_others.intersection(
            member.key for item in job.evaluations for member in item.identity.members.values()
        )
    )
    if len(ready) < len(jobs):
        output.message(
            f"{counted(len(jobs) - len(ready), 'job')} of share {first} are made of results of "
            "other shares. Run the command again when these are done."
        )
    return replace(plan, jobs=ready)


def shown_metrics(asked: Sequence[str], records: Sequence[Record]) -> Sequence[str]:
    """Return the metrics to print: the published ones, and those that were asked for."""
    from genebench.reports.report import SHOWN_METRICS

    names = [name.strip() for name in asked]
    if ALL in names:
        return metrics_of(records, ALL)
    return list(dict.fromkeys([*SHOWN_METRICS, *names]))


def carry_out(
    plan: Plan, settings: Settings, engine: str, *, retry_failed: bool, quiet: bool
) -> list[Record]:
    """Execute the jobs of a plan that are left to do. Return all records of the plan."""
    from genebench import api
    from genebench.results.store import ResultsStore

    jobs = plan.remaining(retry_failed=retry_failed)
    _announce(plan, jobs, settings, retry_failed=retry_failed, quiet=quiet)
    if jobs:
        # A folder that cannot be written is refused before anything is estimated or promised.
        ResultsStore(settings.results).prepare()
    expected = {} if quiet else expected_times(jobs, settings, engine)
    with jobs_shown(len(jobs), quiet=quiet, expected=expected):
        for _ in api.execute_plan(jobs, settings, engine):
            pass
    return api.planned_records(plan, settings.results)


def expected_times(jobs: Sequence[Job], settings: Settings, engine: str) -> dict[str, float | None]:
    """Return job → seconds that it is estimated to take, and print what all of them will take.

    Jobs that run elsewhere have no estimate: this machine says nothing about theirs.
    """
    from genebench import api

    if not jobs or api.is_elsewhere(engine):
        return {}
    found = api.estimates(jobs, settings.device)
    output.message(what_they_take(jobs, found))
    return {job.key: estimate.seconds for job, estimate in zip(jobs, found, strict=True)}


def what_they_take(jobs: Sequence[Job], found: Sequence[Estimate]) -> str:
    """Return one line on the jobs to do: their number, time and memory, and the longest of them."""
    from genebench.runs.estimates import product_speed, total

    seconds, unknown = total(found)
    by_method: dict[str, float] = {}
    unknown_methods: dict[str, None] = {}
    for job, estimate in zip(jobs, found, strict=True):
        if estimate.seconds is None:
            unknown_methods[job.method.name] = None
        else:
            name = job.method.name
            by_method[name] = by_method.get(name, 0.0) + estimate.seconds
    longest = sorted(by_method, key=lambda name: -by_method[name])
    # Controls and other short work would hide what takes the time.
    parts = [
        f"{name} {spoken(by_method[name])}" for name in longest if by_method[name] > seconds / 20
    ]
    time = f"about {spoken(seconds)}" if by_method else "time unknown"
    of_methods = f" ({', '.join(parts[:_MOST_NAMED])})" if len(by_method) > 1 and parts else ""
    rest = ""
    if unknown and by_method:
        rest = f", and an unknown time for {some(unknown_methods)}"
    memory = max(found, key=lambda estimate: estimate.memory)
    bound = "at most " if memory.is_upper else "about "
    is_declared = any(estimate.basis == "declared" for estimate in found)
    busy = " while the machine is as busy as now" if is_declared and product_speed().is_busy else ""
    is_long = unknown or seconds >= _LONG_SECONDS
    stop = " Ctrl-C is safe: the same command continues." if is_long else ""
    return (
        f"{counted(len(jobs), 'job')} to do: {time}{busy}{of_methods}{rest}, "
        f"{bound}{gigabytes(memory.memory)}.{stop}"
    )


def status_of(records: Iterable[Record]) -> int:
    """Return the exit status of a command that made these records: 1 if a job failed, else 0."""
    return FAILED if any(record.status == "failed" for record in records) else OK


def suite_of(name: str | None, *others: object) -> Suite | None:
    """Read the suite, if one is named. Refuse options that contradict it.

    Args:
        name: name of the suite, or the path of its file.
        others: values of options that a suite replaces.

    Raises:
        UserError: there is no such suite, its content is wrong, or an option contradicts it.
    """
    from genebench.runs.suite import read_suite

    if name is None:
        return None
    if any(other is not None for other in others):
        raise UserError(
            f"{name}: a suite holds the methods and parameters itself. Leave out --methods, "
            "--set and --grid."
        )
    return read_suite(name)


def _announce(
    plan: Plan, jobs: Sequence[Job], settings: Settings, *, retry_failed: bool, quiet: bool
) -> None:
    """Print how much of a plan is done already, and which models are kept without being asked for.

    Args:
        plan: the plan.
        jobs: its jobs that are left to do.
        settings: how they are executed.
        retry_failed: whether failed ones are among them.
        quiet: whether to print nothing.
    """
    if quiet:
        return
    results = settings.results
    done, failed = plan.count("done"), plan.count("failed")
    apart = plan.count("not applicable")
    if not jobs:
        output.message(f"nothing to do: all {done + failed + apart} results are in {results}")
    elif done:
        output.message(f"{done} results are in {results} already.")
    models = sum(len(job.evaluations) for job in jobs if "model" in job.keep - settings.keep)
    if models:
        are = "is" if models == 1 else "are"
        output.message(f"{counted(models, 'model')} of members {are} kept in {results}.")
    if failed and not retry_failed:
        output.message(f"{failed} failed earlier. Try them again with --retry-failed.")
    if apart:
        output.message(f"{apart} are of methods that cannot do these data or protocols.")


def show_plan(
    plan: Plan,
    settings: Settings,
    engine: str,
    *,
    retry_failed: bool,
    json: bool = False,
    built: bool = True,
) -> None:
    """Print the evaluations of a plan with their states, and the text that an engine submits.

    Without a dataset that is built, nothing is known of keys, states and costs.
    """
    from genebench import api

    if json:
        left = plan.remaining(retry_failed=retry_failed) if built else []
        times = _costs_as_json(left, settings, engine)
        output.as_json(
            [
                {
                    "method": job.method.name,
                    "protocol": evaluation.protocol.name,
                    "seed": job.seed,
                    "params": dict(job.params),
                    "state": plan.states[evaluation.key] if built else "unknown",
                    "key": evaluation.key if built else "",
                    **times.get(evaluation.key, {}),
                }
                for job, evaluation in plan.evaluations
            ]
        )
        return
    if not built:
        print_jobs(plan, [], settings, engine, built=False)
        families = {each.protocol.name for _, each in plan.evaluations if each.protocol.is_family}
        folds = f" Each job of {some(sorted(families))} is one for every fold." if families else ""
        output.prose(
            f"{counted(len(plan.jobs), 'job')}.{folds} The dataset is not built yet, so states, "
            "times and keys are not known. The command without --dry-run builds it first."
        )
        return
    left = plan.remaining(retry_failed=retry_failed)
    print_jobs(plan, left, settings, engine)
    if text := api.preview(left, settings, engine):
        output.line()
        output.block(text)


def _costs_as_json(
    left: Sequence[Job], settings: Settings, engine: str
) -> dict[str, dict[str, Any]]:
    """Return the estimate of each job that is left, by the key of its first evaluation."""
    from dataclasses import asdict

    from genebench import api

    jobs = [] if api.is_elsewhere(engine) else left
    found = api.estimates(jobs, settings.device)
    return {
        job.key: {"estimate": asdict(estimate)} for job, estimate in zip(jobs, found, strict=True)
    }


def print_jobs(
    plan: Plan, left: Sequence[Job], settings: Settings, engine: str, *, built: bool = True
) -> None:
    """Print the evaluations of a plan with their states, what each job will take, and the sum.

    Parameters that a preset gives are left out. So is the end of a key: its first letters name the
    record in every command. Jobs of one fit have the time on their first line.
    """
    from genebench import api

    here = [] if not left or api.is_elsewhere(engine) else api.estimates(left, settings.device)
    times = {
        job.key: (spoken(estimate.seconds), gigabytes(estimate.memory))
        for job, estimate in zip(left, here, strict=False)
    }
    rows = []
    for job, evaluation in plan.evaluations:
        usual = job.method.values(job.preset, {})
        changed = [
            setting(name, value) for name, value in job.params.items() if usual[name] != value
        ]
        rows.append(
            (
                job.method.name,
                evaluation.protocol.name,
                str(job.seed) if job.method.stochastic or job.method.members else "",
                " ".join(changed),
                plan.states[evaluation.key] if built else "",
                *times.get(evaluation.key, ("", "")),
                evaluation.key[:SHORT_KEY] if built else "",
            )
        )
    columns = ("method", "protocol", "seed", "parameters", "state", "time", "memory", "key")
    filled = [at for at in range(len(columns)) if at == 0 or any(row[at] for row in rows)]
    output.table([columns[at] for at in filled], [[row[at] for at in filled] for row in rows])
    if here:
        output.prose(what_they_take(left, here))
