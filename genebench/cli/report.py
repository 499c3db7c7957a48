"""``genebench report``: show results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from genebench.cli import output
from genebench.cli.options import DEFAULT_RESULTS, MetricsOption, PluginOption, ResultsOption
from genebench.errors import UserError, some, unknown
from genebench.specs import ALL

if TYPE_CHECKING:
    from genebench.analysis.vectors import VectorsOf
    from genebench.reports.report import Report
    from genebench.reports.sweep import GridReport
    from genebench.results.record import Record
    from genebench.runs.suite import Suite

    Made = TypeVar("Made", bound=Report)


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
    metrics: MetricsOption = None,
    scaled: Annotated[
        bool, typer.Option("--scaled", help="Between the train mean (0) and the twin ceiling (1).")
    ] = False,
    ranks: Annotated[
        bool, typer.Option("--ranks", help="Rank by a test between methods; ties are shown.")
    ] = False,
    leaks: Annotated[
        bool, typer.Option("--leaks", help="What each leak of a protocol is worth, per method.")
    ] = False,
    curve: Annotated[
        str | None,
        typer.Option(help="How λ, k or an epoch was chosen: path, learning, …", metavar="NAME"),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(help="In the layout of a suite: a file, or table1 … table4.", metavar="NAME"),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="As grids of the parameters that were varied.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --sweep or --suite: heat maps, as SVG and PNG."),
    ] = None,
    trials: Annotated[
        bool, typer.Option("--trials", help="Also what was tried on validation sets by tune.")
    ] = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Score the kept predictions anew.")
    ] = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Print the tables of a results folder, or its values for other programs."""
    from genebench import api
    from genebench.analysis.recompute import recompute as score_anew
    from genebench.analysis.vectors import Readable
    from genebench.plugins.registry import registry
    from genebench.results.store import ResultsStore

    records = api.records(results).records
    if not records:
        raise UserError(f"{results}: no results yet; genebench run makes some")
    if not trials:
        records = [record for record in records if not record.identity.is_trial]
    everything = tuple(records)
    records = chosen(records, "dataset", dataset, lambda record: record.dataset)
    records = chosen(records, "protocol", protocol, lambda record: record.identity.protocol)
    records = chosen(records, "method", methods, lambda record: record.identity.method)
    if recompute:
        store = ResultsStore(results)
        records = [score_anew(record, store, registry()) for record in records]
    _check_one(
        leaks=leaks, curve=curve is not None, suite=suite is not None, sweep=sweep, scaled=scaled,
        ranks=ranks,
    )  # fmt: skip
    shown = metrics_of(records, metrics)
    for name in shown:
        if name not in registry().metrics.specs:
            typer.echo(f"note: metric {name}: not installed here", err=True)
    if out is not None and not sweep and suite is None:
        raise UserError("--out is for heat maps; ask for them with --sweep or --suite")
    if sweep:
        print_sweep(records, format_, out=out, metrics=shown)
        return
    if suite is not None:
        read, records = _of_suite(suite, records, any_protocol=protocol is not None)
        nothing = f"{results}: no results of suite {suite}; genebench run {suite} makes some"
        print_suite(records, read, format_=format_, out=out, metrics=shown, nothing=nothing)
        return
    _check_there(records, leaks=leaks, curve=curve)
    if scaled:
        print_scaled(records, everything, format_, shown)
        return
    vectors_of = Readable(ResultsStore(results).vectors) if ranks else None
    print_report(records, format_, leaks=leaks, curve=curve, metrics=shown, vectors_of=vectors_of)


def metrics_of(records: Sequence[Record], names: str | None) -> Sequence[str]:
    """The metrics that are asked for, each scored by some record; the published ones if none is.

    Raises:
        UserError: an unknown name, or one that no record was scored by.
    """
    from genebench.reports.report import SHOWN_METRICS

    if names is None:
        return SHOWN_METRICS
    scored = list(dict.fromkeys(name for record in records for name in record.scores))
    if names.strip() == ALL:
        return scored
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in scored:
            _check_known(name, scored)
            raise UserError(f"no result has {name}; genebench run --metrics {name} scores it")
    if not wanted:
        raise UserError(f"no metric named; these results have {', '.join(scored)}")
    return wanted


def _check_known(metric: str, scored: Sequence[str]) -> None:
    from genebench.plugins.registry import registry

    offered = registry().metrics.specs
    if metric not in offered:
        raise unknown("metric", metric, {*offered, *scored})


