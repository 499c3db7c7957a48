"""Score against the seconds of a fit: a point per method, and the Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from genebench.analysis.costs import CostPart, CostRow
from genebench.reports.figures.drawing import Drawing, file_name
from genebench.reports.figures.panels import few_y_ticks, log_ticks, name_axes, panels
from genebench.reports.figures.series import cut_note, label_points, limit, most_named, others_note
from genebench.reports.figures.style import PALE, TWO_COLUMNS, style
from genebench.reports.layout import PANEL
from genebench.specs import MetricSpec

_MARGIN = 2.0
"""Factor of seconds that the axis goes on beyond the points, for their labels."""
_SHORTEST_SECONDS = 1e-3
"""Shorter fits are drawn here, because a logarithm has no zero."""


def drawings(
    parts: Iterable[CostPart], metrics: Sequence[MetricSpec], width: float = TWO_COLUMNS
) -> Iterator[Drawing]:
    """Yield score against seconds of each part and metric."""
    for part in parts:
        identity = part.first.identity
        where = part.first.dataset, identity.protocol, part.preset, identity.data[:8]
        for metric in metrics:
            rows = [
                row for row in part.rows(metric, PANEL) if not (row.variant.control or row.timing)
            ]
            if rows:
                yield _drawing(file_name("cost", *where, metric.name), part, metric, rows, width)


def _drawing(
    name: str, part: CostPart, metric: MetricSpec, rows: Sequence[CostRow], width: float
) -> Drawing:
    # The front first: with many methods, they are those that have a name.
    ordered = sorted(rows, key=lambda row: "seconds" not in row.front)
    named, means = ordered[: most_named(width)], [row.mean for row in rows]
    notes = ["Grey line: no method is better in less time.", cut_note(means, metric)]
    notes.append(others_note(len(rows) - len(named)))
    figure, (axes,) = panels(
        1, width,
        f"{metric.title} and cost · {part.first.dataset} · {part.first.identity.protocol} · "
        f"preset {part.preset}",
        " ".join(filter(None, notes)), aspect=0.8 if width < TWO_COLUMNS else 0.5,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    points = [(max(row.seconds, _SHORTEST_SECONDS), row.mean) for row in ordered]
    front = sorted(
        point for point, row in zip(points, ordered, strict=True) if "seconds" in row.front
    )
    shortest, longest = min(points)[0], max(points)[0]
    limits = shortest / _MARGIN, longest * _MARGIN
    # The front goes on to the right: more seconds give no better score.
    steps = [*front, (limits[1], front[-1][1])]
    axes.step(*zip(*steps, strict=True), where="post", color="0.6", zorder=1)
    for position, (seconds, mean) in enumerate(points):
        is_named = position < len(named)
        colour, mark = style(position) if is_named else (PALE, "o")
        axes.scatter(seconds, mean, color=colour, marker=mark, s=12, linewidths=0, zorder=2)
    axes.margins(y=0.12)
    axes.set_xlim(limits)
    limit(axes, means, metric)
    few_y_ticks(axes)
    log_ticks(axes, longest / shortest)
    name_axes(
        axes, "time of a fit (s, logarithmic), members of ensembles included",
        f"{metric.title} ({metric.unit}), {metric.direction} is better",
    )  # fmt: skip
    label_points(axes, [row.variant.label for row in named], points, steps)
    table = pd.DataFrame(
        {
            "method": [row.variant.label for row in ordered],
            "metric": metric.name,
            "unit": metric.unit,
            "mean": [row.mean for row in ordered],
            "fit_seconds": [row.seconds for row in ordered],
            "on_front": ["seconds" in row.front for row in ordered],
        }
    )
    return Drawing(name, figure, table)
