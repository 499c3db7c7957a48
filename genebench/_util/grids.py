"""Tables that fit a terminal of any width: words stay whole, and numbers are never cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

_GAP = 2
"""Characters between columns."""
_LONGEST_WORD = 32
"""Characters of a word that a column must hold. Longer ones, such as paths, are broken."""


_NO_NUMBER = {"", "–", "-", "?", "failed", "n/a", "best", "nan", "inf"}
"""Cells that stand for a number."""


def console(width: int, *, colour: bool = False) -> tuple[Console, StringIO]:
    """Return a console of this width, and the text that it has printed."""
    out = StringIO()
    made = Console(
        file=out, width=max(width, 1), force_terminal=colour, highlight=False, emoji=False,
        color_system="auto" if colour else None,
    )  # fmt: skip
    return made, out


def grids(columns: Sequence[Text], rows: Sequence[Sequence[Text]], width: int) -> Iterator[Table]:
    """Yield a table that fits the width, or several if it has too many columns.

    Each table repeats the first column. Names and prose wrap between words. Numbers keep their
    lines, and are aligned to the right.

    Args:
        columns: names of the columns.
        rows: the cells of each row.
        width: characters of a line.
    """
    cells = [[column, *(row[at] for row in rows)] for at, column in enumerate(columns)]
    natural = [max(text.cell_len for text in column) for column in cells]
    are_numbers = [
        at > 0 and all(_is_number(text.plain) for text in column[1:])
        for at, column in enumerate(cells)
    ]
    least = [
        # The name of a column of numbers may wrap.
        max([_longest_word(column[0]), *(text.cell_len for text in column[1:])])
        if numeric
        else min(max(map(_longest_word, column)), _LONGEST_WORD, whole)
        for column, whole, numeric in zip(cells, natural, are_numbers, strict=True)
    ]
    for part in _parts(least, width):
        widths = _widths([natural[at] for at in part], [least[at] for at in part], width)
        # One space of padding and one of the box are the gap.
        grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
        for at, size in zip(part, widths, strict=True):
            justify: JustifyMethod = "right" if are_numbers[at] else "left"
            grid.add_column(columns[at], width=size, overflow="fold", justify=justify)
        for row in rows:
            grid.add_row(*(row[at] for at in part))
        yield grid


def _is_number(cell: str) -> bool:
    """Return whether a cell is a number, or stands for one."""
    return cell in _NO_NUMBER or cell.lstrip("*+-−<≥≤ ")[:1].isdigit()


def _longest_word(text: Text) -> int:
    return max((Text(word).cell_len for word in text.plain.split()), default=0)


def _parts(least: Sequence[int], width: int) -> Iterator[list[int]]:
    """Yield the columns of each table, as few tables as the least widths allow."""
    part, used = [0], least[0]
    for at in range(1, len(least)):
        if used + _GAP + least[at] > width and len(part) > 1:
            yield part
            part, used = [0], least[0]
        part.append(at)
        used += _GAP + least[at]
    yield part


def _widths(natural: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Return the width of each column. What is left over goes where most lines would be."""
    widths = list(least)
    for _ in range(width - sum(least) - _GAP * (len(least) - 1)):
        growing = [at for at, size in enumerate(widths) if size < natural[at]]
        if not growing:
            break
        widths[max(growing, key=lambda at: natural[at] / widths[at])] += 1
    return widths
