"""The report of a suite: its methods and its grids, in its order, by its names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

from genebench.analysis.grouping import in_order
from genebench.analysis.sweep import Grid, grid_of
from genebench.errors import UserError
from genebench.reports.figures.drawing import file_name
from genebench.reports.figures.relevance import draw_with_tables
from genebench.reports.grids import GridReport
from genebench.reports.layout import Layout
from genebench.results.filters import RecordFilter
from genebench.results.record import Record
from genebench.runs.suite import Run, Suite, grid_texts, read_suite, texts
from genebench.specs import ALL, PRESETS


@dataclass(frozen=True, kw_only=True)
class SuiteReport(GridReport):
    """Every cell of a suite, run or not.

    Attributes:
        run_suite: the suite that was just run, to show all its records, or None to read the suite
            that ``argument`` names.
        preset: the preset whose settings to show, or None for each preset that was run.
    """

    run_suite: Suite | None = None
    preset: str | None = None

    @cached_property
    def suite(self) -> Suite:
        """The suite to lay out.

        Raises:
            UserError: there is no suite of that name, or its file is malformed.
        """
        return self.run_suite or read_suite(self.argument)

    def check(self) -> None:
        """Refuse records of which none belongs to the suite."""
        if next(self.layouts(), None) is None:
            name = self.argument or self.suite.title
            raise UserError(f"There are no results of suite {name}. Run it with genebench run.")

    def tested(self) -> list[Record]:
        """Return the records without trials, of the suite's protocols unless others are chosen."""
        tested = super().tested()
        # genebench run may have been told other protocols than the suite's.
        if self.run_suite or self.record_filter.protocols is not None:
            return tested
        names = self.registry.protocols.sized_names(self.suite.protocols, self.suite.train_sizes)
        protocols = {spec.name for spec in self.registry.protocols.choose(names)}
        return [record for record in tested if record.identity.protocol in protocols]

    def draw(self, folder: Path) -> list[Path]:
        """Write the heat maps of grids, and the panels of relevance of runs with ``explain``.

        The numbers behind each panel are written as CSV.

        Raises:
            UserError: matplotlib is not installed, the folder cannot be written to, or a model was
                not kept.
        """
        # Explained first: a model may be missing, and then nothing is written.
        explained = [(name, self.explanation_of(record)) for name, record in self._to_explain()]
        panels = [path for item in explained for path in draw_with_tables(*item, folder)]
        return [*super().draw(folder), *panels]

    def _to_explain(self) -> Iterator[tuple[str, Record]]:
        """Yield the name and the record of each model to explain, that of the first seed."""
        for group in in_order(self.tested(), self.registry):
            for run, preset in product(self.suite.runs, PRESETS):
                if group[0].identity.protocol not in run.explain:
                    continue
                for method in self._methods(run):
                    grid = self._grid(run, method, preset, group)
                    for records in grid.cells.values():
                        if done := RecordFilter(status="done").apply(records):
                            label = run.name or self.suite.names.get(method, method)
                            first = done[0]
                            where = first.dataset, first.identity.protocol, preset
                            yield file_name(label, *where), first

    def layouts(self) -> Iterator[Layout]:
        """Yield a layout for each dataset, protocol, digest of the data and preset that was run."""
        for group in in_order(self.tested(), self.registry):
            yield from self._of_presets(group)

    def _of_presets(self, group: list[Record]) -> Iterator[Layout]:
        present = {record.preset for record in group}
        presets = [self.preset] if self.preset else [name for name in PRESETS if name in present]
        title, names = self.suite.title, self.suite.names
        layouts = [
            self.layout(title, preset, group, self._grids(group, preset), names)
            for preset in presets
        ]
        shown = [
            {record.key for grid in layout.grids for record in grid.records} for layout in layouts
        ]
        for index, keys in enumerate(shown):
            # Methods without presets stand in the layout of every preset, but one is enough.
            repeated = any(keys < other for other in shown) or keys in shown[:index]
            if keys and not repeated:
                yield layouts[index]

    def _grids(self, group: list[Record], preset: str) -> Iterator[Grid]:
        for run in self.suite.runs:
            for method in self._methods(run):
                yield replace(self._grid(run, method, preset, group), name=run.name)

    def _methods(self, run: Run) -> Iterator[str]:
        """Yield the methods of a run, without controls: the layout has its own place for them."""
        installed = self.registry.methods.specs
        for name in run.methods:
            for method in installed if name == ALL else [name]:
                if method not in installed or not installed[method].control:
                    yield method

    def _grid(self, run: Run, method: str, preset: str, group: list[Record]) -> Grid:
        parameters = run.at(preset)
        fixed, axes = texts(parameters.set), grid_texts(parameters.grid)
        if method in self.registry.methods.specs:
            return grid_of(self.registry.methods.get(method), preset, fixed, axes, group)
        # Defaults of a method that is not installed are unknown, so no record can be matched.
        values = {name: tuple(typed) for name, typed in axes.items()}
        return Grid(method, fixed, values, dict.fromkeys(product(*values.values()), ()))
