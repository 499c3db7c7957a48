"""Reports of grids: methods × metrics, and parameters × parameters, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from genebench.analysis.sweep import Grid, Point, grids_in, table_of
from genebench.errors import some
from genebench.plugins.registry import Registry
from genebench.reports.grids import (
    PANEL,
    Block,
    Layout,
    best_points,
    cell,
    loss_of,
    scale_of,
    setting,
    short,
)
from genebench.reports.report import Report, Row, Section, Table, comparable
from genebench.reports.variants import Variant, variants_of
from genebench.results.published import Published, published, published_in_grid
from genebench.results.record import Identity, Record
from genebench.specs import PRESETS, MetricSpec, Value

_LookUp = Callable[[Identity, str, Mapping[str, Value]], Published | None]


@dataclass(frozen=True, kw_only=True)
class GridReport(Report):
    """Tables of grids instead of variants; any reporter of tables can lay them out."""

    def layouts(self) -> Iterator[Layout]:
        """The sections-to-be: here, every grid that the records hold."""
        tested = [record for record in self.records if not record.identity.is_trial]
        for group in sorted(comparable(tested), key=self.place):
            for preset in PRESETS:
                grids = grids_in(record for record in group if record.preset == preset)
                if grids:
                    yield self.layout("sweep", preset, group, grids)

    def layout(
        self,
        title: str,
        preset: str,
        group: list[Record],
        grids: Iterable[Grid],
        names: Mapping[str, str] | None = None,
    ) -> Layout:
        """A layout of comparable records; controls are those that were run beside them."""
        found = variants_of(group, self.registry)
        controls = tuple(variant for variant in found if variant.control)
        return Layout(title, preset, group[0], tuple(grids), controls, names or {})

    def shown(self) -> list[MetricSpec]:
        """The metrics to show, as far as they are installed."""
        known = self.registry.metrics.specs
        return [known[name] for name in self.metrics if name in known]

    def sections(self) -> Iterator[Section]:
        """One for each data digest, protocol and preset."""
        for layout in self.layouts():
            yield _Tables(layout, self.registry, self.shown()).section()

    def values(self) -> pd.DataFrame:
        """The cells as a tidy table."""
        table = table_of(grid for layout in self.layouts() for grid in layout.grids)
        return table[table["metric"].isin([*self.metrics, ""])].reset_index(drop=True)


@dataclass(frozen=True)
class _Tables:
    """A layout as tables of text."""

    layout: Layout
    registry: Registry
    metrics: list[MetricSpec]

    def section(self) -> Section:
        layout, identity = self.layout, self.layout.first.identity
        where = (layout.first.dataset, identity.protocol, f"preset {layout.preset}")
        grids = [
            self._block(block, metric) for metric in self.metrics for block in layout.blocks
        ]  # fmt: skip
        return Section(
            title=" · ".join(filter(None, (*where, layout.title))),
            tables=tuple(
                [self._settings(), *grids] if layout.settings else [*grids, self._settings()]
            ),
            notes=tuple(self._notes()),
        )

    def _settings(self) -> Table:
        """Methods × metrics, as in Tables 1 and 3 of the GGAN paper; controls come last."""
        settings = self.layout.settings
        rows = [self.layout.variant(grid, ()) for grid in settings]
        beside = self.layout.first.published_data and bool(rows)
        columns = ["method"]
        for metric in self.metrics:
            columns += [metric.title, "published"] if beside else [metric.title]
        best = [_best(rows, metric) for metric in self.metrics]
        width = 2 if beside else 1
        return Table(
            title=f"methods: {', '.join(map(_described, self.metrics))}" if rows else "controls",
            columns=tuple(columns),
            rows=(
                *(
                    Row(
                        cells=(variant.label, *self._scores(variant, grid, beside=beside)),
                        best=frozenset(
                            1 + at * width for at, won in enumerate(best) if won is variant
                        ),
                    )
                    for variant, grid in zip(rows, settings, strict=True)
                ),
                *(
                    Row((control.label, *self._scores(control, None, beside=beside)), control=True)
                    for control in self.layout.controls
                ),
            ),
        )

    def _scores(self, variant: Variant, grid: Grid | None, *, beside: bool) -> Iterator[str]:
        for metric in self.metrics:
            yield cell(variant, metric)
            if beside:
                theirs = self._published(grid, (), metric, published) if grid else None
                yield str(theirs or "–")

    def _block(self, block: Block, metric: MetricSpec) -> Table:
        """Parameters × parameters, as in Tables 2 and 4, one method below the other."""
        head = ("method",) if block.rows == (None,) else ("method", block.axes[0])
        across = block.axes[0] if block.rows == (None,) else block.axes[1]
        rows = [
            row
            for grid in block.grids
            for value in block.rows
            for row in self._line(block, grid, value, metric)
        ]
        return Table(
            title=f"{_described(metric)}: {block.title}",
            columns=(*head, *(setting(across, value) for value in block.columns)),
            rows=tuple(rows),
        )

    def _line(
        self, block: Block, grid: Grid, value: Value | None, metric: MetricSpec
    ) -> Iterator[Row]:
        """A row of ours, and the paper's below it where there is one."""
        points = [block.point(value, column) for column in block.columns]
        variants = [self.layout.variant(grid, point) for point in points]
        best, scale = best_points(self.layout, grid, metric), scale_of(self.layout, metric)
        head = (self.layout.label(grid), *(() if value is None else (short(value),)))
        yield Row(
            cells=(*head, *(cell(variant, metric) for variant in variants)),
            best=frozenset(at for at, point in enumerate(points, len(head)) if point in best),
            heat=(
                *(None for _ in head),
                *(scale.goodness(loss_of(variant, metric)) for variant in variants),
            ),
        )
        theirs = [self._published(grid, point, metric, published_in_grid) for point in points]
        if any(theirs):
            label, *rest = head
            texts = (str(value) if value else "–" for value in theirs)
            yield Row((f"{label}, published", *rest, *texts), control=True)

    def _published(
        self, grid: Grid, point: Point, metric: MetricSpec, look_up: _LookUp
    ) -> Published | None:
        """The paper's value of a cell, run or not: on its data and with its parameters only."""
        spec = self.registry.methods.specs.get(grid.method)
        if spec is None or not self.layout.first.published_data:
            return None
        any_cell = next((record.identity.params for record in grid.records), None)
        base = any_cell or spec.values(self.layout.preset, grid.fixed)
        own = {"method": grid.method, "params": {**base, **grid.settings(point)}}
        identity = self.layout.first.identity.model_copy(update=own)
        return look_up(identity, metric.name, spec.values("paper", {}))

    def _notes(self) -> Iterator[str]:
        layout = self.layout
        profiles, genes = layout.first.profiles, layout.first.genes
        yield (
            f"{profiles['train']:,} train, {profiles['validation']:,} validation, "
            f"{profiles['test']:,} test profiles; "
            f"{genes['landmark']:,} landmarks, {genes['target']:,} targets; "
            f"data {layout.first.identity.data}"
        )
        yield (
            "mean ± std over all target genes (metrics of profiles: over profiles); "
            "genebench report has the panels, and what it cost"
        )
        if layout.blocks:
            yield (
                "the best cell of each method is marked as it came out on the test profiles; "
                "genebench tune chooses on the validation set"
            )
        if layout.first.published_data:
            yield (
                "published: Wang et al. 2018, for the published parameters, run here or not; their "
                "split is not ours, and differences below 0.002 may be that of splits"
            )
        cells = [records for grid in layout.grids for records in grid.cells.values()]
        if missing := sum(not records for records in cells):
            yield f"–: not run, {missing:,} of {len(cells):,}"
        for grid in layout.grids:
            if grid.method not in self.registry.methods.specs:
                yield f"{layout.label(grid)}: {grid.method} is not installed"
            yield from _grid_notes(grid, layout.label(grid))


