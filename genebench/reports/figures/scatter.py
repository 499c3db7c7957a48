"""Two methods gene by gene: the metric of each target gene, and its density over genes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.analysis.compare import Comparison
from genebench.analysis.comparisons import Comparisons, gene_table
from genebench.errors import counted
from genebench.reports.figures.drawing import Drawing, file_name
from genebench.reports.figures.panels import lengths, name_axes, panels, short_unit
from genebench.reports.figures.style import (
    COLOURS,
    DENSITY,
    HATCHES,
    ONE_COLUMN,
    SMALL,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW_GENES = 400
"""With fewer genes than this, each is a point. With more, hexagons show their number."""
_HEXAGONS = 34
"""Hexagons in a row."""
_BAR_ROOM = 12.0
"""Millimetres of the colour scale and its labels."""
_GRID_POINTS = 256
"""Points at which a density is drawn."""
_HEADROOM = 1.3
"""Height of the axis, as a multiple of the curves: the names of both methods stand above them."""
_FEWEST_VALUES = 3
"""Different values that a density estimate needs: with fewer its covariance may be singular."""


def drawings(comparisons: Comparisons, width: float = ONE_COLUMN) -> Iterator[Drawing]:
    """Yield a scatter and a density plot for each comparison."""
    for pair in comparisons.pairs:
        if pair.genes.empty:
            continue
        where = pair.a.first.dataset, pair.a.first.identity.protocol
        name = file_name(pair.a.label, pair.b.label, *where, pair.metric.name, pair.panel)
        yield scatter(f"scatter-{name}", [pair], width)
        yield density(f"density-{name}", pair, width)


def scatter(name: str, pairs: Sequence[Comparison], width: float, note: str = "") -> Drawing:
    """Return panels of each gene's metric under ``b`` (x) and ``a`` (y).

    The diagonal is where both methods are equal.

    Args:
        name: name of the drawing.
        pairs: comparisons of one method with others, by one metric on one panel of genes.
        width: width of the figure in millimetres.
        note: a note below all.
    """
    first = pairs[0]
    across = min(len(pairs), 2 if width <= ONE_COLUMN else 3)
    many = any(len(pair.genes) >= FEW_GENES for pair in pairs)
    several, spans = len(pairs) > 1, [_span(pair) for pair in pairs]
    notes = [f"y: {first.a.label}."] if several else []
    notes += [f"Percentages: shares of {_genes(first)} that a method predicts better.", note]
    if outside := sum(_outside(pair, span) for pair, span in zip(pairs, spans, strict=True)):
        notes.append(f"Beyond the axes: {counted(outside, 'gene')}{' in all' if several else ''}.")
    short, unit_note = short_unit(first.metric.unit)
    notes += [unit_note] if several else []
    methods = first.a.label if several else f"{first.a.label} and {first.b.label}"
    figure, all_axes = panels(
        len(pairs), width, f"{methods} gene by gene · {_where(first)}",
        " ".join(filter(None, notes)), across=across, aspect=1.0,
        right=_BAR_ROOM if many else 0.0, titled=several,
    )  # fmt: skip
    drawn = []
    for axes, pair, span in zip(all_axes, pairs, spans, strict=True):
        if many:
            drawn.append(_hexagons(axes, pair, span))
        else:
            _points(axes, pair)
        axes.plot(span, span, color="black", linewidth=0.6, zorder=3)
        axes.set(xlim=span, ylim=span)
        _plain_ticks(axes)
        unit = f"{first.metric.title} ({short if several else first.metric.unit})"
        # A small panel has no room for names: its title and the note have them.
        x, y = ("x", "y") if several else (pair.b.label, pair.a.label)
        name_axes(
            axes, unit if several else f"{unit} of {x}", unit if several else f"{unit} of {y}",
            f"x: {pair.b.label}" if several else "",
        )  # fmt: skip
        _shares(axes, pair, x, y)
    if drawn:
        _scale(all_axes, drawn)
    table = pd.concat(
        [gene_table(pair).assign(method_a=pair.a.label, method_b=pair.b.label) for pair in pairs],
        ignore_index=True,
    )
    return Drawing(name, figure, table)


def density(name: str, pair: Comparison, width: float) -> Drawing:
    """Return the density of the metric over genes under each method, with its mean."""
    from scipy.stats import gaussian_kde

    figure, (axes,) = panels(
        1, width, f"{pair.metric.title} over genes · {_where(pair)}",
        f"Densities over {_genes(pair)}. Vertical lines: means.", aspect=0.62,
    )  # fmt: skip
    # One grid for both methods, with a margin for the tails of the kernels.
    columns = pair.genes["a"].to_numpy(), pair.genes["b"].to_numpy()
    low, high = min(map(np.min, columns)), max(map(np.max, columns))
    margin = 0.1 * (high - low) or 0.5
    grid = np.linspace(low - margin, high + margin, _GRID_POINTS)
    for values, colour, hatch, variant in zip(
        columns, COLOURS, HATCHES, (pair.a, pair.b), strict=False
    ):
        label = wrapped(f"{variant.label}: mean {values.mean():.4f}", 0.5 * width)[0]
        line = "-" if not hatch else "--"
        if len(np.unique(values)) >= _FEWEST_VALUES:
            heights = gaussian_kde(values)(grid)
            axes.fill_between(
                grid, heights, facecolor="none" if hatch else colour, edgecolor=colour,
                hatch=hatch, alpha=0.25, linewidth=0,
            )  # fmt: skip
            axes.plot(grid, heights, color=colour, linestyle=line)
        axes.axvline(
            values.mean(), ymax=1 / _HEADROOM, color=colour, linestyle=line, linewidth=0.8,
            label=label,
        )  # fmt: skip
    axes.set(xlim=(grid[0], grid[-1]), ylim=(0, _HEADROOM * axes.get_ylim()[1]))
    name_axes(axes, f"{pair.metric.title} ({pair.metric.unit})", "density of target genes")
    axes.legend(loc="upper left", handlelength=1.8, borderaxespad=0.2)
    return Drawing(name, figure, gene_table(pair))


def _hexagons(axes: Axes, pair: Comparison, span: tuple[float, float]) -> Any:
    """Draw the number of genes in each hexagon, on a logarithmic scale."""
    return axes.hexbin(
        pair.genes["b"], pair.genes["a"], gridsize=_HEXAGONS, bins="log", mincnt=1,
        extent=(*span, *span), cmap=DENSITY, linewidths=0.1,
    )  # fmt: skip


def _points(axes: Axes, pair: Comparison) -> None:
    a, b = pair.genes["a"].to_numpy(), pair.genes["b"].to_numpy()
    gain = pair.genes["gain"].to_numpy()
    size = float(np.clip(1200 / len(a), 3, 10))
    marks = ((gain > 0, COLOURS[0], "o"), (gain < 0, COLOURS[1], "s"), (gain == 0, "0.5", "D"))
    for mask, colour, mark in marks:
        axes.scatter(b[mask], a[mask], s=size, color=colour, marker=mark, alpha=0.6, linewidths=0)


def _scale(all_axes: Sequence[Axes], drawn: Sequence[Any]) -> None:
    """Draw one colour scale for all panels, beside the uppermost right one."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    largest = max(float(np.max(hexagons.get_array())) for hexagons in drawn)
    for hexagons in drawn:
        hexagons.set_norm(LogNorm(1, max(largest, 2)))
    figure = all_axes[0].get_figure(root=True)
    right = max(axes.get_position().x1 for axes in all_axes)
    box = all_axes[0].get_position()
    assert figure is not None
    inches = float(figure.get_figwidth()) * 25.4
    scale = figure.add_axes((right + 3 / inches, box.y0, 2 / inches, box.height))
    bar = figure.colorbar(drawn[0], cax=scale)
    bar.outline.set_linewidth(0.4)
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 3) if largest < 30 else (1,)))  # noqa: PLR2004
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    bar.ax.set_ylabel("target genes in a hexagon", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL, pad=1)


