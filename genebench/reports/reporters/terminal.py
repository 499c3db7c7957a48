"""The reporter of tables for a terminal."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from genebench._util.text import printable
from genebench.reports.figures.colours import ink, paint
from genebench.reports.report import Report, Row, Section, Table


def render(report: Report) -> str:
    """Return all tables, as wide as the terminal, and styled if it shows colours."""
    out = StringIO()
    console = Console(
        file=out, width=report.width, force_terminal=report.colour, highlight=False, emoji=False,
        color_system="auto" if report.colour else None,
    )  # fmt: skip
    for section in report.sections():
        _print(section, console, colour=report.colour)
    return out.getvalue()


def _print(section: Section, console: Console, *, colour: bool) -> None:
    console.rule(Text(printable(section.title), style="bold"), align="left")
    for table in section.tables:
        console.print(_grid(table, colour=colour))
    for note in section.notes:
        # A grid of two columns keeps the wrapped lines of a note to the right of its bullet.
        bulleted = RichTable.grid(padding=(0, 1))
        bulleted.add_row("·", Text(printable(note), style="dim"))
        console.print(bulleted)
    console.print()


def _grid(table: Table, *, colour: bool) -> RichTable:
    grid = RichTable(
        box=SIMPLE_HEAD, pad_edge=False,
        title=Text(printable(table.title), style="bold"), title_justify="left",
    )  # fmt: skip
    for index, column in enumerate(table.columns):
        grid.add_column(Text(printable(column)), justify="left" if index == 0 else "right")
    for row in table.rows:
        cells = [_cell(row, column, text, colour=colour) for column, text in enumerate(row.cells)]
        grid.add_row(*cells)
    return grid


def _cell(row: Row, column: int, text: str, *, colour: bool) -> Text:
    best, heat = column in row.best, row.heat[column] if row.heat else None
    # A heat map shows the best cell by its colour. Without colours, a star marks it.
    starred = best and bool(row.heat) and not colour
    return Text(f"* {printable(text)}" if starred else printable(text), _style(row, best, heat))


def _style(row: Row, best: bool, heat: float | None) -> str:
    if heat is not None:
        return f"{'bold underline ' if best else ''}{ink(heat)} on {paint(heat)}"
    if best:
        return "bold green"
    return "dim italic" if row.control else ""
