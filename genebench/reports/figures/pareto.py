"""Score against the seconds of a fit: a point per method, and the Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genebench.analysis.costs import CostPart, CostRow
from genebench.reports.figures.drawing import file_name, write_figures
from genebench.reports.figures.series import blank, label_points, limit, name_axes, style
from genebench.reports.layout import PANEL
from genebench.specs import MetricSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARGIN = 2.0
"""Factor of seconds that the axis goes on beyond the points, for their labels."""
_SHORTEST_SECONDS = 1e-3
"""Shorter fits are drawn here, because a logarithm has no zero."""


def draw(parts: Iterable[CostPart], metrics: Sequence[MetricSpec], folder: Path) -> list[Path]:
    """Write score against seconds of each part and metric, SVG and PNG, and return the files.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    return write_figures(_figures(parts, metrics), folder)


def _figures(
    parts: Iterable[CostPart], metrics: Sequence[MetricSpec]
) -> Iterator[tuple[str, Figure]]:
    for part in parts:
        identity = part.first.identity
        where = part.first.dataset, identity.protocol, part.preset, identity.data[:8]
        for metric in metrics:
            rows = [
                row for row in part.rows(metric, PANEL) if not (row.variant.control or row.timing)
            ]
            if rows:
                yield file_name("cost", *where, metric.name), _figure(part, metric, rows)


def _figure(part: CostPart, metric: MetricSpec, rows: Sequence[CostRow]) -> Figure:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    labels = [row.variant.label for row in rows]
    figure, axes = blank(labels, beside=False)
    points = [(max(row.seconds, _SHORTEST_SECONDS), row.mean) for row in rows]
    front = sorted(point for point, row in zip(points, rows, strict=True) if "seconds" in row.front)
    shortest, longest = min(points)[0], max(points)[0]
    limits = shortest / _MARGIN, longest * _MARGIN
    # The front goes on to the right: more seconds give no better score.
    steps = [*front, (limits[1], front[-1][1])]
    axes.step(*zip(*steps, strict=True), where="post", color="silver", linewidth=1.4, zorder=1)
    for position, (seconds, mean) in enumerate(points):
        colour, mark = style(position)
        axes.scatter(seconds, mean, color=colour, marker=mark, s=28, zorder=2)
    axes.margins(y=0.12)
    axes.set_xlim(limits)
    cut = limit(axes, [row.mean for row in rows], metric)
    # One decade or less has at most one tick at a power of ten.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if longest < 30 * shortest else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    name_axes(
        axes,
        "seconds of a fit, members of ensembles included",
        f"{metric.title} ({metric.direction} is better, {metric.unit})",
        f"{part.first.dataset} · {part.first.identity.protocol} · preset {part.preset}"
        f" · grey: Pareto front{cut}",
    )
    label_points(axes, labels, points)
    return figure
