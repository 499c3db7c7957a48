"""``genebench report``: show results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from genebench.cli import output
from genebench.cli.options import DEFAULT_RESULTS, ResultsOption
from genebench.errors import UserError, some, unknown
from genebench.specs import ALL

if TYPE_CHECKING:
    from genebench.results.record import Record


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "report",
        short_help="Print the tables of past results.",
        epilog="Example: genebench report --format markdown > tables.md",
    )(report)


def report(  # noqa: PLR0917  typer's options are the arguments
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
    leaks: Annotated[
        bool, typer.Option("--leaks", help="What each leak of a protocol is worth, per method.")
    ] = False,
    curve: Annotated[
        str | None,
        typer.Option(help="How λ, k or an epoch was chosen: path, learning, …", metavar="NAME"),
    ] = None,
    trials: Annotated[
        bool, typer.Option("--trials", help="Also what was tried on selection sets by tune.")
    ] = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Score the kept predictions anew.")
    ] = False,
) -> None:
    """Print the tables of a results folder, or its values for other programs."""
    from genebench import api
    from genebench.analysis.recompute import recompute as score_anew
    from genebench.catalog import catalog
    from genebench.results.store import ResultsStore

    records = api.records(results).records
    if not records:
        raise UserError(f"{results}: no results yet; genebench run makes some")
    if not trials:
        records = [record for record in records if not record.identity.is_trial]
    records = _chosen(records, "dataset", dataset, lambda record: record.dataset)
    records = _chosen(records, "protocol", protocol, lambda record: record.identity.protocol)
    records = _chosen(records, "method", methods, lambda record: record.identity.method)
    if recompute:
        store = ResultsStore(results)
        records = [score_anew(record, store, catalog()) for record in records]
    if leaks and curve is not None:
        raise UserError("--leaks and --curve are two reports; ask for one at a time")
    if leaks:
        _check_variants(records)
    if curve is not None:
        _check_curve(records, curve)
    print_report(records, format_, leaks=leaks, curve=curve)


def print_report(
    records: Sequence[Record],
    format_: str = "terminal",
    *,
    leaks: bool = False,
    curve: str | None = None,
) -> None:
    """Lay out records with a reporter, and print."""
    from genebench.catalog import catalog
    from genebench.plugins import load_code
    from genebench.report.curves import CurveReport
    from genebench.report.leaks import LeakReport
    from genebench.report.report import Report

    reporters = catalog().reporters
    if format_ not in reporters.specs:
        raise unknown("report format", format_, reporters.specs)
    reporter = reporters.get(format_)
    kind = partial(CurveReport, curve=curve) if curve else LeakReport if leaks else Report
    made = kind(tuple(records), catalog(), colour=sys.stdout.isatty(), width=output.width())
    typer.echo(load_code(reporter.code)(made), nl=False)


def _check_curve(records: Sequence[Record], name: str) -> None:
    known = {curve for record in records for curve in record.curves}
    if name not in known:
        raise unknown("curve of these results", name, sorted(known))


def _check_variants(records: Sequence[Record]) -> None:
    from genebench.catalog import catalog

    run = {record.identity.protocol for record in records}
    variants = [spec for spec in catalog().protocols.specs.values() if spec.variant_of]
    if not any({spec.name, spec.variant_of} <= run for spec in variants):
        names = some([f"{spec.variant_of} with {spec.name}" for spec in variants])
        raise UserError(f"no protocol was run beside its variant; run {names}")


def _chosen(
    records: list[Record], kind: str, names: str | None, name_of: Callable[[Record], str]
) -> list[Record]:
    """Records whose name is among the comma-separated ones; every name must have some."""
    if names is None or names.strip() == ALL:
        return records
    wanted = [name.strip() for name in names.split(",")]
    present = {name_of(record) for record in records}
    for name in wanted:
        if name not in present:
            raise unknown(f"{kind} among these results", name, present)
    return [record for record in records if name_of(record) in wanted]
