"""``genebench new``: a complete package for a new plugin."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, cast

import typer

from genebench.cli import output
from genebench.errors import UserError, unknown

KINDS = ("method", "dataset", "metric", "protocol")
_FIRST_COMMANDS = {
    "method": "genebench check {name}",
    "dataset": "genebench run --dataset {name} --methods train-mean",
    "metric": "genebench run --methods train-mean --preset tiny --metrics {name}",
    "protocol": "genebench check {name}",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "new",
        short_help="Write a package to start a plugin from.",
        epilog="Example: genebench new method mymethod",
    )(new)


def new(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="method, dataset, metric or protocol.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of what the plugin offers.")],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder to write the package's folder to."),
    ] = Path(),
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="DIR", help="Folder of a package that the plugin is added to."
        ),
    ] = None,
) -> None:
    """Write a complete package, which can be installed, tested and run before it is changed.

    With --into, the plugin becomes a further module of an existing package.
    """
    from genebench.scaffold import Kind, add, create

    if kind not in KINDS:
        raise unknown("kind of plugin", kind, KINDS)
    if into is not None:
        if out != Path():
            raise UserError("--out and --into: both say where to write. Choose one.")
        added = add(cast("Kind", kind), name, into)
        for path in added.files:
            output.line(f"{path}")
        for remark in added.remarks:
            output.line(remark)
        output.line("Install the package again, so that its new entry point is found:")
        output.line(f"  python -m pip install --editable {shlex.quote(str(into))}")
        output.line(f"  {_FIRST_COMMANDS[kind].format(name=name)}")
        return
    folder = create(cast("Kind", kind), name, out)
    output.line(f"{folder}: a complete package. Next steps:")
    output.line(f"  python -m pip install --editable {shlex.quote(str(folder))}")
    output.line(f"  genebench list {kind}s")
    output.line(f"  {_FIRST_COMMANDS[kind].format(name=name)}")
    output.line(f"  python -m pytest {shlex.quote(str(folder))}")
