"""Tables in a terminal."""

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
    """All tables, as wide as the terminal; styled when it shows colours."""
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
        bulleted = RichTable.grid(padding=(0, 1))
        bulleted.add_row("·", Text(printable(note), style="dim"))
        console.print(bulleted)
    console.print()


def _grid(table: Table, *, colour: bool) -> RichTable:
    grid = RichTable(
        box=SIMPLE_HEAD, pad_edge=False,
        title=Text(printable(table.title), style="bold"), title_justify="left",
    )  # fmt: skip
    for at, column in enumerate(table.columns):
        grid.add_column(Text(printable(column)), justify="left" if at == 0 else "right")
    for row in table.rows:
        grid.add_row(*_cells(row, colour=colour))
    return grid


def _cells(row: Row, *, colour: bool) -> list[Text]:
    return [_cell(row, at, text, colour=colour) for at, text in enumerate(row.cells)]


def _cell(row: Row, at: int, text: str, *, colour: bool) -> Text:
    best, heat = at in row.best, row.heat[at] if row.heat else None
    # In a heat map every cell has a colour: without colours, the best still has to stand out.
    starred = best and bool(row.heat) and not colour
    return Text(f"* {printable(text)}" if starred else printable(text), _style(row, best, heat))


def _style(row: Row, best: bool, heat: float | None) -> str:
    if heat is not None:
        return f"{'bold underline ' if best else ''}{ink(heat)} on {paint(heat)}"
    if best:
        return "bold green"
    return "dim italic" if row.control else ""
