"""``genebench sweep``: run a grid of parameters, and print it as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genebench.cli.exit_status import OK
from genebench.cli.limits import MemoryLimitOption, ResourcesOption, TimeLimitOption
from genebench.cli.options import (
    DEFAULT_RESULTS,
    DatasetOption,
    DeviceOption,
    DryRunOption,
    EngineOption,
    EngineSetOption,
    JsonOption,
    MethodsOption,
    MetricsOption,
    NotesOption,
    OptionalSeedsOption,
    PluginOption,
    PresetOption,
    ProtocolsOption,
    QuietOption,
    ResultsOption,
    RetryFailedOption,
    SealedOption,
    SetOption,
    ShardOption,
    grid_of,
    overrides_of,
    shard_of,
)
from genebench.cli.progress import bar
from genebench.cli.reporting import print_results
from genebench.cli.run import (
    carry_out,
    check_resources,
    print_summary,
    settings_of,
    share_of,
    show_plan,
    shown_metrics,
    status_of,
)
from genebench.errors import UserError

if TYPE_CHECKING:
    from genebench.runs.suite import Suite


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "sweep",
        short_help="Run a grid of parameters, and print it as one table.",
        epilog="Example: genebench sweep --methods dgex,ggan-fc --grid layers=1,2 "
        "--grid units=100,300 --protocol geo",
    )(sweep)


def sweep(  # noqa: PLR0917  typer's options are the arguments
    methods: MethodsOption,
    grid: Annotated[
        list[str],
        typer.Option(
            metavar="[METHOD.]PARAM=VALUE,…",
            help="Values of a parameter. Repeatable: rows first, then columns, then tables.",
        ),
    ],
    protocol: ProtocolsOption = "geo,gtex",
    dataset: DatasetOption = "sim",
    preset: PresetOption = None,
    set_: SetOption = None,
    seeds: OptionalSeedsOption = None,
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
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Draw heat maps there.")] = None,
    metrics: MetricsOption = None,
    retry_failed: RetryFailedOption = False,
    dry_run: DryRunOption = False,
    notes: NotesOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Run methods with every combination of values, and print parameters against parameters.

    Results that are in the folder already are not computed again: issue the same command to
    continue. The best cell is marked by its test scores. To choose parameters, use genebench tune.
    """
    from genebench import api
    from genebench.runs.config import preferred

    asked = tuple(metrics.split(",")) if metrics else ()
    share = shard_of(shard)
    if share and out:
        raise UserError(
            "--out: one share of a sweep is no grid to draw. Draw all of them later: genebench "
            f"report sweep --out {out}."
        )
    engine, settings = settings_of(
        engine, device, time_limit_, memory_limit_, engine_set=engine_set, resources=resources,
        sealed=sealed, results=results, metrics=asked,
    )  # fmt: skip
    preset = preset or preferred("preset")
    if seeds is None:
        usual: int = preferred("seeds") or 1
        seeds = usual
    size = api.preset_of(dataset, preset)
    if out is not None:
        from genebench.reports.figures.drawing import check_drawing

        # Checked first, because drawing comes after hours of work.
        check_drawing()
    built = not dry_run or api.is_built(dataset, preset)
    fixed, axes = overrides_of(set_ or ()), grid_of(grid, methods)
    with bar(quiet=quiet) as progress:
        plan = api.plan_run(
            methods, protocol, dataset, preset=preset, seeds=seeds, overrides=fixed, grid=axes,
            results=results, metrics=asked, sealed=settings.sealed, build=built, progress=progress,
        )  # fmt: skip
    check_resources(resources, {job.method.name for job in plan.jobs})
    plan = share_of(plan, share)
    if dry_run:
        show_plan(plan, settings, engine, retry_failed=retry_failed, json=json, built=built)
        return OK
    records = carry_out(plan, settings, engine, retry_failed=retry_failed, quiet=quiet)
    layout: dict[str, Any] = {
        "metrics": shown_metrics(asked, records), "format_": "json" if json else "terminal",
        "with_notes": notes,
    }  # fmt: skip
    if not share:
        suite = _as_suite(methods, fixed, axes)
        print_results("suite", records, out=out, run_suite=suite, preset=size, **layout)
    elif records:
        print_summary(records, results, cost=False, quiet=quiet or json, **layout)
    return status_of(records)


def _as_suite(
    methods: str,
    fixed: Mapping[str, Mapping[str, Any]],
    axes: Mapping[str, Mapping[str, Sequence[Any]]],
) -> Suite:
    """Return the suite of the same runs, because the tables of suites show sweeps, too."""
    from genebench.plugins.registry import registry
    from genebench.runs.suite import Run, Suite

    names = [spec.name for spec in registry().methods.choose(methods.split(","))]
    return Suite(
        title="sweep",
        runs=[
            Run(
                methods=[name],
                set=dict(fixed.get(name, {})),
                grid={param: list(values) for param, values in axes.get(name, {}).items()},
            )
            for name in names
        ],
    )
