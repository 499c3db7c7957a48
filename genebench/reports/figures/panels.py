"""Figures of several panels side by side, at places in millimetres."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from genebench.reports.figures.style import (
    FONT,
    SMALL,
    canvas,
    foot_height,
    head,
    head_height,
    place,
    wrapped,
    write,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT, _RIGHT, _BELOW, _ABOVE, _TITLED = 13.5, 2.5, 10.0, 5.0, 7.0
"""Millimetres around the diagram of a panel: ticks and names of axes, and a line of text above."""


def panels(
    number: int,
    width: float,
    title: str,
    note: str = "",
    *,
    across: int = 1,
    aspect: float = 0.75,
    right: float = 0.0,
    inside: float = 0.0,
    titled: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels of one size, in rows, named by letters if there are several.

    Args:
        number: the number of panels.
        width: width of the figure in millimetres.
        title: the title.
        note: a note below all.
        across: panels that have room in a row.
        aspect: height of a diagram, as a part of its width.
        right: free room on the right of all panels in millimetres, such as for labels.
        inside: free room on the right of each panel in millimetres.
        titled: whether panels have titles.
    """
    rows = math.ceil(number / across)
    outer = (width - right) / across
    inner = outer - _LEFT - _RIGHT - inside
    height = inner * aspect
    # The letter of a panel, or its title, needs room.
    outer_height = height + _BELOW + (_TITLED if titled else _ABOVE if number > 1 else 1.0)
    top, foot = head_height(title, width), foot_height(note, width)
    figure = canvas(width, top + rows * outer_height + foot)
    head(figure, title, note)
    axes = []
    for panel in range(number):
        row, column = divmod(panel, across)
        bottom = foot + (rows - 1 - row) * outer_height + _BELOW
        axes.append(place(figure, column * outer + _LEFT, bottom, inner, height))
        if number > 1:
            letter = chr(ord("a") + panel) if panel < 26 else str(panel + 1)  # noqa: PLR2004
            write(
                figure, column * outer + 2, bottom + height + 1.2, letter, FONT + 1,
                weight="bold", va="bottom",
            )  # fmt: skip
    return figure, axes


def name_axes(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Write the names of the axes, and a title, wrapped to their lengths."""
    across, up = lengths(axes)
    axes.set_xlabel("\n".join(wrapped(x, across + 4, SMALL, lines=2)), fontsize=SMALL)
    # The room above and below a diagram is free beside it.
    axes.set_ylabel("\n".join(wrapped(y, up + 6, SMALL, lines=2)), fontsize=SMALL, linespacing=1.0)
    if title:
        text = "\n".join(wrapped(title, across - 1, SMALL, lines=2, bold=True))
        axes.set_title(text, fontsize=SMALL, loc="left", pad=3, linespacing=1.0)


def lengths(axes: Axes) -> tuple[float, float]:
    """Return width and height of a diagram in millimetres."""
    box = axes.get_position()
    figure = axes.get_figure(root=True)
    assert figure is not None
    width, height = figure.get_size_inches()
    return box.width * width * 25.4, box.height * height * 25.4


def short_unit(unit: str) -> tuple[str, str]:
    """Return a unit as small panels have room for, and a sentence that explains it."""
    if unit == "standard deviations of the gene":
        return "std", "std: standard deviations of the gene."
    return unit, ""


def few_y_ticks(axes: Axes, number: int = 6) -> None:
    """Show few ticks on the y axis, at values of few digits."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(number, steps=[1, 2, 5, 10]))


def log_ticks(axes: Axes, ratio: float) -> None:
    """Show few ticks on a logarithmic x axis. ``ratio`` is that of its largest to smallest value.

    One decade or less has at most one tick at a power of ten.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    between = (1, 2, 5) if ratio < _FEW_DECADES[0] else (1, 3) if ratio < _FEW_DECADES[1] else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=between))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


_FEW_DECADES = 30, 300
"""Ratios below which powers of ten have two ticks between them, or one."""


def short_number(value: float) -> str:
    """Return the label of a tick: powers of ten that are long as such."""
    exponent = round(math.log10(value)) if value > 0 else 0
    if abs(exponent) > _LONGEST and math.isclose(value, 10.0**exponent, rel_tol=1e-6):
        return "10" + str(exponent).translate(_RAISED)
    return f"{value:,.10g}"


_LONGEST = 3
"""Digits of a power of ten that are written out."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
