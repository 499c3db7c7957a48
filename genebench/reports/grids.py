"""Reports of grids: methods × metrics, and parameters × parameters, cell by cell."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from genebench._util.text import setting, short
from genebench.analysis.sweep import Grid, Point, table_of
from genebench.analysis.variants import Variant, variants_of
from genebench.errors import some
from genebench.plugins.registry import Registry
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.figures.heatmap import drawings
from genebench.reports.layout import PANEL, Block, Layout, best_points, cell, loss_of, scale_of
from genebench.reports.report import Report, Row, Section, Table
from genebench.reports.wording import (
    could_have_cheated_notes,
    described,
    filled_landmarks,
    seal_levels,
    sizes,
    without_scores,
)
from genebench.results.filters import RecordFilter
from genebench.results.published import Published, published, published_in_grid
from genebench.results.record import Identity, Record
from genebench.specs import MetricSpec, Value

_LookUp = Callable[[Identity, str, Mapping[str, Value]], Published | None]
"""``published`` (Tables 1 and 3 of the paper) or ``published_in_grid`` (Tables 2 and 4)."""


class GridReport(Report):
    """The base class of reports of grids. A subclass says which grids there are."""

    @abstractmethod
    def layouts(self) -> Iterator[Layout]:
        """Yield the layout of each section."""

    def tested(self) -> list[Record]:
        """Return the records without trials, which are not scored on test profiles."""
        return RecordFilter(trials=False).apply(self.records)

    def layout(
        self,
        title: str,
        preset: str,
        group: list[Record],
        grids: Iterable[Grid],
        names: Mapping[str, str] | None = None,
    ) -> Layout:
        """Return a layout of comparable records, with the controls among them."""
        variants = variants_of(group, self.registry)
        controls = tuple(
            sorted((v for v in variants if v.control), key=lambda variant: variant.label)
        )
        return Layout(title, preset, group[0], tuple(grids), controls, names or {})

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset, protocol, digest of the data and preset."""
        for layout in self.layouts():
            yield _Tables(layout, self.registry, self.shown_metrics()).section()

    def values(self) -> pd.DataFrame:
        """Return one row per cell and metric."""
        return self.of_metrics(table_of(grid for layout in self.layouts() for grid in layout.grids))

    def draw(self, folder: Path) -> list[Path]:
        """Write a heat map of each section and metric, with its numbers as CSV.

        Raises:
            UserError: matplotlib is not installed, or the folder cannot be written to.
        """
        return write_drawings(drawings(self.layouts(), self.shown_metrics()), folder)


