"""Colours, marks and labels of several series in one diagram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from genebench.reports.figures.drawing import shown
from genebench.specs import MetricSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Those of Okabe and Ito, safe for colour-blind eyes, without yellow, which is pale on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_DIAGRAM_INCHES = 6.4, 4.8
_LABEL_INCHES = 0.17
"""Height of a label."""
_LETTER_INCHES = 0.062
"""Width of a letter, on average."""
_LETTERS = 60
"""Letters of a label that are shown."""
_LINE = 34
"""Letters of a line of a label beside a point."""
_FONT_SIZE = 8
_MARGIN = 0.08
"""Room beyond the best value, as a share of the axis."""

Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in inches."""


def style(position: int) -> tuple[str, str]:
    """Return the colour and the mark of a series. 49 series have different ones."""
    return _COLOURS[position % len(_COLOURS)], _MARKS[position // len(_COLOURS) % len(_MARKS)]


def blank(labels: Sequence[str], *, beside: bool) -> tuple[Figure, Axes]:
    """Return an empty diagram with room for labels.

    Args:
        labels: the labels of the series.
        beside: whether labels stand on the right of the diagram.
    """
    from matplotlib.figure import Figure

    width, height = _DIAGRAM_INCHES
    if beside:
        width += _LETTER_INCHES * max(len(shown(label, _LETTERS)) for label in labels)
        height = max(height, 1.2 + _LABEL_INCHES * len(labels))
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_xscale("log")
    axes.grid(axis="y", linewidth=0.4, alpha=0.5)
    return figure, axes


def name_axes(axes: Axes, x: str, y: str, title: str) -> None:
    """Write the title and the names of the axes as they are, without mathematical notation."""
    axes.set_title(shown(title, 100), fontsize=9, loc="left", parse_math=False)
    axes.set_xlabel(x, fontsize=9, parse_math=False)
    axes.set_ylabel(y, fontsize=9, parse_math=False)


def shown_range(values: Sequence[float], metric: MetricSpec) -> tuple[float, float]:
    """Return the best value, and one twice as far from it as three quarters of all values are.

    Least squares on few profiles is so much worse than all else that other methods would lie on
    one line.
    """
    lower = metric.direction == "lower"
    best = min(values) if lower else max(values)
    return best, best + 2 * (float(np.percentile(values, 75 if lower else 25)) - best)


def limit(axes: Axes, values: Sequence[float], metric: MetricSpec) -> str:
    """End the y axis before values that are far worse than most.

    Returns:
        A part of the title that says so. Empty if all values are shown.
    """
    best, worst = shown_range(values, metric)
    lower = metric.direction == "lower"
    if not ((max(values) > worst) if lower else (min(values) < worst)):
        return ""
    margin = _MARGIN * (best - worst)
    axes.set_ylim(*sorted((best + margin, worst)))
    return f" · {'larger' if lower else 'smaller'} values are in the table"


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return places for labels between 0 and 1, near the wanted ones and ``gap`` apart.

    Labels that are too close form a block around the mean of their wanted places.
    """
    # Each block: its members, and the place of its middle.
    blocks: list[tuple[list[int], float]] = []
    for index in np.argsort(wanted, kind="stable"):
        members = [int(index)]
        while True:
            half = gap * (len(members) - 1) / 2
            middle = float(np.mean([wanted[member] for member in members]))
            middle = min(max(middle, half), 1 - half)
            if not blocks or middle - half >= blocks[-1][1] + gap * (len(blocks[-1][0]) + 1) / 2:
                break
            members = [*blocks.pop()[0], *members]
        blocks.append((members, middle))
    places = [0.0] * len(wanted)
    for members, middle in blocks:
        for row, member in enumerate(members):
            places[member] = middle + gap * (row - (len(members) - 1) / 2)
    return places


def label_ends(axes: Axes, labels: Sequence[str], ends: Sequence[tuple[float, float]]) -> None:
    """Write the label of each series beside the diagram, with a line to its point.

    Call this last: it fixes the limits of the axes. Points beyond them have no label.

    Args:
        axes: the diagram.
        labels: one for each series, in the order of :func:`style`.
        ends: x and y of the point of each series.
    """
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    visible = [position for position, (_, y) in enumerate(ends) if low <= y <= high]
    wanted = [(ends[position][1] - low) / (high - low) for position in visible]
    places = spread(wanted, _LABEL_INCHES / _height(axes))
    for position, place in zip(visible, places, strict=True):
        colour, _ = style(position)
        line = {
            "arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3,
            "relpos": (0, 0.5),
        }  # fmt: skip
        axes.annotate(
            shown(labels[position], _LETTERS), xy=ends[position], xytext=(1.06, place),
            textcoords="axes fraction", color=colour, fontsize=_FONT_SIZE, va="center",
            parse_math=False, annotation_clip=False, arrowprops=line,
        )  # fmt: skip


def label_points(axes: Axes, labels: Sequence[str], points: Sequence[tuple[float, float]]) -> None:
    """Write the label of each point near it, where it covers as little as possible.

    Points beyond the limits of the axis have no label.

    Call this last: it fixes the limits of the axes.

    Args:
        axes: the diagram.
        labels: one for each point, in the order of :func:`style`.
        points: x and y of each point.
    """
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    width = _DIAGRAM_INCHES[0] - 0.8
    # Places as inches within the diagram. Its margins are about as large as those of a label.
    dots = (axes.transScale + axes.transLimits).transform(points) * (width, _height(axes))
    taken: list[Box] = [(x - 0.05, y - 0.05, x + 0.05, y + 0.05) for x, y in dots]
    low, high = axes.get_ylim()
    visible = [position for position, (_, y) in enumerate(points) if low <= y <= high]
    # Short labels first: there is room for a long one farther away only.
    for position in sorted(visible, key=lambda position: len(labels[position])):
        text, (colour, _) = fill(shown(labels[position], _LETTERS), _LINE), style(position)
        lines = text.splitlines()
        size = max(map(len, lines)) * _LETTER_INCHES, len(lines) * _LABEL_INCHES
        x, y = map(float, dots[position])
        candidates = list(_near(x, y, *size))
        box = min(candidates, key=lambda box: _covered(box, taken, (width, _height(axes))))
        taken.append(box)
        far = candidates.index(box) >= _CLOSE
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6} if far else None
        axes.annotate(
            text, xy=points[position],
            xytext=((box[0] - x) * 72, (box[1] + box[3] - 2 * y) * 36),
            textcoords="offset points", color=colour, fontsize=_FONT_SIZE, va="center",
            parse_math=False, arrowprops=line,
        )  # fmt: skip


_CLOSE = 6
"""Number of candidates that need no line to their point."""


def _near(x: float, y: float, width: float, height: float) -> Iterator[Box]:
    """Yield places for a label near a point, the best first."""
    for distance in (0.07, 0.3, 0.55, 0.8, 1.2, 1.6):
        for left, bottom in (
            (x + distance, y - height / 2),
            (x - distance - width, y - height / 2),
            (x - width / 2, y + distance),
            (x - width / 2, y - distance - height),
            (x + distance, y + distance),
            (x - distance - width, y - distance - height),
        ):
            yield left, bottom, left + width, bottom + height


def _covered(box: Box, taken: Sequence[Box], diagram: tuple[float, float]) -> float:
    """Return the area of a box that is taken, or outside the diagram."""
    left, bottom, right, top = box
    inside = _overlap(box, (0.0, 0.0, *diagram))
    outside = (right - left) * (top - bottom) - inside
    return outside + sum(_overlap(box, other) for other in taken)


def _overlap(box: Box, other: Box) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _height(axes: Axes) -> float:
    """Return the height of a diagram in inches, without title and name of the x axis."""
    figure = axes.get_figure(root=True)
    return float(figure.get_figheight()) - 0.9 if figure else 1.0