def _best(variants: Iterable[Variant], metric: MetricSpec) -> Variant | None:
    having = [variant for variant in variants if variant.has(metric.name, PANEL)]
    return min(having, key=lambda variant: variant.rank(metric, PANEL), default=None)


def _described(metric: MetricSpec) -> str:
    return f"{metric.title} ({metric.direction} is better; unit: {metric.unit})"


def _grid_notes(grid: Grid, label: str) -> Iterator[str]:
    """What a reader of a grid should know."""
    seeds = max((len(records) for records in grid.cells.values()), default=0)
    if seeds > 1:
        yield f"{label}: mean of {seeds} seeds, failed ones apart"
    if len({record.identity.code for record in grid.records}) > 1:
        yield f"{label}: the cells are of more than one version of its code"
    failures: dict[str, list[str]] = {}
    for point, records in grid.cells.items():
        where = " ".join(map(setting, grid.axes, point))
        for failure in {record.failure for record in records if record.failure}:
            failures.setdefault(f"{failure.kind}: {failure.message}", []).append(where)
    for what, places in failures.items():
        at = f" at {some(places)}" if grid.axes else ""
        yield f"{label} failed{at}: {what}"
    if constant := max((record.constant_prediction for record in grid.records), default=0):
        yield f"{label}: CONSTANT prediction of up to {constant:,} targets"
