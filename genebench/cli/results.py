"""``genebench results``: look after a results folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from genebench.cli.options import DEFAULT_RESULTS, ResultsOption
from genebench.errors import UserError
from genebench.text import printable

if TYPE_CHECKING:
    from genebench.results.store import ResultsStore

UNSOUND = 1


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(
        help="Look after a results folder.",
        epilog="Example: genebench results verify --results results",
        no_args_is_help=True,
    )
    group.command("verify", epilog="Example: genebench results verify --results results")(verify)
    app.add_typer(group, name="results")


def verify(results: ResultsOption = DEFAULT_RESULTS) -> int:
    """Recompute keys, file digests and scores of every record; name those that were altered."""
    from genebench.results.store import ResultsStore

    store = ResultsStore(results)
    store.check()
    keys = store.keys()
    faults = {key: found for key in keys if (found := _faults(store, key))}
    for key, found in faults.items():
        for fault in found:
            typer.echo(f"{key}: {printable(fault)}")
    if not keys:
        raise UserError(f"{results}: no results to verify")
    typer.echo(f"{len(keys) - len(faults)} of {len(keys)} records are sound")
    return UNSOUND if faults else 0


def _faults(store: ResultsStore, key: str) -> list[str]:
    try:
        record = store.read(key)
    except UserError as error:
        return [str(error)]
    return store.verify(record) if record else []
