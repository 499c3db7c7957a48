"""``genebench new``: a complete package for a new plugin."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, cast

import typer

from genebench.cli import output
from genebench.errors import unknown

KINDS = ("method", "dataset", "metric", "protocol")
_FIRST_COMMANDS = {
    "method": "genebench check {name}",
    "dataset": "genebench run --dataset {name} --methods lsr",
    "metric": "genebench run --methods lsr --preset tiny --metrics {name}",
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
) -> None:
    """Write a complete package, which can be installed, tested and run before it is changed."""
    from genebench.scaffold import Kind, create

    if kind not in KINDS:
        raise unknown("kind of plugin", kind, KINDS)
    folder = create(cast("Kind", kind), name, out)
    output.line(f"{folder}: a complete package. Next steps:")
    output.line(f"  python -m pip install --editable {shlex.quote(str(folder))}")
    output.line(f"  genebench list {kind}s")
    output.line(f"  {_FIRST_COMMANDS[kind].format(name=name)}")
    output.line(f"  python -m pytest {shlex.quote(str(folder))}")
