"""Tables in a terminal."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from genebench.report.report import Report, Row, Section, Table
from genebench.text import printable


def render(report: Report) -> str:
    """All tables, as wide as the terminal; styled when it shows colours."""
    out = StringIO()
    console = Console(
        file=out, width=report.width, force_terminal=report.colour, highlight=False, emoji=False,
        color_system="auto" if report.colour else None,
    )  # fmt: skip
    for section in report.sections():
        _print(section, console)
    return out.getvalue()


def _print(section: Section, console: Console) -> None:
    console.rule(Text(printable(section.title), style="bold"), align="left")
    for table in section.tables:
        console.print(_grid(table))
    for note in section.notes:
        bulleted = RichTable.grid(padding=(0, 1))
        bulleted.add_row("·", Text(printable(note), style="dim"))
        console.print(bulleted)
    console.print()


def _grid(table: Table) -> RichTable:
    grid = RichTable(
        box=SIMPLE_HEAD, pad_edge=False,
        title=Text(printable(table.title), style="bold"), title_justify="left",
    )  # fmt: skip
    for at, column in enumerate(table.columns):
        grid.add_column(Text(printable(column)), justify="left" if at == 0 else "right")
    for row in table.rows:
        grid.add_row(*_cells(row))
    return grid


def _cells(row: Row) -> list[Text]:
    plain = "dim italic" if row.control else ""
    return [
        Text(printable(cell), style="bold green" if at in row.best else plain)
        for at, cell in enumerate(row.cells)
    ]
