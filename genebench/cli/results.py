"""``genebench results``: look after results, take them elsewhere, bring them together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genebench._util.text import printable
from genebench.cli.options import DEFAULT_RESULTS, ResultsOption
from genebench.errors import UserError, unknown

if TYPE_CHECKING:
    import pandas as pd

    from genebench.analysis.audit import Audit
    from genebench.results.record import Record
    from genebench.results.store import ResultsStore

UNSOUND = 1

_FORMATS = ("csv", "json", "parquet")

DatasetOption = Annotated[str | None, typer.Option(help="Only this dataset.")]
ProtocolOption = Annotated[
    str | None, typer.Option("--protocol", "--protocols", help="Only these, comma-separated.")
]
MethodsOption = Annotated[
    str | None, typer.Option("--methods", "--method", help="Only these, comma-separated.")
]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(
        help="Look after results, export them, bring them together, submit them.",
        epilog="Example: genebench results verify --results results",
        no_args_is_help=True,
    )
    for command, short_help, example in (
        (verify, "Name records that were edited.", "verify --results results"),
        (merge, "Bring several folders and bundles together.", "merge other/results bundle.zip"),
        (export, "Write a table for other programs.", "export --out scores.csv"),
        (submit, "Write a bundle that others can verify.", "submit --name Me --contact me@here"),
        (schema, "Print the JSON Schema of a record.", "schema > record.schema.json"),
    ):
        group.command(
            command.__name__,
            short_help=short_help,
            epilog=f"Example: genebench results {example}",
        )(command)
    app.add_typer(group, name="results")


def verify(
    bundle: Annotated[
        Path | None, typer.Argument(help="A bundle to verify instead of a folder.")
    ] = None,
    results: ResultsOption = DEFAULT_RESULTS,
    mark: Annotated[
        bool, typer.Option("--mark", help="Mark as verified what was recomputed and agreed.")
    ] = False,
) -> int:
    """Recompute keys, digests and scores of every record, and name those that were edited.

    Where predictions were kept and the dataset is prepared here, they are scored again.
    """
    from genebench.results.store import ResultsStore

    if bundle is None:
        return _verify(ResultsStore(results), mark=mark)
    if mark:
        raise UserError("--mark is for a folder; merge the bundle first, then verify --mark")
    with _unpacked(bundle) as (store, sender):
        unsound = _verify(store)
        unmet = _unmet(store, list(store.sound()[0]), sender, _seeds(store))
        _say("every entry condition is met" if not unmet else "it does not meet every condition")
    return UNSOUND if unsound or unmet else 0


def merge(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE…", help="Results folders, and bundles.")
    ],
    results: ResultsOption = DEFAULT_RESULTS,
) -> int:
    """Take the records of other results folders, and of bundles, into one.

    Nothing that is there is lost: the same result is left as it is, a finished record replaces a
    failed one, and of two different results under one key neither is taken for the other.
    """
    from genebench.results.merge import merge as take

    merged = take(sources, results)
    for line in merged.replaced:
        _say(f"replaced: {line}")
    for line in merged.refused:
        _say(f"not taken: {line}")
    _say(
        f"{len(merged.added)} new, {len(merged.replaced)} replaced, {len(merged.same)} there "
        f"already, {len(merged.refused)} not taken, in {results}"
    )
    return UNSOUND if merged.refused else 0


def export(  # noqa: PLR0917  the command line names them
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write.")],
    results: ResultsOption = DEFAULT_RESULTS,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="csv, json or parquet; what FILE ends with unless given."),
    ] = None,
    table: Annotated[
        Literal["scores", "genes", "profiles"],
        typer.Option(help="Scores on panels, or a metric's value per gene or per test profile."),
    ] = "scores",
    metric: Annotated[str, typer.Option(help="Which metric, per gene or per profile.")] = "mae",
    wide: Annotated[
        bool, typer.Option("--wide", help="One column per record, instead of one row per value.")
    ] = False,
    dataset: DatasetOption = None,
    protocol: ProtocolOption = None,
    methods: MethodsOption = None,
) -> None:
    """Write results as a table for other programs."""
    from genebench import api

    form = format_ or out.suffix.removeprefix(".").lower()
    if form not in _FORMATS:
        raise unknown("export format", form, _FORMATS)
    if wide and table == "scores":
        raise UserError("--wide is for --table genes and --table profiles")
    found = api.records(results)
    chosen = found._replace(records=_chosen(found.records, dataset, protocol, methods))
    if not chosen.records:
        raise UserError(f"{results}: no results to export")
    if table == "scores":
        frame = chosen.table
    else:
        make = chosen.genes if table == "genes" else chosen.profiles
        frame = make(metric, wide=wide)
    _write(frame, out, form)
    _say(f"wrote {len(frame):,} rows to {out}")


def submit(  # noqa: PLR0917  the command line names them
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The bundle to write.")
    ] = Path("genebench-submission.zip"),
    name: Annotated[str, typer.Option(help="Who submits.")] = "",
    contact: Annotated[str, typer.Option(help="How to reach them.")] = "",
    licence: Annotated[
        str, typer.Option("--license", "--licence", help="Licence of the results, as CC-BY-4.0.")
    ] = "",
    seeds: Annotated[
        int, typer.Option(min=1, help="How many seeds every stochastic method is to have.")
    ] = 3,
    results: ResultsOption = DEFAULT_RESULTS,
    dataset: DatasetOption = None,
    protocol: ProtocolOption = None,
    methods: MethodsOption = None,
) -> int:
    """Check the entry conditions, and write the results to a bundle that others can verify.

    Trials of tuning stay out. Predictions and models go along where they were kept: with
    predictions, whoever has the dataset can recompute every score.
    """
    from genebench.results.bundle import write_bundle
    from genebench.results.store import ResultsStore

    store = ResultsStore(results)
    readable, faults = store.sound()
    for fault in faults:
        _say(f"left out: {fault.line}")
    records = [
        record
        for record in _chosen(readable, dataset, protocol, methods)
        if not record.identity.is_trial
    ]
    sender = {"name": name, "contact": contact, "licence": licence}
    for what, text in sender.items():
        if len(text) > 200:  # noqa: PLR2004  what a manifest has room for
            raise UserError(f"--{what}: {len(text)} letters are too many; 200 are allowed")
    if _unmet(store, records, sender, seeds):
        return UNSOUND
    manifest = write_bundle(out, store, records, sender)
    _say(f"wrote {len(records)} records, {len(manifest.files)} files, to {out}")
    _say(f"anybody can verify it: genebench results verify {out}")
    return 0


def schema() -> None:
    """Print the JSON Schema of a record; every key has its description."""
    from genebench.results.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))


def _verify(store: ResultsStore, *, mark: bool = False) -> int:
    from genebench.analysis import audit
    from genebench.plugins.registry import registry

    found = list(audit.audit(store, registry()))
    if not found:
        raise UserError(f"{store.root}: no results to verify")
    unsound = [record for record in found if record.faults]
    for record in unsound:
        for fault in record.faults:
            _say(f"{record.key}: {fault}")
    recomputed = [record for record in found if record.recomputed and not record.faults]
    _say_why_not(found)
    if mark:
        for record in recomputed:
            audit.annotate(record, store)
    marked = ", and marked as verified" if mark and recomputed else ""
    _say(
        f"{len(found) - len(unsound)} of {len(found)} records are sound; {len(recomputed)} "
        f"recomputed from their predictions{marked}"
    )
    return UNSOUND if unsound else 0


def _say_why_not(found: list[Audit]) -> None:
    reasons = Counter(record.not_recomputed for record in found if record.not_recomputed)
    for reason, number in reasons.items():
        _say(f"{number} not recomputed: {reason}")


@contextmanager
def _unpacked(bundle: Path) -> Iterator[tuple[ResultsStore, dict[str, str]]]:
    from genebench.results.bundle import opened

    with opened(bundle) as (manifest, store):
        sender = {"name": manifest.name, "contact": manifest.contact, "licence": manifest.licence}
        licence = f", licence {manifest.licence}" if manifest.licence else ""
        _say(f"submitted by {manifest.name} <{manifest.contact}>, {manifest.created}{licence}")
        yield store, sender


def _unmet(store: ResultsStore, records: list[Record], sender: dict[str, str], seeds: int) -> bool:
    """Say which entry conditions are not met; whether there are any."""
    from genebench.plugins.registry import registry
    from genebench.results.submission import Submission, unmet

    found = unmet(Submission(tuple(records), store, registry(), sender, seeds))
    for condition in found:
        _say(f"not met: {condition}")
    return bool(found)


def _seeds(store: ResultsStore) -> int:
    """As many seeds as any method of a bundle has: the others must have them too."""
    return 1 + max((record.identity.seed for record in store.sound()[0]), default=0)


def _chosen(
    records: list[Record], dataset: str | None, protocol: str | None, methods: str | None
) -> list[Record]:
    from genebench.cli.report import chosen

    records = chosen(records, "dataset", dataset, lambda record: record.dataset)
    records = chosen(records, "protocol", protocol, lambda record: record.identity.protocol)
    return chosen(records, "method", methods, lambda record: record.identity.method)


def _write(frame: pd.DataFrame, out: Path, form: str) -> None:
    from genebench._util.files import atomic_write, user_errors
    from genebench.reports.reporters.values import csv_of

    with user_errors(out, "name another file with --out"), atomic_write(out) as stream:
        if form == "csv":
            stream.write(csv_of(frame).encode())
        elif form == "json":
            rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
            stream.write(f"{json.dumps(rows, indent=1)}\n".encode())
        else:
            try:
                frame.to_parquet(stream, index=False)
            except ImportError:
                raise UserError("parquet needs pyarrow: pip install 'genebench[arrow]'") from None


def _say(line: str) -> None:
    typer.echo(printable(line))
