"""Heat maps of grids as files: the values printed in the cells, lighter being better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from genebench.analysis.sweep import Grid
from genebench.reports.figures.colours import ink, paint
from genebench.reports.figures.drawing import file_name, shown, write_figures
from genebench.reports.grids import (
    Block,
    Layout,
    Scale,
    best_points,
    cell,
    loss_of,
    scale_of,
    setting,
    short,
)
from genebench.reports.sweep import GridReport
from genebench.specs import MetricSpec, Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELL = (1.0, 0.6)
"""Width and height of a cell, inches."""
_MARGIN = (1.1, 0.7)
_WIDEST = 200.0
"""Inches; cells of grids with more columns are narrower."""
_LETTERS = 120
_MISSING = "#d9d9d9"


def draw(report: GridReport, folder: Path) -> list[Path]:
    """Write a heat map of each section and metric, as SVG and as PNG; return the files.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    return write_figures(_figures(report), folder)


def _figures(report: GridReport) -> Iterator[tuple[str, Figure]]:
    for layout in report.layouts():
        identity = layout.first.identity
        where = (layout.first.dataset, identity.protocol, layout.preset, identity.data[:8])
        for metric in report.shown() if layout.blocks else ():
            yield file_name("heat", *where, metric.name), _figure(layout, metric)


def _figure(layout: Layout, metric: MetricSpec) -> Figure:
    """A panel for each method, side by side, and a row of panels for each block."""
    from matplotlib.figure import Figure

    blocks, scale = layout.blocks, scale_of(layout, metric)
    across = max(len(block.grids) for block in blocks)
    width = across * (max(len(block.columns) for block in blocks) * _CELL[0] + _MARGIN[0])
    heights = [len(block.rows) * _CELL[1] + _MARGIN[1] for block in blocks]
    figure = Figure(
        figsize=(min(max(width, 5.0), _WIDEST), min(sum(heights) + 0.7, _WIDEST)),
        layout="constrained",
    )
    panels = figure.subplots(
        len(blocks), across, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for line, block in zip(panels, blocks, strict=True):
        for panel in line[len(block.grids) :]:
            panel.set_axis_off()
        for panel, grid in zip(line, block.grids, strict=False):
            title = " ".join([layout.label(grid), *map(setting, block.axes[2:], block.rest)])
            panel.set_title(shown(title, _LETTERS), fontsize=9, weight="bold", parse_math=False)
            _ticks(panel, block)
            _cells(panel, _cells_of(layout, block, grid, metric, scale))
    first = layout.first
    figure.suptitle(
        shown(
            f"{first.dataset} · {first.identity.protocol} · {metric.title}, "
            f"{metric.direction} is better (lighter); mean ± std over genes",
            _LETTERS,
        ),
        fontsize=9, parse_math=False,
    )  # fmt: skip
    return figure


class _Cell(NamedTuple):
    """A cell of a panel: where it is, and what it shows."""

    x: int
    y: int
    text: str
    heat: float | None
    best: bool


def _cells_of(
    layout: Layout, block: Block, grid: Grid, metric: MetricSpec, scale: Scale
) -> Iterator[_Cell]:
    best = best_points(layout, grid, metric)
    for y, row in enumerate(block.rows):
        for x, column in enumerate(block.columns):
            point = block.point(row, column)
            variant = layout.variant(grid, point)
            heat = scale.goodness(loss_of(variant, metric))
            yield _Cell(x, y, cell(variant, metric), heat, best=point in best)


def _cells(panel: Axes, cells: Iterable[_Cell]) -> None:
    for one in cells:
        _square(panel, one)
        panel.text(
            one.x, one.y, one.text.replace(" ± ", "\n± "),
            ha="center", va="center", fontsize=8, parse_math=False,
            color="black" if one.heat is None else ink(one.heat),
            weight="bold" if one.best else "normal",
        )  # fmt: skip


def _square(panel: Axes, one: _Cell) -> None:
    from matplotlib.patches import Rectangle

    colour = _MISSING if one.heat is None else paint(one.heat)
    edge, line, order = ("black", 2.0, 2) if one.best else ("white", 1.0, 1)
    corner = (one.x - 0.5, one.y - 0.5)
    panel.add_patch(
        Rectangle(corner, 1, 1, facecolor=colour, edgecolor=edge, linewidth=line, zorder=order)
    )


def _ticks(panel: Axes, block: Block) -> None:
    """Names of parameters and their values at the edges."""
    rows = [] if block.rows == (None,) else [_tick(row) for row in block.rows]
    panel.set_xticks(range(len(block.columns)), [_tick(value) for value in block.columns])
    panel.set_yticks(range(len(rows)), rows)
    panel.set(xlim=(-0.5, len(block.columns) - 0.5), ylim=(len(block.rows) - 0.5, -0.5))
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0, labelsize=8)
    panel.set_xlabel(shown(block.axes[1 if rows else 0], _LETTERS), fontsize=8, parse_math=False)
    if rows:
        panel.set_ylabel(shown(block.axes[0], _LETTERS), fontsize=8, parse_math=False)


def _tick(value: Value | None) -> str:
    # Ticks know no parse_math: a lone dollar is no formula.
    return shown(short(value), _LETTERS).replace("$", r"\$") if value is not None else ""
