"""``genebench results``: verify, compare, repeat, merge, export, submit and publish results."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genebench._util.text import encodable, printable
from genebench.cli import output
from genebench.cli.exit_status import FAILED, OK
from genebench.cli.options import (
    DEFAULT_RESULTS,
    MetricsOption,
    OnlyDatasetOption,
    OnlyMethodsOption,
    OnlyProtocolsOption,
    PluginOption,
    ResultsOption,
)
from genebench.errors import UserError, counted, missing_library, no_results, unknown

if TYPE_CHECKING:
    import pandas as pd

    from genebench.analysis.difference import Pairing
    from genebench.results.merge import Merged
    from genebench.results.record import Record
    from genebench.results.store import ResultsStore

_FORMATS = ("csv", "json", "parquet")
_CELL, _LEAST_CELL = 40, 12
"""Letters of a setting that a table shows, in a wide terminal and in a narrow one."""
_GAPS = 12
"""Letters between the columns of settings, with the number of pairs."""
_DIGEST = re.compile(r"[0-9a-f]{32,64}")
"""A commit of git, or another digest."""


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(
        help="Verify results, merge them, export them, submit them.",
        epilog="Example: genebench results verify --results results",
        no_args_is_help=True,
    )
    for command, short_help, example in (
        (verify, "Find records that were edited.", "verify --results results"),
        (merge, "Merge several folders and bundles.", "merge other/results bundle.zip"),
        (export, "Write a table or an RO-Crate.", "export --out scores.csv"),
        (config, "Write the suite that repeats a record.", "config lsr-l2@geo --out again.toml"),
        (diff, "Compare two records, or two folders.", "diff results other/results"),
        (submit, "Write a bundle that others can verify.", "submit --name Me --contact me@here"),
        (publish, "Merge into a git folder and commit.", "publish ../board/results"),
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
        bool,
        typer.Option("--mark", help="Mark records as verified whose scores were all recomputed."),
    ] = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for a folder.")] = False,
) -> int:
    """Recompute keys, digests and scores of every record, and list those that were edited.

    If the dataset is prepared here, a kept model predicts again in a sealed process, and its
    predictions are scored. Where no model is kept, or none can be used here, kept predictions are.
    """
    from genebench.results.store import ResultsStore

    if bundle is None:
        return _verify(ResultsStore(results), mark=mark, json_=json_)
    if json_:
        raise UserError("--json is for a folder, not for a bundle. Leave it out.")
    if mark:
        raise UserError(
            "--mark is for a folder, not for a bundle. Merge the bundle first, then verify the "
            "folder with --mark."
        )
    with _unpacked(bundle) as (store, sender):
        unsound = _verify(store)
        records = store.sound()[0]
        # The number of seeds is no part of a bundle. What one method has, the others must have too.
        seeds = 1 + max((record.identity.seed for record in records), default=0)
        unmet = _unmet(store, records, sender, seeds)
        _echo("not every entry condition is met" if unmet else "every entry condition is met")
    return FAILED if unsound or unmet else OK


def merge(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE…", help="Results folders, and bundles.")
    ],
    results: ResultsOption = DEFAULT_RESULTS,
) -> int:
    """Copy the records of other results folders, and of bundles, into one folder.

    No result is lost. A result that is there already stays as it is. A finished record replaces a
    failed one. Two different results under one key are a conflict, and the one here stays.
    """
    from genebench.results.merge import merge as merge_results

    return _print_merged(merge_results(sources, results), results)


def _print_merged(merged: Merged, where: object) -> int:
    """Print the outcome of a merge, and return the exit status."""
    for line in merged.replaced:
        _echo(f"replaced: {line}")
    for line in merged.kept:
        _echo(f"kept: {line}")
    for line in merged.refused:
        _echo(f"not taken: {line}")
    there = len(merged.same) + len(merged.kept)
    _echo(
        f"{len(merged.added)} new, {len(merged.replaced)} replaced, {there} there already, "
        f"{len(merged.refused)} not taken, in {where}"
    )
    return FAILED if merged.refused else OK


def publish(
    destination: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="A folder in a git repository, or hf:OWNER/NAME (Hugging Face)."
        ),
    ],
    results: ResultsOption = DEFAULT_RESULTS,
    message: Annotated[
        str, typer.Option("--message", "-m", help="Message of the commit.")
    ] = "Results of genebench",
    push: Annotated[bool, typer.Option("--push", help="Push the commit.")] = False,
) -> int:
    """Merge results with those that are published, and commit what is new.

    As with genebench results merge, no result is lost, and two different results under one key are
    a conflict. Only records and their files are committed.
    """
    from genebench.results.publish import HUGGING_FACE, publish_to_git, publish_to_hugging_face

    if destination.startswith(HUGGING_FACE):
        if push:
            raise UserError("--push is for git. Leave it out: Hugging Face gets the results.")
        name = destination.removeprefix(HUGGING_FACE)
        merged, commit = publish_to_hugging_face([results], name, message)
    else:
        merged, commit = publish_to_git([results], Path(destination), message, push=push)
    status = _print_merged(merged, destination)
    _echo(f"committed as {commit}" if commit else "nothing new to commit")
    return status


def export(  # noqa: PLR0917  the command line names them
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write.")],
    results: ResultsOption = DEFAULT_RESULTS,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="csv, json or parquet. The default is the ending of FILE."),
    ] = None,
    table: Annotated[
        Literal["scores", "genes", "profiles"],
        typer.Option(help="Scores on panels, or a metric's value per gene or per test profile."),
    ] = "scores",
    metric: Annotated[
        str, typer.Option(help="The metric, for tables of genes or profiles.")
    ] = "mae",
    wide: Annotated[
        bool, typer.Option("--wide", help="One column per record, instead of one row per value.")
    ] = False,
    ro_crate: Annotated[
        bool,
        typer.Option(
            "--ro-crate",
            help="Write a Process Run Crate to deposit with a DOI: a new folder, or a .zip file.",
        ),
    ] = False,
    name: Annotated[str, typer.Option(help="Author of the crate.")] = "",
    licence: Annotated[
        str, typer.Option("--license", "--licence", help="Licence of the crate, as CC-BY-4.0.")
    ] = "",
    dataset: OnlyDatasetOption = None,
    protocol: OnlyProtocolsOption = None,
    methods: OnlyMethodsOption = None,
) -> None:
    """Write results as a table for other programs, or as an RO-Crate with all files."""
    from genebench import api
    from genebench.results.filters import RecordFilter

    if ro_crate:
        from genebench.results.crate import write_crate
        from genebench.results.store import ResultsStore

        table_options = {
            "--format": format_ is not None, "--table": table != "scores",
            "--metric": metric != "mae", "--wide": wide,
        }  # fmt: skip
        if given := [option for option, is_given in table_options.items() if is_given]:
            raise UserError(
                f"--ro-crate writes all files, and {', '.join(given)} is for tables. "
                "Leave one of them out."
            )
        if not licence:
            raise UserError("--ro-crate: a crate names its licence. Add --licence CC-BY-4.0.")
        store = ResultsStore(results)
        chosen = RecordFilter(dataset, protocol, methods).apply(store.sound(thorough=True)[0])
        if not chosen:
            raise no_results("export", results)
        number = write_crate(out, store, chosen, encodable(name), encodable(licence))
        _echo(f"wrote {len(chosen)} records, {number} files, to {out}")
        return
    form = format_ or out.suffix.removeprefix(".").lower()
    if form not in _FORMATS:
        raise unknown("export format", form, _FORMATS)
    if wide and table == "scores":
        raise UserError(
            "--wide is for --table genes and --table profiles. Remove it, or add one of them."
        )
    outcome = api.records(results)
    outcome = outcome._replace(
        records=RecordFilter(dataset, protocol, methods).apply(outcome.records)
    )
    if not outcome.records:
        raise no_results("export", results)
    if table == "scores":
        frame = outcome.table
    else:
        make = outcome.genes if table == "genes" else outcome.profiles
        frame = make(metric, wide=wide)
    _write(frame, out, form)
    _echo(f"wrote {len(frame):,} rows to {out}")


def config(
    name: Annotated[
        str, typer.Argument(metavar="KEY", help="A key, its start, or METHOD@PROTOCOL.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="File to write.")
    ] = None,
    results: ResultsOption = DEFAULT_RESULTS,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Write a suite that runs a record again: genebench run FILE.

    The suite sets the dataset, the protocol, the method and all of its parameters. Messages name
    what differs here from what the record was made with, so that its key cannot come again.
    """
    from genebench import api
    from genebench._util.files import atomic_write, user_errors
    from genebench.plugins.registry import registry
    from genebench.results.naming import named
    from genebench.runs.repeat import changes_since, suite_of_record

    record, store = named(name, results)
    text = suite_of_record(record, store)
    if out is None:
        output.block(text)
    else:
        with user_errors(out, "Name another file with --out."), atomic_write(out) as stream:
            stream.write(text.encode())
        _echo(f"wrote {out}")
    data = api.digest_here(record.dataset, record.preset)
    for change in changes_since(record.identity, registry(), data):
        output.message(f"note: {change}. The result will have another key.")


