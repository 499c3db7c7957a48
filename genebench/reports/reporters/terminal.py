"""The reporter of tables for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from genebench._util.grids import console, grids
from genebench._util.text import printable
from genebench.errors import counted
from genebench.reports.figures.colours import ink, paint
from genebench.reports.report import Report, Row, Section, Table


def render(report: Report) -> str:
    """Return all tables, as wide as the terminal, and styled if it shows colours."""
    printer, out = console(report.width, colour=report.colour)
    for section in report.sections():
        _print(section, printer, report)
    # Rich fills lines with spaces.
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


def _print(section: Section, printer: Console, report: Report) -> None:
    printer.rule(Text(printable(section.title), style="bold"), align="left")
    for table in section.tables:
        printer.print(Text(printable(table.title), style="bold"))
        for grid in _grids(table, report):
            printer.print(grid)
            printer.print()
    for sentence in section.verdict:
        printer.print(Text(printable(sentence)))
    for note in section.notes:
        printer.print(_bulleted(note))
    for note in section.details if report.with_notes else ():
        printer.print(_bulleted(note, style="dim"))
    if section.details and not report.with_notes:
        number = counted(len(section.details), "further note")
        printer.print(_bulleted(f"{number}: --notes", style="dim"))
    printer.print()


def _bulleted(note: str, style: str = "") -> RichTable:
    """Return a note whose wrapped lines stay to the right of its bullet."""
    bulleted = RichTable.grid(padding=(0, 1))
    bulleted.add_row("·", Text(printable(note), style=style))
    return bulleted


def _grids(table: Table, report: Report) -> list[RichTable]:
    columns = [Text(printable(column)) for column in table.columns]
    rows = [
        [
            _cell(row, column, text, colour=report.colour)
            for column, text in enumerate(row.cells)
        ]
        for row in table.rows
    ]  # fmt: skip
    return list(grids(columns, rows, report.width))


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
