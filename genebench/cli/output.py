"""How commands print: tables that fit a terminal, plain lines elsewhere, nothing unescaped."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

from genebench._util.text import printable

PIPE_WIDTH = 120
"""Columns assumed when the output is no terminal."""

_NARROWEST = 20
"""Columns that the last column of a table gets at least."""


def width() -> int:
    """Columns to lay tables out for."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; its last column wraps at the edge of the terminal."""
    from tabulate import tabulate

    cells = [[printable(cell) for cell in row] for row in rows]
    *others, _last = zip(columns, *cells, strict=True)
    used = sum(max(map(len, column)) + 2 for column in others)
    widths = [None] * len(others) + [max(width() - used, _NARROWEST)]
    shown = tabulate(cells, columns, "simple", disable_numparse=True, maxcolwidths=widths)
    typer.echo(f"{shown}\n")


def as_json(content: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
    """Print rows as a JSON array, or one thing as an object."""
    typer.echo(json.dumps(content, indent=1))