def diff(  # noqa: PLR0917  the command line names them
    a: Annotated[
        str, typer.Argument(help="A record (key, file, METHOD@PROTOCOL), a folder or a bundle.")
    ],
    b: Annotated[str, typer.Argument(help="Another one. A folder and a bundle are of one kind.")],
    results: ResultsOption = DEFAULT_RESULTS,
    metrics: MetricsOption = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Show every panel, and scores that are equal, too.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print tables in Markdown, such as for a pull request."),
    ] = False,
) -> None:
    """Compare two records, or the records of two folders: settings, versions and scores.

    A difference is the second score minus the first. Records of two folders are paired by dataset,
    protocol, method, parameters and seed, so that their code, data and versions may differ.
    """
    from genebench.analysis.difference import (
        Pairing,
        paired,
        score_differences,
        setting_differences,
    )
    from genebench.results.naming import named

    if json_ and markdown:
        raise UserError("--json and --markdown are two formats. Leave one of them out.")
    if (is_of_folders := _has_many(a)) != _has_many(b):
        raise UserError(f"{a} and {b}: one is a folder, the other is not. Name two of one kind.")
    if is_of_folders:
        pairing = paired(_records_in(Path(a)), _records_in(Path(b)))
    else:
        pairing = Pairing(pairs=[(named(a, results).record, named(b, results).record)])
    if markdown:
        _print_changes(pairing, (a, b), metrics)
        return
    settings = [setting_differences(*pair) for pair in pairing.pairs]
    scores = score_differences(pairing.pairs)
    if json_:
        columns = ("setting", "a", "b")
        output.as_json(
            {
                "pairs": [
                    {
                        "key_a": first.key, "key_b": second.key,
                        "settings": [dict(zip(columns, row, strict=True)) for row in rows],
                    }
                    for (first, second), rows in zip(pairing.pairs, settings, strict=True)
                ],
                "scores": scores.to_dict("records"),
                "only_a": [record.key for record in pairing.only_a],
                "only_b": [record.key for record in pairing.only_b],
            }
        )  # fmt: skip
        return
    if is_of_folders:
        _echo(
            f"{counted(len(pairing.pairs), 'pair')}, {len(pairing.only_a)} only in {a}, "
            f"{len(pairing.only_b)} only in {b}"
        )
    if pairing.pairs:
        _print_settings(settings, many=is_of_folders)
        _print_differences(scores, metrics, show_all=all_, many=is_of_folders)