def print_report(
    records: Sequence[Record],
    format_: str = "terminal",
    *,
    leaks: bool = False,
    curve: str | None = None,
    metrics: Sequence[str] | None = None,
    vectors_of: VectorsOf | None = None,
) -> None:
    """Lay out records with a reporter, and print; given their vectors, methods are ranked."""
    from genebench.reports.curves import CurveReport
    from genebench.reports.leaks import LeakReport
    from genebench.reports.report import Report

    scores = partial(Report, vectors_of=vectors_of)
    kind = partial(CurveReport, curve=curve) if curve else LeakReport if leaks else scores
    print_made(_made(kind, records, metrics), format_)


def print_scaled(
    records: Sequence[Record],
    everything: Sequence[Record],
    format_: str,
    metrics: Sequence[str],
) -> None:
    """Print scaled scores; the controls are looked for among everything."""
    from genebench.reports.scaled import ScaledReport

    made = _made(partial(ScaledReport, everything=tuple(everything)), records, metrics)
    if made.values().empty:
        raise UserError(
            "nothing to scale: that takes train-mean and copy-twin under the same test, and twins "
            "that are better than the mean; genebench run adds both controls"
        )
    print_made(made, format_)


def print_suite(
    records: Sequence[Record],
    suite: Suite,
    preset: str | None = None,
    format_: str = "terminal",
    *,
    out: Path | None = None,
    metrics: Sequence[str] | None = None,
    nothing: str = "there are no results to print",
) -> None:
    """Print records in the layout of a suite; draw its heat maps where there is a folder."""
    from genebench.reports.suite import SuiteReport

    made = _made(partial(SuiteReport, suite=suite, preset=preset), records, metrics)
    _print_grids(made, format_, out, nothing)


def print_sweep(
    records: Sequence[Record],
    format_: str = "terminal",
    *,
    out: Path | None = None,
    metrics: Sequence[str] | None = None,
) -> None:
    """Print every grid that records hold; draw heat maps where there is a folder."""
    from genebench.reports.sweep import GridReport

    nothing = "no method was run with several values of a parameter; genebench sweep does that"
    _print_grids(_made(GridReport, records, metrics), format_, out, nothing)


def _print_grids(made: GridReport, format_: str, out: Path | None, nothing: str) -> None:
    from genebench.reports.figures.heatmap import draw

    if next(made.layouts(), None) is None:
        raise UserError(nothing)
    print_made(made, format_)
    for path in draw(made, out) if out else ():
        typer.echo(f"drawn: {path}", err=True)


def _made(
    kind: Callable[..., Made], records: Sequence[Record], metrics: Sequence[str] | None = None
) -> Made:
    """A report of a kind, for the terminal that there is."""
    from genebench.plugins.registry import registry
    from genebench.reports.report import SHOWN_METRICS

    return kind(
        tuple(records),
        registry(),
        colour=sys.stdout.isatty(),
        width=output.width(),
        metrics=metrics or SHOWN_METRICS,
    )


def print_made(made: Report, format_: str) -> None:
    """Lay out a report with a reporter, and print it."""
    from genebench.plugins.discovery import load_code
    from genebench.plugins.registry import registry

    reporters = registry().reporters
    if format_ not in reporters.specs:
        raise unknown("report format", format_, reporters.specs)
    typer.echo(load_code(reporters.get(format_).code)(made), nl=False)


def _check_one(**reports: bool) -> None:
    """Refuse to make two reports at once."""
    asked = [f"--{name}" for name, wanted in reports.items() if wanted]
    if len(asked) > 1:
        raise UserError(f"{' and '.join(asked)} are two reports; ask for one at a time")


def _of_suite(
    name: str, records: list[Record], *, any_protocol: bool
) -> tuple[Suite, list[Record]]:
    """A suite by its name, and the records of its protocols."""
    from genebench.plugins.registry import registry
    from genebench.runs.suite import read_suite

    suite = read_suite(name)
    if any_protocol:
        return suite, records
    wanted = {spec.name for spec in registry().protocols.choose(suite.protocols)}
    return suite, [record for record in records if record.identity.protocol in wanted]


def _check_there(records: Sequence[Record], *, leaks: bool, curve: str | None) -> None:
    """Refuse a report that there would be nothing in."""
    if leaks:
        _check_variants(records)
    if curve is not None:
        _check_curve(records, curve)


def _check_curve(records: Sequence[Record], name: str) -> None:
    known = {curve for record in records for curve in record.curves}
    if name not in known:
        raise unknown("curve of these results", name, sorted(known))


def _check_variants(records: Sequence[Record]) -> None:
    from genebench.plugins.registry import registry

    run = {record.identity.protocol for record in records}
    variants = [spec for spec in registry().protocols.specs.values() if spec.variant_of]
    if not any({spec.name, spec.variant_of} <= run for spec in variants):
        names = some([f"{spec.variant_of} with {spec.name}" for spec in variants])
        raise UserError(f"no protocol was run beside its variant; run {names}")


def chosen(
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