def _shares(axes: Axes, pair: Comparison, x_name: str, y_name: str) -> None:
    """Write the share of genes on each side of the diagonal, where they are."""
    above, below = (0.03, 0.97, "left", "top"), (0.97, 0.03, "right", "bottom")
    corners = (above, below) if pair.metric.direction == "higher" else (below, above)
    room = 0.7 * lengths(axes)[0]
    for name, which, colour, (x, y, across, up) in zip(
        (y_name, x_name), (1, -1), COLOURS, corners, strict=False
    ):
        share = f": {pair.share(which):.1%}"
        label = wrapped(name, room - text_width(share) - 1)[0]
        axes.text(
            x, y, f"{label}{share}", color=colour, transform=axes.transAxes, ha=across, va=up,
            fontsize=SMALL, zorder=4,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8},
        )  # fmt: skip


def _plain_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4))


def _span(pair: Comparison) -> tuple[float, float]:
    """Return the ends of both axes. A few genes that fail must not leave all others in a corner."""
    values: NDArray[np.float64] = pair.genes[["a", "b"]].to_numpy()
    low, high = float(values.min()), float(values.max())
    if len(values) >= FEW_GENES:
        low, high = (float(end) for end in np.percentile(values, [0.05, 99.95]))
    margin = 0.04 * (high - low) or 0.5  # all values may be equal
    return low - margin, high + margin


def _outside(pair: Comparison, span: tuple[float, float]) -> int:
    values: NDArray[np.float64] = pair.genes[["a", "b"]].to_numpy()
    return int(((values < span[0]) | (values > span[1])).any(axis=1).sum())


def _where(pair: Comparison) -> str:
    first = pair.a.first
    return f"{first.dataset} · {first.identity.protocol}"


def _genes(pair: Comparison) -> str:
    panel = "" if pair.panel == "all" else f" ({pair.panel})"
    return f"{len(pair.genes):,} target genes{panel}"
