"""Learning curves: score against the number of training profiles, one line per method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genebench.analysis.bootstrap import seed_interval
from genebench.analysis.rank import scores_of
from genebench.analysis.sizes import Curve, SizesPart
from genebench.errors import counted
from genebench.reports.figures.drawing import Drawing, file_name
from genebench.reports.figures.panels import few_y_ticks, lengths, name_axes, panels
from genebench.reports.figures.series import (
    cut_note,
    label_ends,
    limit,
    most_named,
    named_room,
    others_note,
)
from genebench.reports.figures.style import PALE, TWO_COLUMNS, style, text_width
from genebench.reports.layout import PANEL
from genebench.specs import MetricSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def drawings(
    parts: Iterable[SizesPart], metrics: Sequence[MetricSpec], width: float = TWO_COLUMNS
) -> Iterator[Drawing]:
    """Yield the learning curves of each part and metric."""
    for part in parts:
        where = part.first.dataset, part.protocol, part.preset, part.first.identity.data[:8]
        for metric in metrics:
            # Controls are far away: with them, all curves would look flat.
            scored = {
                curve.label: line
                for curve in part.ordered(metric, PANEL)
                if not curve.control and (line := _line(curve, metric))
            }
            # A method that was run at one size has no curve, and its point would cover others.
            lines = {label: line for label, line in scored.items() if len(line) > 1} or scored
            if lines:
                yield _drawing(
                    file_name("sizes", *where, metric.name), part, metric, lines,
                    len(scored) - len(lines), width,
                )  # fmt: skip


_Line = dict[int, list[float]]
"""Number of training profiles → score of each seed."""


def _line(curve: Curve, metric: MetricSpec) -> _Line:
    scores = {size: scores_of(point, metric.name, PANEL) for size, point in curve.points.items()}
    return {size: values for size, values in scores.items() if values}


def _drawing(  # noqa: PLR0917
    name: str, part: SizesPart, metric: MetricSpec, lines: dict[str, _Line], single: int,
    width: float,
) -> Drawing:  # fmt: skip
    named = [*lines][: most_named(width)]
    means = [fmean(scores) for line in lines.values() for scores in line.values()]
    notes = [others_note(len(lines) - len(named)), cut_note(means, metric)]
    if any(len(scores) > 1 for line in lines.values() for scores in line.values()):
        notes.append("Bars: 95 % t intervals over seeds.")
    if single:
        notes.append(f"{counted(single, 'method')} with one size left out.")
    room = named_room(named, width)
    figure, (axes,) = panels(
        1, width,
        f"Learning curves · {part.first.dataset} · {part.protocol} · preset {part.preset}",
        " ".join(filter(None, notes)), right=room, aspect=0.85 if width < TWO_COLUMNS else 0.55,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    rows = []
    for position, (label, line) in enumerate(lines.items()):
        is_named = position < len(named)
        colour, mark = style(position) if is_named else (PALE, "")
        line_means = [fmean(scores) for scores in line.values()]
        axes.plot([*line], line_means, color=colour, marker=mark, zorder=3 if is_named else 2)
        for size, scores in line.items():
            low, high = seed_interval(scores) or (None, None)
            if low is not None and high is not None:
                axes.vlines(size, low, high, color=colour, linewidth=2, alpha=0.35)
            rows.append(
                {
                    "method": label, "train_profiles": size, "metric": metric.name,
                    "unit": metric.unit, "mean": fmean(scores), "seeds": len(scores),
                    "seed_low": low, "seed_high": high,
                }
            )  # fmt: skip
    _size_ticks(axes, part.sizes)
    limit(axes, means, metric)
    few_y_ticks(axes)
    name_axes(
        axes, "training profiles (logarithmic)",
        f"{metric.title} ({metric.unit}), {metric.direction} is better",
    )  # fmt: skip
    label_ends(
        axes, named, [(max(lines[name]), fmean(lines[name][max(lines[name])])) for name in named],
        room,
    )  # fmt: skip
    return Drawing(name, figure, pd.DataFrame(rows))


def _size_ticks(axes: Axes, sizes: Sequence[int]) -> None:
    """Show a tick at each size, with a label where it does not touch that of a larger size."""
    from matplotlib.ticker import NullLocator

    low, high = np.log(axes.get_xlim())
    places = [lengths(axes)[0] * (np.log(size) - low) / (high - low) for size in sizes]
    labels, free = [""] * len(sizes), float("inf")
    for index in reversed(range(len(sizes))):
        text = f"{sizes[index]:,}"
        half = text_width(text) / 2
        if places[index] + half < free:
            labels[index], free = text, places[index] - half - 1.0
    axes.set_xticks(sizes, labels)
    axes.xaxis.set_minor_locator(NullLocator())
