"""How grids are laid out: methods beside methods, parameters against parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genebench.analysis.sweep import Grid, Point
from genebench.reports.variants import Variant
from genebench.results.record import Record
from genebench.specs import MetricSpec, Value

PANEL = "all"
"""The panel that papers report; ``genebench report`` has the others."""


@dataclass(frozen=True)
class Block:
    """Grids over the same parameters, at one value of each parameter but the first two.

    Attributes:
        rest: the values of those others; they are what the block is titled by.
        rows, columns: the values of the first two; a grid of one parameter has one row.
    """

    axes: tuple[str, ...]
    rest: Point
    rows: tuple[Value | None, ...]
    columns: tuple[Value, ...]
    grids: tuple[Grid, ...]

    @property
    def title(self) -> str:
        """What is crossed with what, and at which values of the others."""
        crossed = " × ".join(self.axes[:2])
        return " · ".join([crossed, *map(setting, self.axes[2:], self.rest)])

    def point(self, row: Value | None, column: Value) -> Point:
        """Where a cell is in its grid."""
        return (column,) if row is None else (row, column, *self.rest)


@dataclass(frozen=True)
class Layout:
    """One section: grids of comparable results under one preset.

    Attributes:
        title: of what this is a table.
        preset: where the parameters that nobody set come from.
        first: any of the records; they agree on data, protocol and profiles.
        grids: in the order of rows; those without axes are single settings.
        controls: rows below all others.
        names: method → what to call it, where not by its name.
    """

    title: str
    preset: str
    first: Record
    grids: tuple[Grid, ...]
    controls: tuple[Variant, ...]
    names: Mapping[str, str]

    @property
    def settings(self) -> list[Grid]:
        """Methods that were run with one setting."""
        return [grid for grid in self.grids if not grid.axes]

    @property
    def blocks(self) -> list[Block]:
        """Grids, those over the same parameters and values side by side."""
        alike: dict[tuple[tuple[str, tuple[Value, ...]], ...], list[Grid]] = {}
        for grid in self.grids:
            if grid.axes:
                alike.setdefault(tuple(grid.axes.items()), []).append(grid)
        return [block for grids in alike.values() for block in _blocks(grids)]

    def label(self, grid: Grid) -> str:
        """Its name; else the method, and what was set where another grid is of the same method."""
        if grid.name:
            return grid.name
        name = self.names.get(grid.method, grid.method)
        others = [other for other in self.grids if other.method == grid.method]
        if len(others) == 1 or not grid.fixed:
            return name
        return f"{name} ({', '.join(map(setting, grid.fixed, grid.fixed.values()))})"

    def variant(self, grid: Grid, point: Point) -> Variant:
        """What stands in a cell."""
        return Variant(self.label(grid), grid.cells.get(point, ()))


@dataclass(frozen=True)
class Scale:
    """From the worst to the best value that a metric has in a section's grids."""

    worst: float
    best: float

    def goodness(self, value: float | None) -> float | None:
        """0 is the worst, 1 the best; None without a value, or with nothing to compare it with."""
        if value is None or self.worst == self.best:
            return None
        return (self.worst - value) / (self.worst - self.best)


def scale_of(layout: Layout, metric: MetricSpec) -> Scale:
    """The scale of a metric over all cells of all grids of a section."""
    losses = [
        loss
        for grid in layout.grids
        for point in grid.cells
        if grid.axes and (loss := loss_of(layout.variant(grid, point), metric)) is not None
    ]
    return Scale(max(losses, default=0.0), min(losses, default=0.0))


def loss_of(variant: Variant, metric: MetricSpec) -> float | None:
    """The mean over seeds, turned so that lower is better; None where there is no value."""
    if not variant.has(metric.name, PANEL):
        return None
    return variant.rank(metric, PANEL)[-1]


def best_points(layout: Layout, grid: Grid, metric: MetricSpec) -> frozenset[Point]:
    """Where a grid is at its best: several points where they are equal, none without values."""
    losses = {
        point: loss
        for point in grid.cells
        if (loss := loss_of(layout.variant(grid, point), metric)) is not None
    }
    return frozenset(point for point, loss in losses.items() if loss == min(losses.values()))


def cell(variant: Variant, metric: MetricSpec) -> str:
    """``mean ± std`` over genes, ``failed``, or a dash where nothing was run."""
    return variant.score(metric.name, PANEL) if variant.records else "–"


def setting(name: str, value: Value) -> str:
    """A parameter and its value."""
    return f"{name}={short(value)}"


def short(value: Value) -> str:
    """A value as one types it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _blocks(grids: list[Grid]) -> list[Block]:
    """One for each combination of the third parameter and those after it."""
    names, values = tuple(grids[0].axes), tuple(grids[0].axes.values())
    if len(names) == 1:
        return [Block(names, (), (None,), values[0], tuple(grids))]
    others = {point[2:] for grid in grids for point in grid.cells}
    return [
        Block(names, rest, values[0], values[1], tuple(grids))
        for rest in sorted(others, key=lambda rest: [*map(tuple.index, values[2:], rest)])
    ]
