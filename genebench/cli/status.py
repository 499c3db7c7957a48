"""``genebench status``: the list of records in a results folder."""

from __future__ import annotations

import typer

from genebench.cli import output
from genebench.cli.options import DEFAULT_RESULTS, ResultsOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "status",
        short_help="List the results of a folder.",
        epilog="Example: genebench status --results results",
    )(status)


def status(results: ResultsOption = DEFAULT_RESULTS) -> None:
    """List every record of a folder with its status, seal, start time and seconds of fitting."""
    from genebench import api
    from genebench.results.filters import RecordFilter

    records = api.records(results).records
    order = sorted(records, key=lambda record: (record.dataset, record.identity.protocol))
    output.table(
        (
            "dataset",
            "protocol",
            "method",
            "preset",
            "seed",
            "status",
            "sealed",
            "fit s",
            "started",
            "key",
            "scored on",
        ),
        [
            (
                record.dataset,
                record.identity.protocol,
                record.identity.method,
                record.preset,
                str(record.identity.seed),
                record.status,
                record.seal.level,
                f"{record.seconds.get('fit', 0.0):.1f}",
                record.provenance.started,
                record.key,
                "validation" if record.identity.is_trial else "test",
            )
            for record in order
        ],
    )
    failed = len(RecordFilter(status="failed").apply(records))
    output.line(f"{len(records) - failed} done, {failed} failed in {results}")
