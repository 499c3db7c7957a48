"""Forest plots: the paired difference of each method to the leader, with simultaneous intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from genebench.analysis.bootstrap import SIGNIFICANCE_LEVEL
from genebench.analysis.rank import Standing
from genebench.reports.figures.drawing import Drawing
from genebench.reports.figures.rows import Rows, few_ticks, rows_of
from genebench.reports.figures.style import COLOURS
from genebench.reports.wording import NOT_BETTER, rank_cells, why_zero
from genebench.specs import MetricSpec

_FAR = 4.0
"""Differences this many times as far away as three quarters of all are drawn at the edge."""


def standings_table(table: Sequence[Standing], metric: MetricSpec) -> pd.DataFrame:
    """Return the numbers of a forest plot, or of critical differences: a row for each method."""
    rows = [
        {
            "method": row.variant.label,
            "metric": metric.name,
            "unit": metric.unit,
            "mean": row.mean,
            "rank": row.rank,
            "rank_shown": rank_cells(row)[0],
            "difference": row.difference,
            "low": row.difference_low,
            "high": row.difference_high,
            "p": row.p,
            "tied_with": ", ".join(other.label for other in row.tied_with),
        }
        for row in table
        if row.rank is not None
    ]
    return pd.DataFrame(rows).astype({"rank": "Int64"})


def forest(
    name: str, table: Sequence[Standing], metric: MetricSpec, where: str, width: float
) -> Drawing:
    """Return the forest plot of the ranked methods of a table, the leader first.

    A filled mark is a significant difference, by the test of the table's ranks. An open mark is a
    tie with the leader.
    """
    ranked = [row for row in table if row.rank is not None]
    leader = ranked[0]
    values = [row.difference or 0.0 for row in ranked]
    figure = rows_of(
        [row.variant.label for row in ranked],
        [
            ("rank", [rank_cells(row)[0] for row in ranked]),
            (metric.title, [f"{row.mean:.4f}" for row in ranked]),
        ],
        width,
        f"difference in {metric.title} to the best ({metric.unit})",
        f"Differences to {leader.variant.label} · {where}",
        " ".join(_notes(ranked, metric)),
        bold=frozenset({0}),
    )
    _draw(figure, ranked, values)
    return Drawing(name, figure.figure, standings_table(table, metric))


def _draw(rows: Rows, ranked: Sequence[Standing], values: Sequence[float]) -> None:
    axes = rows.axes
    axes.axvline(0, color="0.4", linewidth=0.6, zorder=1)
    axes.plot(0, rows.middles[0], "D", color=COLOURS[4], markersize=3.2, zorder=3)
    ends = [0.0]
    far = _FAR * float(np.percentile(np.abs(values), 75)) if len(values) > 2 else np.inf  # noqa: PLR2004
    for middle, row, value in zip(rows.middles[1:], ranked[1:], values[1:], strict=True):
        is_worse = row.p is not None and row.p <= SIGNIFICANCE_LEVEL
        colour = COLOURS[1] if is_worse else COLOURS[0]
        if row.difference_low is not None and row.difference_high is not None:
            axes.hlines(
                middle, row.difference_low, row.difference_high, color=colour, linewidth=1, zorder=2
            )
            ends += [row.difference_low, row.difference_high] if abs(value) <= far else []
        axes.plot(
            value, middle, "s" if is_worse else "o", color=colour, zorder=3,
            markerfacecolor=colour if is_worse else "white", markeredgewidth=0.8,
        )  # fmt: skip
        ends += [value] if abs(value) <= far else []
    margin = 0.06 * (max(ends) - min(ends)) or 0.5
    rows.cut(min(ends) - margin, max(ends) + margin, values, [f"{value:+.4f}" for value in values])
    few_ticks(axes)


def _notes(ranked: Sequence[Standing], metric: MetricSpec) -> Iterator[str]:
    first = ranked[0]
    yield f"{'Right' if metric.direction == 'lower' else 'Left'} is worse."
    groups = "" if first.groups is None else f" in {first.groups:,} groups"
    if any(row.difference_low is not None for row in ranked):
        yield "Lines: intervals that hold for all pairs at once (95 %)."
    elif len(ranked) > 1:
        yield "Too few test profiles for intervals."
    if len(ranked) > 1:
        yield "Filled squares: significantly worse than the best. Open circles: tied with it."
    yield from why_zero(ranked, metric)
    yield f"Paired wild bootstrap over {first.profiles:,} test profiles{groups}."
    if any(row.beats_mean is False for row in ranked):
        yield f"{NOT_BETTER}: not shown to be better than train-mean."
