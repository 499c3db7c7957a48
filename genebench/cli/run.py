"""``genebench run``: evaluate methods under protocols."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from genebench.cli import output
from genebench.cli.limits import MemoryLimitOption, TimeLimitOption, memory_limit, time_limit
from genebench.cli.options import (
    DEFAULT_RESULTS,
    DeviceOption,
    DryRunOption,
    EngineOption,
    MetricsOption,
    PluginOption,
    PresetOption,
    QuietOption,
    ResultsOption,
    RetryFailedOption,
    SetOption,
    command_line,
    grid_of,
    overrides_of,
)
from genebench.cli.progress import bar, jobs_shown
from genebench.cli.reporting import metrics_of, print_results
from genebench.errors import UserError
from genebench.specs import ALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from genebench.results.record import Record
    from genebench.runs.jobs import Kept, Settings
    from genebench.runs.plan import Plan
    from genebench.runs.suite import Suite
    from genebench.specs import DeviceChoice

JOB_FAILED = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "run",
        short_help="Evaluate methods and print the tables.",
        epilog="Example: genebench run --methods lsr,lsr-l2 --protocol geo,gtex --dataset sim",
    )(run)


def run(  # noqa: PLR0917  typer's options are the arguments
    suite: Annotated[
        str | None,
        typer.Argument(help="A file that says what to run, or the name of a shipped one."),
    ] = None,
    methods: Annotated[
        str | None, typer.Option("--methods", "--method", help="Comma-separated names, or all.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", "--protocols", help="Names, or all; geo,gtex unless given."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="A prepared or built-in dataset; sim unless given.")
    ] = None,
    preset: PresetOption = None,
    set_: SetOption = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="[METHOD.]PARAM=VALUE,…", help="Run every combination; repeatable."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Number of seeds of stochastic methods; 1 unless given.")
    ] = None,
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
    time_limit_: TimeLimitOption = None,
    memory_limit_: MemoryLimitOption = None,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
    results: ResultsOption = DEFAULT_RESULTS,
    keep_predictions: Annotated[
        bool, typer.Option("--keep-predictions", help="Keep predictions as .npy.")
    ] = False,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep models as .safetensors.")
    ] = False,
    metrics: MetricsOption = None,
    retry_failed: RetryFailedOption = False,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
) -> int:
    """Evaluate methods under protocols on a dataset, and print the tables.

    What the results folder holds already is not done again: issue the same command to continue.
    """
    from genebench import api

    keep = _kept(predictions=keep_predictions, model=keep_models)
    asked = tuple(metrics.split(",")) if metrics else ()
    engine, settings = settings_of(
        engine, device, time_limit_, memory_limit_, results=results, keep=keep, metrics=asked
    )
    read = _suite(suite, methods, set_, grid)
    name = dataset or (read.dataset if read else None) or "sim"
    preset = preset or (read.preset if read else None)
    api.preset_of(name, preset)
    if dry_run and not is_known(name, preset):
        return 0
    with bar(quiet=quiet) as progress:
        if read:
            plan = api.plan_suite(
                read, name, preset=preset, protocols=protocol, seeds=seeds, results=results,
                keep=keep, metrics=asked, progress=progress,
            )  # fmt: skip
        else:
            chosen = "all" if methods is None else methods
            plan = api.plan_run(
                chosen, "geo,gtex" if protocol is None else protocol, name,
                preset=preset, seeds=1 if seeds is None else seeds,
                overrides=overrides_of(set_ or ()), grid=grid_of(grid or (), chosen),
                results=results, keep=keep, metrics=asked, progress=progress,
            )  # fmt: skip
    if dry_run:
        show_plan(plan)
        return 0
    records = carry_out(plan, settings, engine, retry_failed=retry_failed, quiet=quiet)
    shown = shown_metrics(asked, records)
    if read:
        preset = api.preset_of(name, preset)
        print_results("suite", records, metrics=shown, run_suite=read, preset=preset)
    else:
        print_results("scores", records, metrics=shown)
    return status_of(records)


def settings_of(
    engine: str, device: str, time: str | None, memory: str | None, **others: Any
) -> tuple[str, Settings]:
    """The engine to use, and how to execute jobs, from what was asked for.

    Raises:
        UserError: there is no such engine or device, or a limit makes no sense.
    """
    from genebench import api
    from genebench.runs.jobs import Settings

    limits = time_limit(time), memory_limit(memory)
    engine = api.engine_of(engine, *limits)
    api.check_choices(engine, device)
    settings = Settings(
        device=cast("DeviceChoice", device), command=command_line(),
        time_limit=limits[0], memory_limit=limits[1], **others,
    )  # fmt: skip
    return engine, settings


def is_known(dataset: str, preset: str | None) -> bool:
    """Whether a plan can be shown without building its dataset; says so if not."""
    from genebench import api

    built = api.is_built(dataset, preset)
    if not built:
        typer.echo(f"dataset {dataset} would be built first; what would then be done is not known")
    return built


def shown_metrics(asked: Sequence[str], records: Sequence[Record]) -> Sequence[str]:
    """The metrics to print: the published ones, and those that were asked for."""
    from genebench.reports.report import SHOWN_METRICS

    names = [name.strip() for name in asked]
    if ALL in names:
        return metrics_of(records, ALL)
    return list(dict.fromkeys([*SHOWN_METRICS, *names]))


def carry_out(
    plan: Plan, settings: Settings, engine: str, *, retry_failed: bool, quiet: bool
) -> list[Record]:
    """Do what is left to do of a plan; give all its records."""
    from genebench import api

    jobs = plan.remaining(retry_failed=retry_failed)
    _announce(plan, settings.results, len(jobs), retry_failed=retry_failed, quiet=quiet)
    with jobs_shown(len(jobs), quiet=quiet):
        for _ in api.execute_plan(jobs, settings, engine):
            pass
    return api.planned_records(plan, settings.results)


def status_of(records: Iterable[Record]) -> int:
    """The exit status that records call for."""
    return JOB_FAILED if any(record.status == "failed" for record in records) else 0


def _kept(**wanted: bool) -> frozenset[Kept]:
    return frozenset(cast("Kept", what) for what, is_wanted in wanted.items() if is_wanted)


def _suite(name: str | None, *others: object) -> Suite | None:
    from genebench.runs.suite import read_suite

    if name is None:
        return None
    if any(other is not None for other in others):
        raise UserError(
            f"run {name}: a suite says itself which methods and parameters; leave out --methods, "
            "--set and --grid"
        )
    return read_suite(name)


def _announce(plan: Plan, results: Path, jobs: int, *, retry_failed: bool, quiet: bool) -> None:
    if quiet:
        return
    done, failed = plan.count("done"), plan.count("failed")
    if not jobs:
        typer.echo(f"nothing to do: all {done + failed} results are in {results}", err=True)
    elif done:
        typer.echo(
            f"{done} results are in {results} already; {_count(jobs, 'job')} to do", err=True
        )
    if failed and not retry_failed:
        typer.echo(f"{failed} failed earlier; --retry-failed tries them again", err=True)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def show_plan(plan: Plan) -> None:
    """Print what a plan would do."""
    output.table(
        ("method", "protocol", "seed", "parameters", "state", "key"),
        [
            (
                job.method.name,
                evaluation.protocol.name,
                str(job.seed),
                " ".join(f"{name}={value}" for name, value in job.params.items()),
                plan.states[evaluation.key],
                evaluation.key,
            )
            for job, evaluation in plan.evaluations
        ],
    )
