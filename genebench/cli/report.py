"""``genebench report``: show results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from genebench.cli import output
from genebench.cli.options import DEFAULT_RESULTS, ResultsOption
from genebench.errors import UserError

if TYPE_CHECKING:
    from genebench.results.record import Record


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog="Example: genebench report --format markdown > tables.md")(report)


def report(  # noqa: PLR0917  typer's options are the arguments
    results: ResultsOption = DEFAULT_RESULTS,
    format_: Annotated[
        str, typer.Option("--format", help="terminal, markdown, latex, csv, json, or a plugin's.")
    ] = "terminal",
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Only these protocols, comma-separated.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Only these methods, comma-separated.")
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Score the kept predictions anew.")
    ] = False,
) -> None:
    """Print the tables of a results folder, or its values for other programs."""
    from genebench import api
    from genebench.analysis.recompute import recompute as score_anew
    from genebench.catalog import catalog
    from genebench.results.store import ResultsStore

    records = [
        record
        for record in api.records(results).records
        if _wanted(record.dataset, dataset)
        and _wanted(record.identity.protocol, protocol)
        and _wanted(record.identity.method, methods)
    ]
    if not records:
        raise UserError(f"{results}: no such results; genebench run makes some")
    if recompute:
        store = ResultsStore(results)
        records = [score_anew(record, store, catalog()) for record in records]
    print_report(records, format_)


def print_report(records: Sequence[Record], format_: str = "terminal") -> None:
    """Lay out records with a reporter, and print."""
    from genebench.catalog import catalog
    from genebench.plugins import load_code
    from genebench.report.report import Report

    reporter = catalog().reporters.get(format_)
    made = Report(tuple(records), catalog(), colour=sys.stdout.isatty(), width=output.width())
    typer.echo(load_code(reporter.code)(made), nl=False)


def _wanted(name: str, chosen: str | None) -> bool:
    return chosen is None or name in [part.strip() for part in chosen.split(",")]