def _has_many(name: str) -> bool:
    """Return whether a name is that of a folder of records, or of a bundle."""
    path = Path(name)
    return path.is_dir() or (path.suffix == ".zip" and path.is_file())


def _records_in(path: Path) -> list[Record]:
    """Return the sound records of a folder or of a bundle."""
    from genebench.results.bundle import opened
    from genebench.results.store import ResultsStore

    if path.is_dir():
        # A folder to be filled, such as the board of a new plugin, is not refused as another one.
        return ResultsStore(path).sound()[0] if any(path.iterdir()) else []
    with opened(path) as (_, store):
        return store.sound()[0]


def _print_changes(pairing: Pairing, names: tuple[str, str], metrics: str | None) -> None:
    """Print the changes as Markdown."""
    from genebench.cli.reporting import print_report
    from genebench.plugins.registry import registry
    from genebench.reports.changes import ChangesReport
    from genebench.reports.report import SHOWN_METRICS

    known = registry().metrics
    if metrics is None:
        chosen = list(SHOWN_METRICS)
    elif metrics.strip() == "all":
        chosen = list(known.specs)
    else:
        chosen = [known.get(name.strip()).name for name in metrics.split(",")]
    report = ChangesReport((), registry(), metrics=chosen, pairing=pairing, names=names)
    print_report("changes", report, "markdown")


