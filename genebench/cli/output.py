"""How commands print: tables that fit a terminal, plain lines elsewhere, nothing unescaped."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

from genebench.text import printable

PIPE_WIDTH = 120
"""Columns assumed when the output is no terminal."""


def width() -> int:
    """Columns to lay tables out for."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the last column wraps."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=width(), highlight=False).print(grid)


def as_json(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a JSON array."""
    typer.echo(json.dumps(rows, indent=1))
