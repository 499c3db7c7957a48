"""``genebench run``: evaluate methods under protocols."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genebench.cli import output
from genebench.cli.exit_status import FAILED, OK
from genebench.cli.limits import MemoryLimitOption, TimeLimitOption, memory_limit, time_limit
from genebench.cli.options import (
    DEFAULT_RESULTS,
    DeviceOption,
    DryRunOption,
    EngineOption,
    MetricsOption,
    OptionalMethodsOption,
    PluginOption,
    PresetOption,
    QuietOption,
    ResultsOption,
    RetryFailedOption,
    SealedOption,
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

    from genebench.results.record import Kept, Record
    from genebench.runs.jobs import Settings
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
    suite: Annotated[
        str | None,
        typer.Argument(help="A suite: a TOML file of what to run, or a shipped one by name."),
    ] = None,
    methods: OptionalMethodsOption = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol", "--protocols", help="Comma-separated names, or all. Default: geo,gtex."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="A prepared or built-in dataset. Default: sim.")
    ] = None,
    preset: PresetOption = None,
    set_: SetOption = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="[METHOD.]PARAM=VALUE,…", help="Run every combination. Repeatable."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Number of seeds of stochastic methods. Default: 1.")
    ] = None,
    device: DeviceOption = "auto",
    engine: EngineOption = None,
    sealed: SealedOption = None,
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

    Results that are in the folder already are not computed again: issue the same command to
    continue.
    """
    from genebench import api

    keep: list[Kept] = []
    if keep_predictions:
        keep.append("predictions")
    if keep_models:
        keep.append("model")
    asked = tuple(metrics.split(",")) if metrics else ()
    engine, settings = settings_of(
        engine, device, time_limit_, memory_limit_,
        sealed=sealed, results=results, keep=frozenset(keep), metrics=asked,
    )  # fmt: skip
    read = _suite(suite, methods, set_, grid)
    name = dataset or (read.dataset if read else None) or "sim"
    preset = preset or (read.preset if read else None)
    # Checked before is_known, which does not refuse unknown names.
    api.preset_of(name, preset)
    if dry_run and not is_known(name, preset):
        return OK
    with bar(quiet=quiet) as progress:
        if read:
            plan = api.plan_suite(
                read, name, preset=preset, protocols=protocol, seeds=seeds, results=results,
                keep=keep, metrics=asked, sealed=settings.sealed, progress=progress,
            )  # fmt: skip
        else:
            chosen = "all" if methods is None else methods
            plan = api.plan_run(
                chosen, "geo,gtex" if protocol is None else protocol, name,
                preset=preset, seeds=1 if seeds is None else seeds,
                overrides=overrides_of(set_ or ()), grid=grid_of(grid or (), chosen),
                results=results, keep=keep, metrics=asked, sealed=settings.sealed,
                progress=progress,
            )  # fmt: skip
    if dry_run:
        show_plan(plan)
        return OK
    records = carry_out(plan, settings, engine, retry_failed=retry_failed, quiet=quiet)
    shown = shown_metrics(asked, records)
    if read:
        preset = api.preset_of(name, preset)
        print_results("suite", records, metrics=shown, run_suite=read, preset=preset)
    else:
        print_results("scores", records, metrics=shown)
    return status_of(records)


def settings_of(
    engine: str | None,
    device: str,
    time: str | None = None,
    memory: str | None = None,
    *,
    sealed: str | None = None,
    **others: Any,
) -> tuple[str, Settings]:
    """Return the engine to use, and how it executes jobs.

    Args:
        engine: the engine that is asked for, if any.
        device: the device that is asked for.
        time: time limit, as typed.
        memory: memory limit, as typed.
        sealed: which methods to seal, if that is asked for.
        others: further fields of the settings.

    Raises:
        UserError: there is no such engine or device, a limit is malformed, or the engine does not
            support it.
    """
    from genebench import api
    from genebench.runs.jobs import Settings, default_seal, seal_choice

    settings = Settings(
        device=api.device_choice(device), command=command_line(),
        time_limit=time_limit(time), memory_limit=memory_limit(memory),
        sealed=default_seal() if sealed is None else seal_choice(sealed), **others,
    )  # fmt: skip
    return api.choose_engine(engine, settings), settings


def is_known(dataset: str, preset: str | None) -> bool:
    """Return whether a plan can be shown without building its dataset. Print so if it cannot."""
    from genebench import api

    built = api.is_built(dataset, preset)
    if not built:
        typer.echo(
            f"dataset {dataset} is not built yet, so its jobs are not known. "
            "Run the command without --dry-run to build it."
        )
    return built


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

    jobs = plan.remaining(retry_failed=retry_failed)
    _announce(plan, settings.results, len(jobs), retry_failed=retry_failed, quiet=quiet)
    with jobs_shown(len(jobs), quiet=quiet):
        for _ in api.execute_plan(jobs, settings, engine):
            pass
    return api.planned_records(plan, settings.results)


def status_of(records: Iterable[Record]) -> int:
    """Return the exit status of a command that made these records: 1 if a job failed, else 0."""
    return FAILED if any(record.status == "failed" for record in records) else OK


def _suite(name: str | None, *others: object) -> Suite | None:
    """Read the suite, if one is named. Refuse options that contradict it."""
    from genebench.runs.suite import read_suite

    if name is None:
        return None
    if any(other is not None for other in others):
        raise UserError(
            f"run {name}: a suite holds the methods and parameters itself. Leave out --methods, "
            "--set and --grid."
        )
    return read_suite(name)


def _announce(plan: Plan, results: Path, jobs: int, *, retry_failed: bool, quiet: bool) -> None:
    """Print how much of a plan is done already."""
    if quiet:
        return
    done, failed = plan.count("done"), plan.count("failed")
    if not jobs:
        typer.echo(f"nothing to do: all {done + failed} results are in {results}", err=True)
    elif done:
        to_do = "1 job" if jobs == 1 else f"{jobs} jobs"
        typer.echo(f"{done} results are in {results} already. {to_do} to do.", err=True)
    if failed and not retry_failed:
        typer.echo(f"{failed} failed earlier. Try them again with --retry-failed.", err=True)


def show_plan(plan: Plan) -> None:
    """Print the evaluations of a plan, and their states."""
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
