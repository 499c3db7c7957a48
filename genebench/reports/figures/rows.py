"""Figures with a row for each method: forest plots, critical differences, ladders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genebench.reports.figures.style import (
    COLOURS,
    LINE,
    ONE_COLUMN,
    SMALL,
    canvas,
    foot_height,
    head,
    head_height,
    place,
    text_width,
    wrapped,
    wrapped_apart,
    write,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXIS = 8.0
"""Millimetres of ticks and name of the x axis."""
_HEAD = 4.0
"""Millimetres of the names of columns."""
_GAP = 1.3
"""Millimetres between the labels of two rows."""
_PAD = 2.0


@dataclass(frozen=True)
class Rows:
    """A figure of rows with labels on the left, a diagram, and columns of text on the right.

    Attributes:
        figure: the figure.
        axes: the diagram. Its y axis is in millimetres, and grows downwards.
        middles: y of the middle of each row.
        spare: left end and width of the free room between diagram and columns, in millimetres.
    """

    figure: Figure
    axes: Axes
    middles: list[float]
    spare: tuple[float, float] = (0.0, 0.0)

    def cut(self, low: float, high: float, values: Sequence[float], texts: Sequence[str]) -> None:
        """End the x axis at two values. Points beyond are arrows at the edge, with their value."""
        self.axes.set_xlim(low, high)
        for middle, value, text in zip(self.middles, values, texts, strict=True):
            if low <= value <= high:
                continue
            right = value > high
            edge, mark, across = (high, ">", "right") if right else (low, "<", "left")
            self.axes.plot(
                edge, middle, mark, color=COLOURS[1], markersize=4, clip_on=False, zorder=4
            )
            self.axes.annotate(
                text, (edge, middle), xytext=(-5 if right else 5, 0), textcoords="offset points",
                ha=across, va="center", fontsize=SMALL, color=COLOURS[1],
            )  # fmt: skip


def rows_of(  # noqa: PLR0917
    labels: Sequence[str],
    columns: Sequence[tuple[str, Sequence[str]]],
    width: float,
    x_label: str,
    title: str,
    note: str = "",
    spare: float = 0.0,
    bold: frozenset[int] = frozenset(),
) -> Rows:
    """Return a figure with a row for each label.

    Args:
        labels: one for each row. Long ones have three lines, or more where they would read alike.
        columns: name and cells of each column of text on the right.
        width: width of the figure in millimetres.
        x_label: name of the x axis, with its unit.
        title: the title.
        note: a note below all.
        spare: width of a free room between diagram and columns, in millimetres.
        bold: rows whose label is bold.
    """
    widest = 0.34 * width if width <= ONE_COLUMN else 0.3 * width
    room = min(widest, max(text_width(label, bold=True) for label in labels) + 0.3)
    lines = wrapped_apart(labels, room, lines=3, bold=bold)
    widths = [max(map(text_width, (name, *cells))) + _PAD for name, cells in columns]
    heights = [LINE * 0.85 * len(parts) + _GAP for parts in lines]
    left, right = room + 2 * _PAD, sum(widths) + spare + _PAD
    # The name of the axis may be wider than the axis, as far as the page goes.
    middle = (left + width - right) / 2
    name = wrapped(x_label, 2 * min(middle, width - middle) - 2, SMALL, lines=3)
    below = foot_height(note, width) + _AXIS - LINE + LINE * len(name)
    above = head_height(title, width) + (_HEAD if columns or spare else 1.0)
    figure = canvas(width, above + sum(heights) + below)
    head(figure, title, note)
    axes = place(figure, left, below, width - left - right, sum(heights))
    axes.set(ylim=(sum(heights), 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("\n".join(name), fontsize=SMALL, linespacing=1.1)
    middles, y = [], 0.0
    for row, (parts, height) in enumerate(zip(lines, heights, strict=True)):
        middles.append(y + height / 2)
        y += height
        write(
            figure, left - _PAD, below + sum(heights) - middles[-1], "\n".join(parts),
            ha="right", va="center", linespacing=1.0, weight="bold" if row in bold else "normal",
        )  # fmt: skip
        axes.axhline(middles[-1], color="0.93", linewidth=0.4, zorder=0)
    edge = width - right + spare + _PAD
    for (title_of_column, cells), column_width in zip(columns, widths, strict=True):
        edge += column_width
        at = edge - _PAD
        write(
            figure, at, below + sum(heights) + 1, title_of_column, ha="right", va="bottom",
            color="0.35",
        )  # fmt: skip
        for middle, cell in zip(middles, cells, strict=True):
            write(figure, at, below + sum(heights) - middle, cell, ha="right", va="center")
    return Rows(figure, axes, middles, (width - right + _PAD, spare))


def few_ticks(axes: Axes, number: int = 5) -> None:
    """Show few ticks on the x axis, whose labels do not touch."""
    from matplotlib.ticker import MaxNLocator

    figure = axes.get_figure(root=True)
    assert figure is not None
    width = axes.get_position().width * figure.get_figwidth() * 25.4
    axes.xaxis.set_major_locator(
        MaxNLocator(max(2, min(number, int(width / 9))), steps=[1, 2, 2.5, 5, 10])
    )
    axes.grid(axis="x")
    axes.set_axisbelow(True)
