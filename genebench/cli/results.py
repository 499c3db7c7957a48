"""``genebench results``: look after a results folder."""

from __future__ import annotations

import typer

from genebench.cli.options import DEFAULT_RESULTS, ResultsOption

UNSOUND = 1


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Look after a results folder.", no_args_is_help=True)
    group.command("verify", epilog="Example: genebench results verify --results results")(verify)
    app.add_typer(group, name="results")


def verify(results: ResultsOption = DEFAULT_RESULTS) -> int:
    """Recompute keys, file digests and scores of every record; name those that were altered."""
    from genebench import api
    from genebench.results.store import ResultsStore

    store = ResultsStore(results)
    records = api.records(results).records
    faults = [(record, fault) for record in records for fault in store.verify(record)]
    for record, fault in faults:
        identity = record.identity
        typer.echo(f"{record.key} ({identity.method}, {identity.protocol}): {fault}")
    unsound = len({record.key for record, _ in faults})
    typer.echo(f"{len(records) - unsound} of {len(records)} records are sound")
    return UNSOUND if faults else 0
