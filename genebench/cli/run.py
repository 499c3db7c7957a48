"""``genebench run``: evaluate methods under protocols."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from genebench.cli import output
from genebench.cli.options import DEFAULT_RESULTS, ResultsOption
from genebench.cli.progress import bar, jobs_shown
from genebench.cli.report import print_report
from genebench.errors import UserError

if TYPE_CHECKING:
    from genebench.job import Device
    from genebench.plan import Plan

JOB_FAILED = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "run",
        short_help="Evaluate methods and print the tables.",
        epilog="Example: genebench run --methods lsr,lsr-l2 --protocol geo,gtex --dataset sim",
    )(run)


def run(  # noqa: PLR0917  typer's options are the arguments
    methods: Annotated[
        str, typer.Option("--methods", "--method", help="Comma-separated names, or all.")
    ] = "all",
    protocol: Annotated[
        str, typer.Option("--protocol", "--protocols", help="Comma-separated names, or all.")
    ] = "geo,gtex",
    dataset: Annotated[str, typer.Option(help="A prepared or built-in dataset.")] = "sim",
    preset: Annotated[
        str | None,
        typer.Option(help="tiny, small or paper; what the dataset suggests unless given."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="METHOD.PARAM=VALUE", help="Set a parameter; repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds of stochastic methods.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option(help="Where jobs are executed.")] = "local",
    results: ResultsOption = DEFAULT_RESULTS,
    keep_predictions: Annotated[
        bool, typer.Option("--keep-predictions", help="Keep predictions as .npy.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try failed jobs again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the tables.")] = False,
) -> int:
    """Evaluate methods under protocols on a dataset, and print the tables.

    What the results folder holds already is not done again: issue the same command to continue.
    """
    from genebench import api
    from genebench.job import Settings

    api.check_choices(engine, device)
    if dry_run and not api.is_built(dataset, preset):
        typer.echo(f"dataset {dataset} would be built first; what would then be done is not known")
        return 0
    with bar(quiet=quiet) as progress:
        plan = api.plan_run(
            methods, protocol, dataset,
            preset=preset, seeds=seeds, overrides=_overrides(set_ or ()), results=results,
            keep_predictions=keep_predictions,
            progress=progress,
        )  # fmt: skip
    if dry_run:
        _show(plan)
        return 0
    jobs = plan.remaining(retry_failed=retry_failed)
    _announce(plan, results, len(jobs), retry_failed=retry_failed, quiet=quiet)
    settings = Settings(
        results=results,
        device=cast("Device", device),
        keep_predictions=keep_predictions,
        command=_command(),
    )
    with jobs_shown(len(jobs), quiet=quiet):
        for _ in api.execute_plan(jobs, settings, engine):
            pass
    records = api.planned_records(plan, results)
    print_report(records)
    return JOB_FAILED if any(record.status == "failed" for record in records) else 0


def _overrides(assignments: Sequence[str]) -> dict[str, dict[str, str]]:
    chosen: dict[str, dict[str, str]] = {}
    for assignment in assignments:
        target, equals, value = assignment.partition("=")
        # Method names may hold dots; parameter names may not.
        method, dot, name = target.strip().rpartition(".")
        if not (equals and dot and method and name):
            raise UserError(f"--set {assignment}: write METHOD.PARAM=VALUE, as in knn.k_max=30")
        chosen.setdefault(method, {})[name] = value
    return chosen


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


def _show(plan: Plan) -> None:
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


def _command() -> str:
    import shlex
    import sys

    return shlex.join(["genebench", *sys.argv[1:]])
