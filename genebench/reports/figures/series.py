"""Several series in one diagram: their names at the ends of lines, or beside points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from genebench.errors import counted
from genebench.reports.figures.panels import lengths
from genebench.reports.figures.style import (
    LINE,
    ONE_COLUMN,
    SMALL,
    style,
    text_width,
    wrapped,
    wrapped_apart,
)
from genebench.specs import MetricSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN = 0.08
"""Room beyond the best value, as a share of the axis."""
_POINTS_PER_MM = 72 / 25.4
_LABEL = 0.85 * LINE
"""Height of a line of a label in millimetres."""
_WIDEST_LABEL = 30.0
"""Width of a label beside a point in millimetres. Longer ones have two lines or more."""

Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in millimetres."""


def most_named(width: float) -> int:
    """Return the number of series that have a colour and a name. Others are grey."""
    return 8 if width <= ONE_COLUMN else 12


def named_room(labels: Sequence[str], width: float) -> float:
    """Return the millimetres on the right of a diagram that labels of its lines take."""
    return min(max(map(text_width, labels)) + 1.0, 0.36 * width) + 5.0


def others_note(number: int) -> str:
    """Return a sentence on the series without a name, or an empty text."""
    return f"Grey: {counted(number, 'more method')}, named in the CSV file." if number else ""


def shown_range(values: Sequence[float], metric: MetricSpec) -> tuple[float, float]:
    """Return the best value, and one twice as far from it as three quarters of all values are.

    Least squares on few profiles is so much worse than all else that other methods would lie on
    one line.
    """
    lower = metric.direction == "lower"
    best = min(values) if lower else max(values)
    return best, best + 2 * (float(np.percentile(values, 75 if lower else 25)) - best)


def cut_note(values: Sequence[float], metric: MetricSpec) -> str:
    """Return a sentence that says that some values are beyond the axis. Empty if none is."""
    _, worst = shown_range(values, metric)
    lower = metric.direction == "lower"
    if not ((max(values) > worst) if lower else (min(values) < worst)):
        return ""
    return f"{'Larger' if lower else 'Smaller'} values than shown are in the CSV file."


def limit(axes: Axes, values: Sequence[float], metric: MetricSpec) -> None:
    """End the y axis before values that are far worse than most, as :func:`cut_note` says."""
    if cut_note(values, metric):
        best, worst = shown_range(values, metric)
        axes.set_ylim(*sorted((best + _MARGIN * (best - worst), worst)))


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


def label_ends(
    axes: Axes, labels: Sequence[str], ends: Sequence[tuple[float, float]], room: float
) -> None:
    """Write the label of each series beside the diagram, with a line to its point.

    Call this last: it fixes the limits of the axes. Points beyond them have no label.

    Args:
        axes: the diagram.
        labels: one for each series, in the order of :func:`style`.
        ends: x and y of the point of each series.
        room: the room for labels in millimetres, as :func:`named_room` gives.
    """
    across, up = lengths(axes)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    visible = [position for position, (_, y) in enumerate(ends) if low <= y <= high]
    lines = 2 if len(visible) * 2 * _LABEL < up else 1
    texts = [wrapped(labels[position], room - 5.0, lines=lines) for position in visible]
    wanted = [(ends[position][1] - low) / (high - low) for position in visible]
    gap = min(_LABEL * max(map(len, texts), default=1), up / max(1, len(texts) - 1))
    last = max((x for x, _ in ends), default=0.0)
    for position, text, y in zip(visible, texts, spread(wanted, gap / up), strict=True):
        colour, _ = style(position)
        # From a series that ends early, the line crosses the diagram: dots are no data.
        line = {
            "arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2,
            "relpos": (0, 0.5), "linestyle": "-" if ends[position][0] == last else (0, (1, 3)),
        }  # fmt: skip
        axes.annotate(
            "\n".join(text), xy=ends[position], xytext=(1 + 4.5 / across, y),
            textcoords="axes fraction", color=colour, fontsize=SMALL, va="center",
            annotation_clip=False, arrowprops=line, linespacing=0.95,
        )  # fmt: skip


def label_points(
    axes: Axes,
    labels: Sequence[str],
    points: Sequence[tuple[float, float]],
    steps: Sequence[tuple[float, float]] = (),
) -> None:
    """Write the label of each point near it, where it covers as little as possible.

    Points beyond the limits of the axis have no label.

    Call this last: it fixes the limits of the axes.

    Args:
        axes: the diagram.
        labels: one for each of the first points, in the order of :func:`style`.
        points: x and y of each point. Labels do not cover those without a label either.
        steps: corners of a line in steps, which labels should not cover.
    """
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    diagram = lengths(axes)
    # Places in millimetres within the diagram.
    dots = (axes.transScale + axes.transLimits).transform(points) * diagram
    taken: list[Box] = [(x - 1, y - 1, x + 1, y + 1) for x, y in dots]
    if len(steps) > 1:
        corners = (axes.transScale + axes.transLimits).transform(steps) * diagram
        for (x, y), (after, next_y) in pairwise(corners):
            taken += [(x, y - 0.4, after, y + 0.4)]
            taken += [(after - 0.4, min(y, next_y), after + 0.4, max(y, next_y))]
    low, high = axes.get_ylim()
    visible = [at for at in range(len(labels)) if low <= points[at][1] <= high]
    texts = wrapped_apart(labels, _WIDEST_LABEL, lines=2)
    # Short labels first: there is room for a long one farther away only.
    for position in sorted(visible, key=lambda position: len(labels[position])):
        lines, (colour, _) = texts[position], style(position)
        size = max(map(text_width, lines)), len(lines) * _LABEL
        x, y = map(float, dots[position])
        candidates = list(_near(x, y, *size))
        box = min(candidates, key=lambda box: _covered(box, taken, diagram))
        taken.append(box)
        far = candidates.index(box) >= _CLOSE
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0} if far else None
        offset = (box[0] - x) * _POINTS_PER_MM, ((box[1] + box[3]) / 2 - y) * _POINTS_PER_MM
        axes.annotate(
            "\n".join(lines), xy=points[position], xytext=offset, textcoords="offset points",
            color=colour, fontsize=SMALL, va="center", arrowprops=line, linespacing=0.95,
        )  # fmt: skip


_CLOSE = 8
"""Number of candidates that need no line to their point."""


def _near(x: float, y: float, width: float, height: float) -> Iterator[Box]:
    """Yield places for a label near a point, the best first."""
    for distance in (1.4, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0):
        for left, bottom in (
            (x + distance, y - height / 2),
            (x - distance - width, y - height / 2),
            (x - width / 2, y + distance),
            (x - width / 2, y - distance - height),
            (x + distance, y + distance),
            (x - distance - width, y - distance - height),
            (x + distance, y - distance - height),
            (x - distance - width, y + distance),
        ):
            yield left, bottom, left + width, bottom + height


def _covered(box: Box, taken: Sequence[Box], diagram: tuple[float, float]) -> float:
    """Return the area of a box that is taken, or outside the diagram."""
    left, bottom, right, top = box
    inside = _overlap(box, (0.0, 0.0, *diagram))
    outside = (right - left) * (top - bottom) - inside
    # A label beyond the edge is cut. One on another is only hard to read.
    return 2 * outside + sum(_overlap(box, other) for other in taken)


def _overlap(box: Box, other: Box) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
