"""``genebench jobs`` and ``genebench job``: jobs one by one, for workflow programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from genebench._util.hashing import KEY
from genebench.cli import output
from genebench.cli.exit_status import OK, STOPPED, USER_ERROR
from genebench.cli.limits import MemoryLimitOption, ResourcesOption, TimeLimitOption
from genebench.cli.options import (
    DEFAULT_RESULTS,
    DeviceOption,
    GridOption,
    KeepModelsOption,
    KeepPredictionsOption,
    MetricsOption,
    OptionalDatasetOption,
    OptionalMethodsOption,
    OptionalProtocolsOption,
    OptionalSeedsOption,
    PluginOption,
    PresetOption,
    ResultsOption,
    RetryFailedOption,
    SealedOption,
    SetOption,
    SuiteArgument,
    TrainSizeOption,
)
from genebench.cli.run import kept, plan_of, settings_of, status_of, suite_of, with_defaults
from genebench.errors import UserError, counted

if TYPE_CHECKING:
    from genebench.runs.jobs import Job
    from genebench.runs.plan import Plan, State


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "jobs",
        short_help="List the jobs of a run, for workflow programs.",
        epilog="Example: genebench jobs --methods lsr,knn --protocol geo --json",
    )(jobs)
    app.command(
        "job",
        short_help="Execute one job that genebench jobs has listed.",
        epilog="Example: genebench job 0123456789abcdef01234567 --results results",
    )(job)


def jobs(  # noqa: PLR0917  typer's options are the arguments
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
    resources: ResourcesOption = None,
    sealed: SealedOption = None,
    time_limit_: TimeLimitOption = None,
    memory_limit_: MemoryLimitOption = None,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
    results: ResultsOption = DEFAULT_RESULTS,
    keep_predictions: KeepPredictionsOption = False,
    keep_models: KeepModelsOption = False,
    metrics: MetricsOption = None,
    retry_failed: RetryFailedOption = False,
    all_: Annotated[
        bool, typer.Option("--all", help="List finished and failed jobs as well.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json/--list", help="Print JSON, or a table. Default: a table.")
    ] = False,
) -> int:
    """List the jobs that are left to do, with their resources, and write an order for each.

    genebench job KEY executes one, on any machine that sees the results folder. The options are
    those of genebench run.
    """
    from genebench.results.store import ResultsStore
    from genebench.runs.orders import write_order
    from genebench.runs.resources import with_resources

    read = suite_of(suite, methods, set_, grid)
    # A job has a process of its own, as in this engine, so it keeps the same limits.
    _, settings = settings_of(
        "process", device, time_limit_, memory_limit_, resources=resources,
        suite={suite: read} if suite and read else None, sealed=sealed, results=results,
        keep=kept(predictions=keep_predictions, models=keep_models),
        metrics=tuple(metrics.split(",")) if metrics else (),
    )  # fmt: skip
    name, preset, protocol, seeds = with_defaults(read, dataset, preset, protocol, seeds)
    plan = plan_of(
        settings, read, name, methods=methods,
        protocol=protocol, preset=preset, set_=set_, grid=grid,
        seeds=seeds, train_size=train_size, resources=resources, quiet=False,
    )  # fmt: skip
    listed = list(_listed(plan, retry_failed=retry_failed, finished=all_))
    store = ResultsStore(settings.results)
    store.prepare()
    estimated = with_resources([job for job, _ in listed], settings, store)
    rows = [(job, state) for job, (_, state) in zip(estimated, listed, strict=True)]
    to_do = [job for job, state in rows if state == "to do"]
    for job_ in to_do:
        write_order(job_, settings)
    if json:
        makers = {item.key: job.key for job in to_do for item in job.evaluations}
        output.as_json([_as_json(job, state, makers) for job, state in rows])
    else:
        _print_table(rows)
        output.message(
            f"{counted(len(to_do), 'job')} to do. Execute each: genebench job KEY --results "
            f"{results}"
        )
    if (failed := plan.count("failed")) and not retry_failed:
        output.message(f"{failed} failed earlier. Try them again with --retry-failed.")
    return OK


def _listed(plan: Plan, *, retry_failed: bool, finished: bool) -> Iterator[tuple[Job, State]]:
    """Yield each job of a plan with its state. One that is to do is reduced to what it lacks."""
    left = plan.remaining(retry_failed=retry_failed)
    to_do = {item.key: job for job in left for item in job.evaluations}
    for job in plan.jobs:
        if found := [to_do[item.key] for item in job.evaluations if item.key in to_do]:
            yield found[0], "to do"
        elif finished:
            states = {plan.states[evaluation.key] for evaluation in job.evaluations}
            yield job, next((s for s in ("failed", "done") if s in states), "not applicable")


def _as_json(job: Job, state: State, makers: Mapping[str, str]) -> dict[str, object]:
    """Return a job as JSON. ``after`` has the keys of the jobs that have to end before it.

    Args:
        job: the job.
        state: its state.
        makers: key of a result → key of the job that is to make it.
    """
    members = [member.key for item in job.evaluations for member in item.identity.members.values()]
    after = list(dict.fromkeys(makers[key] for key in members if key in makers))
    return {
        "key": job.key,
        "keys": [evaluation.key for evaluation in job.evaluations],
        "label": job.label,
        "method": job.method.name,
        "protocols": [evaluation.protocol.name for evaluation in job.evaluations],
        "seed": job.seed,
        "params": dict(job.params),
        "state": state,
        "after": after,
        "resources": asdict(job.resources),
    }


def _print_table(rows: list[tuple[Job, State]]) -> None:
    output.table(
        ("key", "state", "cpus", "gpus", "memory", "time", "job"),
        [
            (
                job.key,
                state,
                str(job.resources.cpus),
                str(job.resources.gpus),
                f"{job.resources.memory / 2**30:.1f}G",
                f"{math.ceil(job.resources.seconds / 60)}m",
                job.label,
            )
            for job, state in rows
        ],
    )


def job(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Key of the job, as genebench jobs lists it.")
    ],
    results: ResultsOption = DEFAULT_RESULTS,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> int:
    """Execute one job in its own process, and write its records into the results folder.

    The exit status is 0 if all its records are done, and 1 if one is failed. It is 75 if the job
    was stopped without a record, or if another process executes it: run the command again later.
    """
    from genebench.engines import node
    from genebench.results.store import ResultsStore
    from genebench.runs.orders import read_order

    store = ResultsStore(results)
    try:
        keys = [evaluation.key for evaluation in read_order(results, key).job.evaluations]
    except UserError:
        # The order of a job is removed once it has its records.
        if not KEY.fullmatch(key) or store.read(key) is None:
            raise
        output.message(f"nothing to do: the results of job {key} are in {results}")
        return status_of([record for record in [store.read(key)] if record])
    status = node.run_jobs(results.absolute(), [key], grace=node.GRACE_SECONDS, retry_memory=False)
    if status in {node.REFUSED, node.BROKEN}:
        return USER_ERROR
    records = [record for record in map(store.read, keys) if record]
    return STOPPED if status or len(records) < len(keys) else status_of(records)
