"""``genebench report``: print past results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genebench.cli.options import DEFAULT_RESULTS, MetricsOption, PluginOption, ResultsOption
from genebench.cli.reporting import (
    check_report,
    make_report,
    metrics_of,
    print_report,
    reporter_of,
)
from genebench.errors import UserError
from genebench.plugins.registry import registry

if TYPE_CHECKING:
    from genebench.reports.report import Report
    from genebench.specs import ReportSpec


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "report",
        short_help="Print the tables of past results.",
        epilog="Example: genebench report ranks --format markdown > tables.md",
    )(report)


def report(  # noqa: PLR0917  typer's options are the arguments
    name: Annotated[
        str,
        typer.Argument(
            metavar="[REPORT]",
            help="scores, ranks, scaled, leaks, curve, suite, sweep, or a plugin's. See genebench "
            "list reports.",
        ),
    ] = "scores",
    argument: Annotated[
        str,
        typer.Argument(
            metavar="[ARGUMENT]",
            help="The curve (path, learning, …) or the suite (a file, or table1 … table4).",
        ),
    ] = "",
    results: ResultsOption = DEFAULT_RESULTS,
    format_: Annotated[
        str, typer.Option("--format", help="terminal, markdown, latex, csv, json, or a plugin's.")
    ] = "terminal",
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", "--protocols", help="Only these, comma-separated."),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option("--methods", "--method", help="Only these, comma-separated."),
    ] = None,
    metrics: MetricsOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With sweep or suite: draw heat maps, as SVG and PNG."),
    ] = None,
    trials: Annotated[
        bool, typer.Option("--trials", help="Also trials of genebench tune on validation sets.")
    ] = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Score the kept predictions again.")
    ] = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Print a report of a results folder: tables for people, or values for other programs."""
    from genebench import api
    from genebench.analysis.vectors import Readable
    from genebench.results.filters import RecordFilter
    from genebench.results.store import ResultsStore

    spec = registry().reports.get(name)
    _check_options(spec, argument, out)
    reporter_of(format_)
    everything = api.records(results).records
    if not everything:
        raise UserError(f"{results}: there are no results yet. Run some with genebench run.")
    # With trials, both kinds of records are kept.
    kinds = RecordFilter(trials=None if trials else False)
    record_filter = replace(kinds, dataset=dataset, protocols=protocol, methods=methods)
    records = record_filter.apply(everything)
    shown = metrics_of(records, metrics)
    chosen = make_report(
        name, records, all_records=tuple(kinds.apply(everything)),
        metrics=shown, vectors_of=Readable(ResultsStore(results).vectors), argument=argument,
        record_filter=record_filter,
    )  # fmt: skip
    check_report(name, chosen)
    # Scoring may take minutes, so everything that can be refused is refused above.
    if recompute:
        chosen = _rescored(chosen, results)
        check_report(name, chosen)
    for metric in shown:
        if metric not in registry().metrics.specs:
            typer.echo(f"note: metric {metric}: not installed here", err=True)
    print_report(name, chosen, format_, out)


def _check_options(spec: ReportSpec, argument: str, out: Path | None) -> None:
    """Refuse an argument that is missing or superfluous, and figures of a report without any."""
    if spec.argument and not argument:
        raise UserError(
            f"Report {spec.name} needs an argument. "
            f"Add it: genebench report {spec.name} {spec.argument.upper()}."
        )
    if argument and not spec.argument:
        raise UserError(f"Report {spec.name} takes no argument. Remove {argument}.")
    if out is None:
        return
    if not spec.figures:
        names = [name for name, other in registry().reports.specs.items() if other.figures]
        raise UserError(
            f"Report {spec.name} has no figures. Remove --out, or ask for one of "
            f"{', '.join(names)}."
        )
    from genebench.reports.figures.drawing import check_drawing

    check_drawing()


def _rescored(report: Report, results: Path) -> Report:
    """Return the report with scores recomputed from kept predictions.

    Raises:
        UserError: predictions were not kept, were changed, or the dataset is no longer here.
    """
    from genebench.analysis.recompute import recompute
    from genebench.results.store import ResultsStore

    store = ResultsStore(results)
    rescored = {record.key: recompute(record, store, registry()) for record in report.records}
    return replace(
        report,
        records=tuple(rescored.values()),
        all_records=tuple(rescored.get(record.key, record) for record in report.all_records),
    )
