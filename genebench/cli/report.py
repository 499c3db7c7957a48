"""``genebench report``: print past results."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from genebench.cli import output
from genebench.cli.completion import names_of
from genebench.cli.options import (
    DEFAULT_RESULTS,
    CostOption,
    JsonOption,
    MetricsOption,
    NotesOption,
    OnlyDatasetOption,
    OnlyMethodsOption,
    OnlyProtocolsOption,
    PluginOption,
    ReportFormatOption,
    ResultsOption,
)
from genebench.cli.reporting import (
    check_report,
    folds_pooled,
    format_of,
    make_report,
    metrics_of,
    print_report,
    reporter_of,
)
from genebench.errors import UserError, no_results
from genebench.plugins.registry import registry

if TYPE_CHECKING:
    from genebench.reports.report import Report
    from genebench.specs import ReportSpec


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "report",
        short_help="Print the tables of past results.",
        cls=_ReportCommand,
        epilog="Example: genebench report ranks --format markdown > tables.md",
    )(report)


class _ReportCommand(TyperCommand):
    """The command, whose help lists the reports of every plugin."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help. Reports are looked up only now, so that ``genebench --help`` is fast."""
        reports = registry().reports.specs
        arguments = [
            f"{name} {spec.argument.upper()}: {spec.summary}."
            for name, spec in reports.items()
            if spec.argument
        ]
        help_of = {
            "name": f"{', '.join(reports)}. See genebench list reports.",
            "argument": " ".join(arguments),
            "out": f"Draw figures there: {', '.join(_with_figures())}.",
        }
        for param in self.params:
            if isinstance(param, TyperArgument | TyperOption):
                param.help = help_of.get(param.name or "", param.help)
        super().format_help(ctx, formatter)


def _with_figures() -> list[str]:
    """Return the names of the reports that have figures."""
    return [name for name, spec in registry().reports.specs.items() if spec.figures]


def report(  # noqa: PLR0917  typer's options are the arguments
    name: Annotated[
        str,
        typer.Argument(
            metavar="[REPORT]",
            help="A report. See genebench list reports.",
            autocompletion=names_of("reports"),
        ),
    ] = "scores",
    argument: Annotated[
        str,
        typer.Argument(
            metavar="[ARGUMENT]",
            help="What the report needs besides its name.",
        ),
    ] = "",
    results: ResultsOption = DEFAULT_RESULTS,
    format_: ReportFormatOption = "terminal",
    json: JsonOption = False,
    notes: NotesOption = False,
    cost: CostOption = False,
    dataset: OnlyDatasetOption = None,
    protocol: OnlyProtocolsOption = None,
    methods: OnlyMethodsOption = None,
    metrics: MetricsOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw figures there."),
    ] = None,
    all_points: Annotated[
        bool, typer.Option("--all", help="Print every point of a curve.")
    ] = False,
    trials: Annotated[
        bool, typer.Option("--trials", help="Include trials of genebench tune.")
    ] = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Score the kept predictions again.")
    ] = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Print a report of a results folder: tables for people, or values for other programs."""
    from genebench import api
    from genebench.analysis.vectors import Readable
    from genebench.explaining.making import explained
    from genebench.results.filters import RecordFilter
    from genebench.results.store import ResultsStore

    spec = registry().reports.get(name)
    _check_options(spec, argument, out)
    format_ = format_of(format_, json=json)
    reporter_of(format_)
    everything = api.records(results).records
    if not everything:
        raise no_results("show", results)
    # With trials, both kinds of records are kept.
    kinds = RecordFilter(trials=None if trials else False)
    record_filter = replace(kinds, dataset=dataset, protocols=protocol, methods=methods)
    records = record_filter.apply(everything)
    shown = metrics_of(records, metrics)
    chosen = make_report(
        name, records, all_records=tuple(kinds.apply(everything)),
        metrics=shown, vectors_of=Readable(ResultsStore(results).vectors), argument=argument,
        explanation_of=partial(explained, results=results),
        record_filter=record_filter,
        # A document is complete. A terminal shows what is asked for.
        with_notes=notes or format_ != "terminal", with_costs=cost or format_ != "terminal",
        with_all_points=all_points or format_ != "terminal",
    )  # fmt: skip
    check_report(name, folds_pooled(chosen))
    # Scoring may take minutes, so everything that can be refused is refused above.
    if recompute:
        chosen = _rescored(chosen, results)
    chosen = folds_pooled(chosen)
    check_report(name, chosen)
    for metric in shown:
        if metric not in registry().metrics.specs:
            output.message(f"note: metric {metric}: not installed here")
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
        raise UserError(
            f"Report {spec.name} has no figures. Remove --out, or ask for one of "
            f"{', '.join(_with_figures())}."
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
