"""Learning curves: score against the number of training profiles, one line per method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from genebench.analysis.bootstrap import seed_interval
from genebench.analysis.rank import scores_of
from genebench.analysis.sizes import Curve, SizesPart
from genebench.reports.figures.drawing import file_name, write_figures
from genebench.reports.figures.series import blank, label_ends, limit, name_axes, style
from genebench.reports.layout import PANEL
from genebench.specs import MetricSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(parts: Iterable[SizesPart], metrics: Sequence[MetricSpec], folder: Path) -> list[Path]:
    """Write the learning curves of each part and metric, SVG and PNG, and return the files.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    return write_figures(_figures(parts, metrics), folder)


def _figures(
    parts: Iterable[SizesPart], metrics: Sequence[MetricSpec]
) -> Iterator[tuple[str, Figure]]:
    for part in parts:
        where = part.first.dataset, part.protocol, part.preset, part.first.identity.data[:8]
        for metric in metrics:
            # Controls are far away: with them, all curves would look flat.
            lines = {
                curve.label: line
                for curve in part.ordered(metric, PANEL)
                if not curve.control and (line := _line(curve, metric))
            }
            if lines:
                yield file_name("sizes", *where, metric.name), _figure(part, metric, lines)


_Line = dict[int, list[float]]
"""Number of training profiles → score of each seed."""


def _line(curve: Curve, metric: MetricSpec) -> _Line:
    scores = {size: scores_of(point, metric.name, PANEL) for size, point in curve.points.items()}
    return {size: values for size, values in scores.items() if values}


def _figure(part: SizesPart, metric: MetricSpec, lines: dict[str, _Line]) -> Figure:
    from matplotlib.ticker import NullLocator

    figure, axes = blank([*lines], beside=True)
    axes.set_xticks(part.sizes, [f"{size:,}" for size in part.sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    for position, line in enumerate(lines.values()):
        colour, mark = style(position)
        means = [fmean(scores) for scores in line.values()]
        axes.plot([*line], means, color=colour, marker=mark, markersize=4, linewidth=1.4)
        for size, scores in line.items():
            if interval := seed_interval(scores):
                axes.vlines(size, *interval, color=colour, linewidth=3, alpha=0.35)
    means = [fmean(scores) for line in lines.values() for scores in line.values()]
    title = f"{part.first.dataset} · {part.protocol} · preset {part.preset}"
    title += limit(axes, means, metric)
    name_axes(
        axes, "training profiles", f"{metric.title} ({metric.direction} is better, {metric.unit})",
        title,
    )  # fmt: skip
    label_ends(axes, [*lines], [(max(line), fmean(line[max(line)])) for line in lines.values()])
    return figure
