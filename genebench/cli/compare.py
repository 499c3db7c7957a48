"""``genebench compare``: the difference between two methods, over all and for each gene."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genebench.cli import output
from genebench.cli.completion import names_of
from genebench.cli.options import (
    DEFAULT_RESULTS,
    JsonOption,
    NotesOption,
    OnlyDatasetOption,
    OnlyProtocolsOption,
    PluginOption,
    ReportFormatOption,
    ResultsOption,
)
from genebench.cli.reporting import format_of, print_report, reporter_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "compare",
        short_help="Compare two methods: difference, interval, p-value, genes.",
        epilog="Example: genebench compare ggan dgex --panel strict --out figures",
    )(compare)


def compare(  # noqa: PLR0917  typer's options are the arguments
    a: Annotated[
        str,
        typer.Argument(
            help="A method, METHOD:PARAM=VALUE, or the start of a record's key.",
            autocompletion=names_of("methods"),
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            help="The other method, named in the same ways.", autocompletion=names_of("methods")
        ),
    ],
    metric: Annotated[
        str, typer.Option(help="Metric to compare by.", autocompletion=names_of("metrics"))
    ] = "mae",
    panel: Annotated[str, typer.Option(help="Target genes: all, strict or twin.")] = "all",
    protocol: OnlyProtocolsOption = None,
    dataset: OnlyDatasetOption = None,
    results: ResultsOption = DEFAULT_RESULTS,
    format_: ReportFormatOption = "terminal",
    json: JsonOption = False,
    notes: NotesOption = False,
    genes: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write every gene's values there.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw genes against genes and densities there."),
    ] = None,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Compare two methods under every protocol that both were run under.

    The test resamples the differences between test profiles, whole groups at a time where groups
    are known. Shares of genes are descriptive.
    """
    from genebench.analysis.comparisons import compare as compare_methods
    from genebench.plugins.registry import registry
    from genebench.reports.compare import ComparisonReport
    from genebench.reports.figures.drawing import check_drawing

    format_ = format_of(format_, json=json)
    reporter_of(format_)
    if out:
        check_drawing()
    comparisons = compare_methods(
        a, b,
        metric=metric, panel=panel, protocols=protocol, dataset=dataset, results=results,
    )  # fmt: skip
    report = ComparisonReport(
        comparisons.records, registry(), colour=output.colour(), width=output.width(),
        comparisons=comparisons, with_notes=notes or format_ != "terminal",
    )  # fmt: skip
    print_report("compare", report, format_, out)
    if genes:
        report.write_genes(genes)
