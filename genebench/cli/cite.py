"""``genebench cite``: BibTeX of the tool, methods and data in a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genebench.cli import output
from genebench.cli.options import (
    DEFAULT_RESULTS,
    OnlyDatasetOption,
    OnlyMethodsOption,
    OnlyProtocolsOption,
    PluginOption,
    ResultsOption,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "cite",
        short_help="Print BibTeX of genebench, methods and data.",
        epilog="Example: genebench cite --results results --out references.bib",
    )(cite)


def cite(  # noqa: PLR0917  the command line names them
    results: ResultsOption = DEFAULT_RESULTS,
    dataset: OnlyDatasetOption = None,
    protocol: OnlyProtocolsOption = None,
    methods: OnlyMethodsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="File to write.")
    ] = None,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Print BibTeX of genebench, and of the methods and the data in a results folder.

    Without a results folder, --methods names installed methods.
    """
    from genebench import api
    from genebench._util.files import atomic_write, user_errors
    from genebench.analysis.citations import bibliography
    from genebench.plugins.registry import registry
    from genebench.results.filters import RecordFilter
    from genebench.results.store import ResultsStore

    if results.exists() or not methods:
        records = RecordFilter(dataset, protocol, methods).apply(ResultsStore(results).sound()[0])
        names = []
    else:
        records, names = [], [spec.name for spec in registry().methods.choose(methods.split(","))]
    text = bibliography(records, registry(), names, api.origins(records))
    if out is None:
        output.block(text)
        return
    with user_errors(out, "Name another file with --out."), atomic_write(out) as stream:
        stream.write(text.encode())
    output.line(f"wrote {out}")
