"""Heat maps of grids as files. Values are printed in the cells, and lighter is better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from genebench._util.text import setting, short
from genebench.analysis.sweep import Grid
from genebench.reports.figures.colours import ink, paint
from genebench.reports.figures.drawing import file_name, shown, write_figures
from genebench.reports.layout import (
    Block,
    ColourScale,
    Layout,
    best_points,
    cell,
    loss_of,
    scale_of,
)
from genebench.specs import MetricSpec, Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELL_INCHES = (1.0, 0.6)
"""Width and height of a cell."""
_MARGIN_INCHES = (1.1, 0.7)
"""Width and height that ticks, labels and title of a map take."""
_LARGEST_INCHES = 200.0
"""Largest width and height of a figure. Cells of larger grids are smaller."""
_LETTERS = 120
"""Letters of a title that are shown."""
_MISSING = "#d9d9d9"
"""Grey, for cells without a value: it is no colour of the scale."""


def draw(layouts: Iterable[Layout], metrics: Sequence[MetricSpec], folder: Path) -> list[Path]:
    """Write a heat map of each layout and metric, as SVG and as PNG, and return the files.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    return write_figures(_figures(layouts, metrics), folder)


def _figures(
    layouts: Iterable[Layout], metrics: Sequence[MetricSpec]
) -> Iterator[tuple[str, Figure]]:
    for layout in layouts:
        identity = layout.first.identity
        where = (layout.first.dataset, identity.protocol, layout.preset, identity.data[:8])
        for metric in metrics if layout.blocks else ():
            yield file_name("heat", *where, metric.name), _figure(layout, metric)


def _figure(layout: Layout, metric: MetricSpec) -> Figure:
    """Return a figure with a map for each method, and a row of maps for each block."""
    from matplotlib.figure import Figure

    blocks, scale = layout.blocks, scale_of(layout, metric)
    across = max(len(block.grids) for block in blocks)
    width = across * (
        max(len(block.columns) for block in blocks) * _CELL_INCHES[0] + _MARGIN_INCHES[0]
    )
    heights = [len(block.rows) * _CELL_INCHES[1] + _MARGIN_INCHES[1] for block in blocks]
    figure = Figure(
        figsize=(min(max(width, 5.0), _LARGEST_INCHES), min(sum(heights) + 0.7, _LARGEST_INCHES)),
        layout="constrained",
    )
    grid_of_axes = figure.subplots(
        len(blocks), across, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for row_of_axes, block in zip(grid_of_axes, blocks, strict=True):
        for axes in row_of_axes[len(block.grids) :]:
            axes.set_axis_off()
        for axes, grid in zip(row_of_axes, block.grids, strict=False):
            title = " ".join([layout.label(grid), *map(setting, block.axes[2:], block.rest)])
            axes.set_title(shown(title, _LETTERS), fontsize=9, weight="bold", parse_math=False)
            _ticks(axes, block)
            _cells(axes, _cells_of(layout, block, grid, metric, scale))
    first = layout.first
    figure.suptitle(
        shown(
            f"{first.dataset} · {first.identity.protocol} · {metric.title}, "
            f"{metric.direction} is better (lighter), mean ± std over genes",
            _LETTERS,
        ),
        fontsize=9, parse_math=False,
    )  # fmt: skip
    return figure


class _Cell(NamedTuple):
    """A cell of a map: its column, row, text, colour and whether it is the best."""

    x: int
    y: int
    text: str
    heat: float | None
    best: bool


def _cells_of(
    layout: Layout, block: Block, grid: Grid, metric: MetricSpec, scale: ColourScale
) -> Iterator[_Cell]:
    best = best_points(layout, grid, metric)
    for y, row in enumerate(block.rows):
        for x, column in enumerate(block.columns):
            point = block.point(row, column)
            variant = layout.variant(grid, point)
            heat = scale.goodness(loss_of(variant, metric))
            yield _Cell(x, y, cell(variant, metric), heat, best=point in best)


def _cells(axes: Axes, cells: Iterable[_Cell]) -> None:
    from matplotlib.patches import Rectangle

    for square in cells:
        colour = _MISSING if square.heat is None else paint(square.heat)
        # The best cell lies on top, or its neighbours would hide half of its frame.
        edge, line, order = ("black", 2.0, 2) if square.best else ("white", 1.0, 1)
        corner = (square.x - 0.5, square.y - 0.5)
        axes.add_patch(
            Rectangle(corner, 1, 1, facecolor=colour, edgecolor=edge, linewidth=line, zorder=order)
        )
        axes.text(
            square.x, square.y, square.text.replace(" ± ", "\n± "),
            ha="center", va="center", fontsize=8, parse_math=False,
            color="black" if square.heat is None else ink(square.heat),
            weight="bold" if square.best else "normal",
        )  # fmt: skip


def _ticks(axes: Axes, block: Block) -> None:
    """Write the names of parameters and their values at the edges of a map."""
    rows = [] if block.rows == (None,) else [_tick(row) for row in block.rows]
    axes.set_xticks(range(len(block.columns)), [_tick(value) for value in block.columns])
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlim=(-0.5, len(block.columns) - 0.5), ylim=(len(block.rows) - 0.5, -0.5))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    axes.set_xlabel(shown(block.axes[1 if rows else 0], _LETTERS), fontsize=8, parse_math=False)
    if rows:
        axes.set_ylabel(shown(block.axes[0], _LETTERS), fontsize=8, parse_math=False)


def _tick(value: Value | None) -> str:
    # Labels of ticks have no parse_math=False. Without the backslash a $ would start a formula.
    return shown(short(value), _LETTERS).replace("$", r"\$") if value is not None else ""