def _print_settings(settings: list[list[tuple[str, str, str]]], *, many: bool) -> None:
    """Print the settings that differ, those of several pairs with the number of pairs."""
    counts = Counter(row for rows in settings for row in rows)
    if not counts:
        _echo("no setting differs")
        return
    # Both values stand side by side: what is left of the line is shared between them.
    longest = max(len(row[0]) for row in counts)
    room = min(_CELL, max(_LEAST_CELL, (output.width() - longest - _GAPS) // 2))
    cut = {row: (row[0], *(_shortened(text, room) for text in row[1:])) for row in counts}
    if many:
        rows = [(name, a, b, str(counts[row])) for row, (name, a, b) in cut.items()]
        output.table(("setting", "a", "b", "pairs"), rows)
    else:
        output.table(("setting", "a", "b"), list(cut.values()))


def _shortened(text: str, room: int) -> str:
    """Return a value with few letters: the first ten digits of a commit or a digest."""
    if _DIGEST.fullmatch(text):
        return text[:10]
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _print_differences(
    scores: pd.DataFrame, metrics: str | None, *, show_all: bool, many: bool
) -> None:
    """Print the scores of each pair, the largest differences first if there are many pairs."""
    from genebench.reports.report import SHOWN_METRICS
    from genebench.results.checks import ROUNDING

    if metrics is None and not show_all:
        scores = scores[scores["metric"].isin(SHOWN_METRICS)]
    elif metrics is not None and metrics.strip() != "all":
        names = [name.strip() for name in metrics.split(",")]
        present = set(scores["metric"])
        for name in names:
            if name not in present:
                raise unknown("metric among these results", name, present)
        scores = scores[scores["metric"].isin(names)]
    if not show_all:
        scores = scores[scores["panel"] == "all"]
    equal = scores["difference"].abs() <= ROUNDING
    shown = scores if show_all or not many else scores[~equal]
    if many:
        shown = shown.reindex(shown["difference"].abs().sort_values(ascending=False).index)
    columns = ("dataset", "protocol", "method", "seed", "metric", "panel", "a", "b", "difference")
    rows = [
        (*map(str, row[:6]), f"{row[6]:.4f}", f"{row[7]:.4f}", f"{row[8]:+.2e}")
        for row in shown[list(columns)].itertuples(index=False)
    ]
    if rows:
        output.table(columns, rows)
    if many:
        _echo(f"{int(equal.sum())} of {len(scores)} scores agree to {ROUNDING:g}")


def submit(  # noqa: PLR0917  the command line names them
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The bundle to write.")
    ] = Path("genebench-submission.zip"),
    name: Annotated[str, typer.Option(help="Name of the sender.")] = "",
    contact: Annotated[str, typer.Option(help="Address of the sender.")] = "",
    licence: Annotated[
        str, typer.Option("--license", "--licence", help="Licence, for example CC-BY-4.0.")
    ] = "",
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of seeds that every stochastic method must have.")
    ] = 3,
    results: ResultsOption = DEFAULT_RESULTS,
    dataset: OnlyDatasetOption = None,
    protocol: OnlyProtocolsOption = None,
    methods: OnlyMethodsOption = None,
) -> int:
    """Check the entry conditions, and write the results to a bundle that others can verify.

    Trials of tuning are left out. Kept predictions and models are included. With predictions,
    everybody who has the dataset can recompute every score.
    """
    from genebench.results.bundle import SENDER_LETTERS, write_bundle
    from genebench.results.filters import RecordFilter
    from genebench.results.store import ResultsStore

    store = ResultsStore(results)
    readable, faults = store.sound()
    for fault in faults:
        _echo(f"left out: {fault.line}")
    records = RecordFilter(dataset, protocol, methods, trials=False).apply(readable)
    for record in records:
        if record.reason:
            _echo(f"left out: {record.key}: {record.identity.method} is not applicable")
    records = [record for record in records if not record.reason]
    sender = {"name": name, "contact": contact, "licence": licence}
    sender = {key: encodable(text) for key, text in sender.items()}
    for key, text in sender.items():
        if len(text) > SENDER_LETTERS:
            raise UserError(
                f"--{key}: {len(text)} letters are too many. Use at most {SENDER_LETTERS}."
            )
    if _unmet(store, records, sender, seeds):
        return FAILED
    manifest = write_bundle(out, store, records, sender)
    _echo(f"wrote {len(records)} records, {len(manifest.files)} files, to {out}")
    _echo(f"to verify it: genebench results verify {out}")
    return OK