@dataclass(frozen=True)
class _Tables:
    """The tables of one section, made from its layout."""

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
            details=tuple(self._details()),
        )

    def _settings(self) -> Table:
        """Return methods × metrics, as in Tables 1 and 3 of the GGAN paper, controls last."""
        settings = self.layout.settings
        rows = [self.layout.variant(grid, ()) for grid in settings]
        beside = self.layout.first.published_data and bool(rows)
        # The paper's values stand beside ours where the data are the same, and only there.
        columns = ["method"]
        for metric in self.metrics:
            columns += [metric.title, "published"] if beside else [metric.title]
        best = [_best(rows, metric) for metric in self.metrics]
        width = 2 if beside else 1
        return Table(
            title=f"methods: {', '.join(map(described, self.metrics))}" if rows else "controls",
            columns=tuple(columns),
            rows=(
                *(
                    Row(
                        cells=(variant.label, *self._scores(variant, grid, beside=beside)),
                        best=frozenset(
                            1 + number * width
                            for number, winner in enumerate(best)
                            if winner is variant
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
                value = self._published(grid, (), metric, published) if grid else None
                yield str(value or "–")

    def _block(self, block: Block, metric: MetricSpec) -> Table:
        """Return parameters × parameters, as in Tables 2 and 4, one method below the other."""
        head = ("method",) if block.rows == (None,) else ("method", block.axes[0])
        across = block.axes[0] if block.rows == (None,) else block.axes[1]
        rows = [
            row
            for grid in block.grids
            for value in block.rows
            for row in self._line(block, grid, value, metric)
        ]
        return Table(
            title=f"{described(metric)}: {block.title}",
            columns=(*head, *(setting(across, value) for value in block.columns)),
            rows=tuple(rows),
        )

    def _line(
        self, block: Block, grid: Grid, value: Value | None, metric: MetricSpec
    ) -> Iterator[Row]:
        """Yield a row of our values, and below it the paper's values where there are any."""
        points = [block.point(value, column) for column in block.columns]
        variants = [self.layout.variant(grid, point) for point in points]
        best, scale = best_points(self.layout, grid, metric), scale_of(self.layout, metric)
        head = (self.layout.label(grid), *(() if value is None else (short(value),)))
        yield Row(
            cells=(*head, *(cell(variant, metric) for variant in variants)),
            best=frozenset(
                column for column, point in enumerate(points, len(head)) if point in best
            ),
            # One scale for all grids of a section, so that colours can be compared across methods.
            heat=(
                *(None for _ in head),
                *(scale.goodness(loss_of(variant, metric)) for variant in variants),
            ),
        )
        paper = [self._published(grid, point, metric, published_in_grid) for point in points]
        if any(paper):
            label, *rest = head
            cells = (str(value or "–") for value in paper)
            yield Row((f"{label}, published", *rest, *cells), control=True)

    def _published(
        self, grid: Grid, point: Point, metric: MetricSpec, look_up: _LookUp
    ) -> Published | None:
        """Return the paper's value of a cell, run here or not.

        Only the published data and the published parameters have one.
        """
        spec = self.registry.methods.specs.get(grid.method)
        if spec is None or not self.layout.first.published_data:
            return None
        # The cells of a grid differ in its axes only, so any cell has the other parameters.
        any_cell = next((record.identity.params for record in grid.records), None)
        base = any_cell or spec.values(self.layout.preset, grid.fixed)
        changes = {"method": grid.method, "params": {**base, **grid.settings(point)}}
        identity = self.layout.first.identity.model_copy(update=changes)
        return look_up(identity, metric.name, spec.values("paper", {}))

    def _details(self) -> Iterator[str]:
        layout = self.layout
        yield f"{sizes(layout.first)}. Data {layout.first.identity.data}"
        yield (
            "mean ± std over all target genes (metrics of profiles: over profiles). "
            "genebench report scores shows the other panels, and the costs"
        )
        if layout.blocks:
            yield (
                "the best cell of each method is marked by its test profiles. To choose "
                "parameters, genebench tune goes by the validation set"
            )
        if layout.first.published_data:
            yield (
                "published: Wang et al. 2018, for the published parameters, run here or not. Their "
                "split is not ours, and differences below 0.002 may be due to the splits"
            )
        yield from seal_levels(self._rows())

    def _rows(self) -> Iterator[tuple[str, Iterable[Record]]]:
        """Yield the label of each row with its records."""
        for grid in self.layout.grids:
            yield self.layout.label(grid), grid.records
        for control in self.layout.controls:
            yield control.label, control.records

    def _notes(self) -> Iterator[str]:
        layout = self.layout
        yield from filled_landmarks(r for _, records in self._rows() for r in records)
        yield from could_have_cheated_notes(self._rows())
        cells = [records for grid in layout.grids for records in grid.cells.values()]
        if missing := sum(not records for records in cells):
            yield f"–: not run, {missing:,} of {len(cells):,}"
        for grid in layout.grids:
            if grid.method not in self.registry.methods.specs:
                yield f"{layout.label(grid)}: {grid.method} is not installed"
            yield from _grid_notes(grid, layout.label(grid))


def _best(variants: Iterable[Variant], metric: MetricSpec) -> Variant | None:
    having = [variant for variant in variants if variant.has(metric.name, PANEL)]
    return min(having, key=lambda variant: variant.sort_key(metric, PANEL), default=None)


def _grid_notes(grid: Grid, label: str) -> Iterator[str]:
    """Yield remarks on a grid: its seeds, versions, failures and constant predictions."""
    seeds = max((len(records) for records in grid.cells.values()), default=0)
    if seeds > 1:
        yield f"{label}: mean of {seeds} seeds, without failed ones"
    if len({record.identity.code for record in grid.records}) > 1:
        yield f"{label}: the cells are of more than one version of its code"
    without: dict[str, tuple[Record, list[str]]] = {}
    for point, records in grid.cells.items():
        settings = " ".join(map(setting, grid.axes, point))
        for record in records:
            for text in without_scores("", [record]):
                cells = without.setdefault(text, (record, []))[1]
                cells += [] if settings in cells else [settings]
    for record, cells in without.values():
        where = f" at {some(cells)}" if grid.axes else ""
        yield from without_scores(label, [record], where)
    if constant := max((record.constant_prediction for record in grid.records), default=0):
        yield f"{label}: CONSTANT prediction of up to {constant:,} targets"
