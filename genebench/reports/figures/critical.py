"""Critical-difference diagrams: scores of methods, and bars that join those that are tied.

The bars show the ties of the table of ranks, and no other: two methods have a mark on one bar if,
and only if, the table prints them as tied. Differences have different variances, so a method
between two tied ones need not be tied with both. So bars have a mark for each of their methods.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genebench.analysis.rank import Standing
from genebench.reports.figures.drawing import Drawing
from genebench.reports.figures.forest import standings_table
from genebench.reports.figures.rows import Rows, few_ticks, rows_of
from genebench.reports.figures.style import COLOURS, TWO_COLUMNS, place, size_of, write
from genebench.reports.wording import rank_cells
from genebench.specs import MetricSpec

_BAR = 2.2
"""Millimetres between two bars."""
_GAP = 2.0
"""Millimetres between the last bar and the ranks."""
_FARTHEST = 3.0
"""Scores this many times as far from the best as three quarters of all are drawn at the edge."""


def groups_of_ties(table: Sequence[Standing]) -> list[list[int]]:
    """Return few groups of ranked rows in which all are tied. Every tie lies in some group.

    Rows are numbered from the best. A row without a tie is in no group.
    """
    ranked = [row for row in table if row.rank is not None]
    number = {id(row.variant): place for place, row in enumerate(ranked)}
    tied = [{number[id(other)] for other in row.tied_with} for row in ranked]
    left = {(a, b) for a, others in enumerate(tied) for b in others if a < b}
    groups = []
    while left:
        # Starting with the first tie that no group has, add rows from the top while all are tied.
        a, b = min(left)
        group = [a, b]
        for row in range(len(ranked)):
            if row not in group and all(row in tied[member] for member in group):
                group.append(row)
        groups.append(sorted(group))
        left -= {(x, y) for x in group for y in group if x < y}
    return groups


def critical(
    name: str, table: Sequence[Standing], metric: MetricSpec, where: str, width: float
) -> Drawing:
    """Return the critical-difference diagram of the ranked methods of a table."""
    ranked = [row for row in table if row.rank is not None]
    groups = groups_of_ties(table)
    means = [row.mean for row in ranked]
    columns = columns_of(groups)
    room = (0.16 if width < TWO_COLUMNS else 0.3) * width
    step = min(_BAR, room / max(1, *columns, 1))
    rows = rows_of(
        [row.variant.label for row in ranked],
        [("rank", [rank_cells(row)[0] for row in ranked])],
        width,
        f"{metric.title} ({metric.unit}), {metric.direction} is better",
        f"Critical differences · {where}",
        "Methods with a mark on the same bar are tied (no significant difference, 5 % for all "
        f"{len(ranked) * (len(ranked) - 1) // 2:,} pairs together)."
        if groups
        else "No two methods are tied (5 % for all pairs together).",
        spare=step * (max(columns) + 1) + _GAP if groups else 0.0,
    )
    axes = rows.axes
    in_no_group = set(range(len(ranked))).difference(*groups)
    for row, (middle, mean) in enumerate(zip(rows.middles, means, strict=True)):
        alone = row in in_no_group
        axes.plot(
            mean, middle, "D" if alone else "o", color=COLOURS[1] if alone else COLOURS[0],
            markersize=3.2,
        )  # fmt: skip
    low, high = _limits(means)
    rows.cut(low, high, means, [f"{mean:.4f}" for mean in means])
    few_ticks(axes)
    if groups:
        _bars(rows, groups, columns, step)
    numbers = standings_table(table, metric)
    numbers["bars"] = [
        " ".join(str(bar) for bar, group in enumerate(groups, 1) if row in group)
        for row in range(len(ranked))
    ]
    return Drawing(name, rows.figure, numbers)


def columns_of(groups: Sequence[Sequence[int]]) -> list[int]:
    """Return the column of each group's bar, from 1. Bars of a column are at least a row apart."""
    ends, columns = list[int](), list[int]()
    for group in groups:
        free = [column for column, end in enumerate(ends) if group[0] > end + 1]
        column = free[0] if free else len(ends)
        ends[column : column + 1] = [group[-1]]
        columns.append(column + 1)
    return columns


def _bars(rows: Rows, groups: Sequence[Sequence[int]], columns: Sequence[int], step: float) -> None:
    """Draw a bar for each group, with a mark for each of its rows."""
    box = rows.axes.get_position()
    _, up = size_of(rows.figure)
    left, width = rows.spare
    bars = place(rows.figure, left, box.y0 * up, width, box.height * up)
    bars.set(xlim=(0, width), ylim=rows.axes.get_ylim(), xticks=[], yticks=[])
    bars.set_axis_off()
    bars.patch.set_alpha(0)
    for number, (group, column) in enumerate(zip(groups, columns, strict=True)):
        x, colour = step * column, COLOURS[number % len(COLOURS)]
        ys = [rows.middles[row] for row in group]
        bars.plot([x, x], [ys[0], ys[-1]], color=colour, linewidth=0.9, zorder=1)
        bars.plot([x] * len(ys), ys, "o", color=colour, markersize=min(2.6, step * 1.3), zorder=2)
    write(
        rows.figure, left + (width - _GAP) / 2, box.y1 * up + 1, "ties", ha="center", va="bottom",
        color="0.35",
    )  # fmt: skip


def _limits(means: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the x axis: far scores are left out."""
    best = means[0]
    distances = np.abs(np.array(means) - best)
    # Of two methods the other one is the farthest, and has to be shown.
    far = _FARTHEST * float(np.percentile(distances, 75)) if len(means) > 2 else np.inf  # noqa: PLR2004
    inside = [mean for mean, distance in zip(means, distances, strict=True) if distance <= far]
    margin = 0.06 * (max(inside) - min(inside)) or 0.05 * abs(best) or 0.5
    return min(inside) - margin, max(inside) + margin