def schema() -> None:
    """Print the JSON Schema of a record, with a description of every key."""
    from genebench.results.schema import json_schema

    output.block(json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n")


def _verify(store: ResultsStore, *, mark: bool = False, json_: bool = False) -> int:
    """Audit a folder, print the faults and a summary, and return the exit status."""
    from genebench.analysis import audit
    from genebench.plugins.registry import registry
    from genebench.runs.verifying import predict_again

    audits = list(audit.audit(store, registry(), predict_again))
    if not audits:
        raise no_results("verify", store.root)
    unsound = [record for record in audits if record.faults]
    if json_:
        if mark:
            for record in audits:
                if record.is_verified:
                    audit.annotate(record, store)
        output.as_json(
            [
                {
                    "key": record.key,
                    "sound": not record.faults,
                    "faults": list(record.faults),
                    "recomputed": list(record.recomputed),
                    "source": record.source,
                    "not_recomputed": record.not_recomputed,
                }
                for record in audits
            ]
        )
        return FAILED if unsound else OK
    for record in unsound:
        for fault in record.faults:
            _echo(f"{record.key}: {fault}")
    recomputed = [record for record in audits if record.recomputed and not record.faults]
    _count("not recomputed", (record.not_recomputed for record in audits))
    _count("model not used, but predictions", (record.unused_model for record in audits))
    marked = ""
    if mark:
        _count("not marked", (reason for record in recomputed for reason in record.unmarked))
        verified = [record for record in recomputed if record.is_verified]
        for record in verified:
            audit.annotate(record, store)
        marked = f", {len(verified)} marked as verified"
    from_models = sum(record.source == "model" for record in recomputed)
    models = f"{from_models} recomputed from their models, " if from_models else ""
    _echo(
        f"{len(audits) - len(unsound)} of {len(audits)} records are sound, {models}"
        f"{len(recomputed) - from_models} recomputed from their predictions{marked}"
    )
    return FAILED if unsound else OK


def _count(what: str, reasons: Iterable[str]) -> None:
    """Print each reason once, with the number of records that it holds for."""
    for reason, number in Counter(filter(None, reasons)).items():
        _echo(f"{number} {what}: {reason}")


@contextmanager
def _unpacked(bundle: Path) -> Iterator[tuple[ResultsStore, dict[str, str]]]:
    """Provide a bundle's records in a temporary folder, and its sender, who is printed."""
    from genebench.results.bundle import opened

    with opened(bundle) as (manifest, store):
        sender = {"name": manifest.name, "contact": manifest.contact, "licence": manifest.licence}
        licence = f", licence {manifest.licence}" if manifest.licence else ""
        _echo(f"submitted by {manifest.name} <{manifest.contact}>, {manifest.created}{licence}")
        yield store, sender


def _unmet(store: ResultsStore, records: list[Record], sender: dict[str, str], seeds: int) -> bool:
    """Print the entry conditions that are not met, and return whether there are any."""
    from genebench.plugins.registry import registry
    from genebench.results.submission import Submission, unmet

    violations = unmet(Submission(tuple(records), store, registry(), sender, seeds))
    for violation in violations:
        _echo(f"not met: {violation}")
    return bool(violations)


def _write(frame: pd.DataFrame, out: Path, form: str) -> None:
    """Write a table in the given format."""
    from genebench._util.files import atomic_write, user_errors
    from genebench.reports.reporters.values import csv_of, json_of

    with user_errors(out, "Name another file with --out."), atomic_write(out) as stream:
        if form == "csv":
            stream.write(csv_of(frame).encode())
        elif form == "json":
            stream.write(json_of(frame).encode())
        else:
            try:
                frame.to_parquet(stream, index=False)
            except ImportError:
                raise missing_library("Format parquet", "pyarrow", "arrow") from None


def _echo(line: str) -> None:
    output.line(printable(line))
