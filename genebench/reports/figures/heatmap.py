"""Heat maps of grids as figures. Values are printed in the cells, and lighter is better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from genebench._util.text import setting, short
from genebench.analysis.sweep import Grid
from genebench.reports.figures.colours import ink, paint
from genebench.reports.figures.drawing import Drawing, file_name
from genebench.reports.figures.style import (
    LINE,
    SMALL,
    TWO_COLUMNS,
    canvas,
    foot_height,
    head,
    head_height,
    place,
    shown,
    text_width,
    wrapped,
)
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

_CELL = 12.5
"""Width of a cell in millimetres, where there is room for it."""
_BELOW, _GAP, _SCALE = 7.5, 3.0, 11.0
"""Millimetres of ticks and the name below a map, between maps, and of the colour scale."""
_MOST_TITLE_LINES = 9
_MISSING = "#d9d9d9"
"""Grey, for cells without a value: it is no colour of the scale."""


def drawings(
    layouts: Iterable[Layout], metrics: Sequence[MetricSpec], width: float = TWO_COLUMNS
) -> Iterator[Drawing]:
    """Yield a figure of each layout and metric, with a heat map for each method."""
    for layout in layouts:
        identity = layout.first.identity
        where = (layout.first.dataset, identity.protocol, layout.preset, identity.data[:8])
        for metric in metrics if layout.blocks else ():
            yield _drawing(file_name("heat", *where, metric.name), layout, metric, width)


class _Map(NamedTuple):
    """A heat map: its title, the cells, and its size in millimetres."""

    block: Block
    grid: Grid
    title: list[str]
    cells: list[_Cell]
    left: float
    cell: tuple[float, float]

    @property
    def width(self) -> float:
        """Width with the names of rows."""
        return self.left + self.cell[0] * len(self.block.columns) + _GAP

    @property
    def height(self) -> float:
        """Height with title and ticks."""
        return self.above + self.cell[1] * len(self.block.rows) + _BELOW

    @property
    def above(self) -> float:
        """Height of the title."""
        return LINE * len(self.title) + 1.5


class _Cell(NamedTuple):
    """A cell of a map: its column, row, text, colour and whether it is the best."""

    x: int
    y: int
    text: str
    heat: float | None
    best: bool


def _drawing(name: str, layout: Layout, metric: MetricSpec, width: float) -> Drawing:
    """Return a figure with the maps of each block side by side, as many as have room."""
    scale, first = scale_of(layout, metric), layout.first
    rows = []
    for block in layout.blocks:
        maps = [_map_of(layout, block, grid, metric, scale, width) for grid in block.grids]
        across = max(1, int(width / max(item.width for item in maps)))
        rows += [maps[start : start + across] for start in range(0, len(maps), across)]
    title = f"{metric.title} · {first.dataset} · {first.identity.protocol} · preset {layout.preset}"
    complete = all(" ± " in item.text or not item.text[:1].isdigit()
                   for row in rows for map_ in row for item in map_.cells)  # fmt: skip
    note = f"{'Mean ± std' if complete else 'Mean'} over target genes. "
    note += "Framed: the best cell of a map, not tested."
    top, foot = head_height(title, width), foot_height(note, width) + _SCALE
    figure = canvas(width, top + sum(max(item.height for item in row) for row in rows) + foot)
    head(figure, title, note)
    y = top
    for row in rows:
        x = 1.0
        for item in row:
            _draw(figure, item, x, y)
            x += item.width
        y += max(item.height for item in row)
    _colour_scale(figure, scale, metric, foot_height(note, width), width)
    return Drawing(name, figure, _numbers(layout, metric))


def _map_of(  # noqa: PLR0917
    layout: Layout, block: Block, grid: Grid, metric: MetricSpec, scale: ColourScale, width: float
) -> _Map:
    ticks = [text_width(_tick(row)) for row in block.rows if row is not None]
    left = (min(max(ticks), 20.0) + LINE + 2.5) if ticks else 2.0
    cell_width = min(_CELL, (width - left - _GAP - 2) / len(block.columns))
    texts = [cell(layout.variant(grid, block.point(r, c)), metric)
             for r in block.rows for c in block.columns]  # fmt: skip
    widest = max(text_width(part, bold=True) for text in texts for part in text.split(" ± "))
    # The deviation has room, or else the mean, or else neither: then colour alone has to do.
    both = text_width("± 0.0000", bold=True) < cell_width
    mean = min(widest, text_width("0.000", bold=True)) < cell_width
    best = best_points(layout, grid, metric)
    cells = []
    for y, row in enumerate(block.rows):
        for x, column in enumerate(block.columns):
            point = block.point(row, column)
            variant = layout.variant(grid, point)
            text = cell(variant, metric)
            if not both:
                text = (text.partition(" ±")[0][:5] if " ± " in text else text) if mean else ""
            heat = scale.goodness(loss_of(variant, metric))
            cells.append(_Cell(x, y, text, heat, best=point in best))
    map_width = cell_width * len(block.columns)
    title = " ".join([layout.label(grid), *map(setting, block.axes[2:], block.rest)])
    room = max(map_width, 22.0) + left - 3
    # Maps of one method differ in any part of their titles, so titles are hardly ever cut.
    lines = wrapped(title, room, SMALL, lines=_MOST_TITLE_LINES, bold=True)
    return _Map(block, grid, lines, cells, left, (cell_width, 6.6 if both else 4.6))


def _draw(figure: Figure, item: _Map, x: float, y: float) -> None:
    """Draw a map whose upper left corner is at a place, counted from the upper left."""
    from matplotlib.patches import Rectangle

    up = float(figure.get_figheight()) * 25.4
    block, (cell_width, cell_height) = item.block, item.cell
    width, height = cell_width * len(block.columns), cell_height * len(block.rows)
    axes = place(figure, x + item.left, up - y - item.above - height, width, height)
    axes.set_title("\n".join(item.title), fontsize=SMALL, loc="left", pad=2.5, linespacing=1.0)
    _ticks(axes, block, cell_width)
    for square in item.cells:
        missing = square.heat is None
        colour = _MISSING if square.heat is None else paint(square.heat)
        # The best cell lies on top, or its neighbours would hide half of its frame.
        edge, line, order = ("black", 1.2, 2) if square.best else ("white", 0.5, 1)
        axes.add_patch(
            Rectangle(
                (square.x - 0.5, square.y - 0.5), 1, 1, facecolor=colour, edgecolor=edge,
                linewidth=line, zorder=order, hatch="" if not missing or square.text else "////",
            )
        )  # fmt: skip
        axes.text(
            square.x, square.y, square.text.replace(" ± ", "\n± "),
            ha="center", va="center", fontsize=SMALL, linespacing=1.0,
            color="black" if square.heat is None else ink(square.heat),
            weight="bold" if square.best else "normal",
        )  # fmt: skip


def _ticks(axes: Axes, block: Block, cell_width: float) -> None:
    """Write the names of parameters and their values at the edges of a map."""
    rows = [] if block.rows == (None,) else [_tick(row) for row in block.rows]
    columns = [_tick(value) for value in block.columns]
    # Where labels would touch, some are left out: the table has all of them.
    step = max(1, ceil((max(map(text_width, columns)) + 0.8) / cell_width))
    axes.set_xticks(range(0, len(columns), step), columns[::step])
    axes.set_yticks(range(len(rows)), [wrapped(row, 20.0)[0] for row in rows])
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(block.rows) - 0.5, -0.5))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel(shown(block.axes[1 if rows else 0], 30), fontsize=SMALL)
    if rows:
        axes.set_ylabel(shown(block.axes[0], 30), fontsize=SMALL)


def _tick(value: Value | None) -> str:
    return shown(short(value)) if value is not None else ""


def _colour_scale(
    figure: Figure, scale: ColourScale, metric: MetricSpec, bottom: float, width: float
) -> None:
    """Draw the colours from the worst to the best value, with both values."""
    if scale.worst == scale.best:
        return
    from matplotlib.colors import ListedColormap

    axes = place(figure, 3, bottom + 4.5, min(45.0, width - 6), 2.2)
    colours = ListedColormap([paint(step / 255) for step in range(256)])
    axes.imshow([list(range(256))], cmap=colours, aspect="auto", extent=(0, 1, 0, 1))
    sign = 1 if metric.direction == "lower" else -1
    ends = [f"{sign * value:.4f}" for value in (scale.worst, scale.best)]
    axes.set(yticks=[])
    axes.set_xticks([0, 1], ends)
    left, right = axes.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")
    axes.spines[:].set_visible(False)
    name = wrapped(f"{metric.title} ({metric.unit}), light is better", width - 6)[0]
    axes.set_title(name, fontsize=SMALL, loc="left", pad=2, weight="normal")


def _numbers(layout: Layout, metric: MetricSpec) -> pd.DataFrame:
    """Return a row for each cell: the method, its parameters, and what is printed there."""
    rows = []
    for block in layout.blocks:
        for grid in block.grids:
            best = best_points(layout, grid, metric)
            for row in block.rows:
                for column in block.columns:
                    point = block.point(row, column)
                    variant = layout.variant(grid, point)
                    loss = loss_of(variant, metric)
                    sign = 1 if metric.direction == "lower" else -1
                    mean = None if loss is None else sign * loss
                    rows.append(
                        {
                            "method": layout.label(grid), "metric": metric.name,
                            "unit": metric.unit, **grid.settings(point), "mean": mean,
                            "shown": cell(variant, metric), "best": point in best,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)
