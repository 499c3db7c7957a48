"""Output of commands: tables that fit the terminal, and JSON. All text is escaped."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

from genebench._util.text import printable

PIPE_WIDTH = 120
"""Characters of a line if the output is no terminal."""
_LEAST_WIDTH = 20
"""Characters that the last column of a table has at least, however narrow the terminal."""


def width() -> int:
    """Return the characters that a line of a table may have."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table. Its last column wraps at the edge of the terminal."""
    from tabulate import tabulate

    cells = [[printable(cell) for cell in row] for row in rows]
    *others, _last = zip(columns, *cells, strict=True)
    # tabulate separates columns by two spaces.
    used = sum(max(map(len, column)) + 2 for column in others)
    widths = [None] * len(others) + [max(width() - used, _LEAST_WIDTH)]
    shown = tabulate(cells, columns, "simple", disable_numparse=True, maxcolwidths=widths)
    typer.echo(f"{shown}\n")


def as_json(content: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
    """Print rows as a JSON array, or a mapping as a JSON object."""
    typer.echo(json.dumps(content, indent=1))
