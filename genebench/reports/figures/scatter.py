"""Figures of a comparison: gene against gene, and the density of the metric over genes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genebench.analysis.compare import Comparison
from genebench.analysis.comparisons import Comparisons
from genebench.reports.figures.drawing import file_name, shown, write_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = "#0072b2", "#d55e00"
"""Colours of the two methods: blue and vermillion of Okabe and Ito, safe for colour-blind eyes."""
_SIZE_INCHES = 4.8
_GRID_POINTS = 256
"""Points at which a density is drawn."""
_FEWEST_VALUES = 3
"""Different values that a density estimate needs: with fewer its covariance may be singular."""


def draw(comparisons: Comparisons, folder: Path) -> list[Path]:
    """Write a scatter and a density plot for each comparison, SVG and PNG, and return the files.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    return write_figures(_figures(comparisons), folder)


def _figures(comparisons: Comparisons) -> Iterator[tuple[str, Figure]]:
    for pair in comparisons.pairs:
        if pair.genes.empty:
            continue
        where = pair.a.first.dataset, pair.a.first.identity.protocol
        name = file_name(pair.a.label, pair.b.label, *where, pair.metric.name, pair.panel)
        yield f"scatter-{name}", scatter(pair)
        yield f"density-{name}", density(pair)


def scatter(pair: Comparison) -> Figure:
    """Return each gene's metric under ``b`` (x) and ``a`` (y), with the diagonal of equals."""
    figure, axes = _blank(pair)
    a, b = pair.genes["a"].to_numpy(), pair.genes["b"].to_numpy()
    gain = pair.genes["gain"].to_numpy()
    # Points shrink with the number of genes, so that 10,000 do not cover each other.
    size = float(np.clip(4000 / len(a), 2, 24))
    for mask, colour in ((gain > 0, _COLOURS[0]), (gain < 0, _COLOURS[1]), (gain == 0, "grey")):
        axes.scatter(
            b[mask], a[mask], s=size, color=colour, alpha=0.5, linewidths=0, rasterized=True
        )
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    margin = 0.04 * (high - low) or 0.5  # all values may be equal
    span = low - margin, high + margin
    axes.plot(span, span, color="black", linewidth=0.8)
    axes.set(xlim=span, ylim=span, aspect="equal")
    _label_axes(
        axes, f"{pair.metric.title} of {pair.b.label}", f"{pair.metric.title} of {pair.a.label}"
    )
    above, below = (0.03, 0.97, "left", "top"), (0.97, 0.03, "right", "bottom")
    # Each share stands on the side of the diagonal where its genes are.
    corners = (above, below) if pair.metric.direction == "higher" else (below, above)
    shares = pair.share(1), pair.share(-1)
    for variant, share, colour, corner in zip(
        (pair.a, pair.b), shares, _COLOURS, corners, strict=True
    ):
        _write(axes, corner, f"{shown(variant.label)} better: {share:.1%}", colour)
    return figure


def density(pair: Comparison) -> Figure:
    """Return the density of the metric over genes under each method, with its mean."""
    from scipy.stats import gaussian_kde

    figure, axes = _blank(pair)
    # One grid for both methods, with a margin for the tails of the kernels.
    columns = pair.genes["a"].to_numpy(), pair.genes["b"].to_numpy()
    low, high = min(map(np.min, columns)), max(map(np.max, columns))
    margin = 0.1 * (high - low) or 0.5
    grid = np.linspace(low - margin, high + margin, _GRID_POINTS)
    for values, colour in zip(columns, _COLOURS, strict=True):
        if len(np.unique(values)) >= _FEWEST_VALUES:
            heights = gaussian_kde(values)(grid)
            axes.fill_between(grid, heights, color=colour, alpha=0.2, linewidth=0)
            axes.plot(grid, heights, color=colour, linewidth=1.5)
        axes.axvline(values.mean(), color=colour, linestyle="--", linewidth=1)
    axes.set(xlim=(grid[0], grid[-1]), ylim=(0, None))
    _label_axes(axes, f"{pair.metric.title} ({pair.metric.unit})", "density of genes")
    for line, (variant, colour) in enumerate(zip((pair.a, pair.b), _COLOURS, strict=True)):
        _write(axes, (0.97, 0.96 - 0.07 * line, "right", "top"), shown(variant.label), colour)
    return figure


def _blank(pair: Comparison) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_SIZE_INCHES, _SIZE_INCHES), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    first, genes = pair.a.first, f"{len(pair.genes):,} target genes ({pair.panel})"
    title = f"{first.dataset} · {first.identity.protocol} · {genes}"
    axes.set_title(shown(title), fontsize=9, parse_math=False)
    return figure, axes


def _write(axes: Axes, corner: tuple[float, float, str, str], text: str, colour: str) -> None:
    x, y, across, up = corner
    axes.text(
        x, y, text, color=colour, transform=axes.transAxes,
        ha=across, va=up, fontsize=9, parse_math=False,
    )  # fmt: skip


def _label_axes(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(shown(x), fontsize=9, parse_math=False)
    axes.set_ylabel(shown(y), fontsize=9, parse_math=False)
    axes.tick_params(labelsize=8)
