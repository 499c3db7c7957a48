"""The layout of grids: methods beside methods, parameters against parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genebench._util.text import setting
from genebench.analysis.sweep import Grid, Point
from genebench.analysis.variants import Variant
from genebench.reports.wording import score_text
from genebench.results.record import Record
from genebench.specs import MetricSpec, Value

PANEL = "all"
"""The panel of the paper's tables. ``genebench report scores`` shows the others too."""


@dataclass(frozen=True)
class Block:
    """Grids over the same parameters, at one value of each parameter but the first two.

    Attributes:
        axes: names of the parameters: rows, columns, then the others.
        rest: the values of the others, which are part of the title.
        rows, columns: the values of the first two. A grid of one parameter has one row, None.
        grids: one for each method.
    """

    axes: tuple[str, ...]
    rest: Point
    rows: tuple[Value | None, ...]
    columns: tuple[Value, ...]
    grids: tuple[Grid, ...]

    @property
    def title(self) -> str:
        """The crossed parameters, and the values of the others."""
        crossed = " × ".join(self.axes[:2])
        return " · ".join([crossed, *map(setting, self.axes[2:], self.rest)])

    def point(self, row: Value | None, column: Value) -> Point:
        """Return the point of a cell in its grid."""
        return (column,) if row is None else (row, column, *self.rest)


@dataclass(frozen=True)
class Layout:
    """One section: grids of comparable results under one preset.

    Attributes:
        title: the suite, or ``sweep``.
        preset: the source of the parameters that neither grid nor suite sets.
        first: any of the records. They agree on data, protocol and profiles.
        grids: in the order of rows. Grids without axes are single settings.
        controls: the rows below all others.
        names: method → its label, where that is not its name.
    """

    title: str
    preset: str
    first: Record
    grids: tuple[Grid, ...]
    controls: tuple[Variant, ...]
    names: Mapping[str, str]

    @property
    def settings(self) -> list[Grid]:
        """The grids without axes: methods with one setting."""
        return [grid for grid in self.grids if not grid.axes]

    @property
    def blocks(self) -> list[Block]:
        """The grids with axes. Grids over the same parameters and values share their blocks."""
        alike: dict[tuple[tuple[str, tuple[Value, ...]], ...], list[Grid]] = {}
        for grid in self.grids:
            if grid.axes:
                alike.setdefault(tuple(grid.axes.items()), []).append(grid)
        return [block for grids in alike.values() for block in _blocks(grids)]

    def label(self, grid: Grid) -> str:
        """Return a grid's name, or its method with the settings that tell it from other grids."""
        if grid.name:
            return grid.name
        name = self.names.get(grid.method, grid.method)
        others = [other for other in self.grids if other.method == grid.method]
        if len(others) == 1 or not grid.fixed:
            return name
        return f"{name} ({', '.join(map(setting, grid.fixed, grid.fixed.values()))})"

    def variant(self, grid: Grid, point: Point) -> Variant:
        """Return the records of a cell, as a variant."""
        return Variant(self.label(grid), grid.cells.get(point, ()))


@dataclass(frozen=True)
class ColourScale:
    """The worst and the best value of a metric in the grids of a section, lower being better."""

    worst: float
    best: float

    def goodness(self, value: float | None) -> float | None:
        """Return 0 for the worst value, 1 for the best, and None if all values are equal."""
        # Equal values would divide by zero, and there is nothing to tell apart by colour.
        if value is None or self.worst == self.best:
            return None
        return (self.worst - value) / (self.worst - self.best)


def scale_of(layout: Layout, metric: MetricSpec) -> ColourScale:
    """Return the colour scale of a metric over all cells of all grids of a section."""
    losses = [
        loss
        for grid in layout.grids
        for point in grid.cells
        if grid.axes and (loss := loss_of(layout.variant(grid, point), metric)) is not None
    ]
    return ColourScale(max(losses, default=0.0), min(losses, default=0.0))


def loss_of(variant: Variant, metric: MetricSpec) -> float | None:
    """Return the mean over seeds, negated if higher is better, or None."""
    if not variant.has(metric.name, PANEL):
        return None
    return variant.sort_key(metric, PANEL)[-1]


def best_points(layout: Layout, grid: Grid, metric: MetricSpec) -> frozenset[Point]:
    """Return the best points of a grid: several if they are equal, none without values."""
    losses = {
        point: loss
        for point in grid.cells
        if (loss := loss_of(layout.variant(grid, point), metric)) is not None
    }
    return frozenset(point for point, loss in losses.items() if loss == min(losses.values()))


def cell(variant: Variant, metric: MetricSpec) -> str:
    """Return ``mean ± std`` over genes, ``failed``, or a dash where nothing was run."""
    return score_text(variant, metric.name, PANEL) if variant.records else "–"


def _blocks(grids: list[Grid]) -> list[Block]:
    """Return a block for each combination of the third parameter and the ones after it."""
    names, values = tuple(grids[0].axes), tuple(grids[0].axes.values())
    if len(names) == 1:
        return [Block(names, (), (None,), values[0], tuple(grids))]
    # Only combinations that some grid has: the full product may be mostly empty.
    others = {point[2:] for grid in grids for point in grid.cells}
    return [
        Block(names, rest, values[0], values[1], tuple(grids))
        for rest in sorted(others, key=lambda rest: [*map(tuple.index, values[2:], rest)])
    ]
