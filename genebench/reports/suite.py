"""A report in the layout of a suite: its methods and its grids, in its order, by its names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from genebench.analysis.sweep import Grid, grid_of
from genebench.reports.grids import Layout
from genebench.reports.report import comparable
from genebench.reports.sweep import GridReport
from genebench.results.record import Record
from genebench.runs.suite import Run, Suite, texts
from genebench.specs import ALL, PRESETS


@dataclass(frozen=True, kw_only=True)
class SuiteReport(GridReport):
    """What a suite asks for, cell by cell, whether it was run or not.

    Attributes:
        suite: what to lay out.
        preset: which settings to look for; None for those of every preset that was run.
    """

    suite: Suite
    preset: str | None = None

    def layouts(self) -> Iterator[Layout]:
        """One for each data digest, protocol and preset that something was run of."""
        tested = [record for record in self.records if not record.identity.is_trial]
        for group in sorted(comparable(tested), key=self.place):
            yield from self._of_presets(group)

    def _of_presets(self, group: list[Record]) -> Iterator[Layout]:
        run = {record.preset for record in group}
        presets = [self.preset] if self.preset else [name for name in PRESETS if name in run]
        title, names = self.suite.title, self.suite.names
        layouts = [
            self.layout(title, preset, group, self._grids(group, preset), names)
            for preset in presets
        ]
        held = [{record.key for grid in one.grids for record in grid.records} for one in layouts]
        for at, keys in enumerate(held):
            # Methods without presets stand in the layout of every preset: one will do.
            repeated = any(keys < other for other in held) or keys in held[:at]
            if keys and not repeated:
                yield layouts[at]

    def _grids(self, group: list[Record], preset: str) -> Iterator[Grid]:
        for run in self.suite.runs:
            for method in self._methods(run):
                yield replace(self._grid(run, method, preset, group), name=run.name)

    def _methods(self, run: Run) -> Iterator[str]:
        """Those of a run; controls have a place of their own."""
        known = self.registry.methods.specs
        for name in run.methods:
            for method in known if name == ALL else [name]:
                if method not in known or not known[method].control:
                    yield method

    def _grid(self, run: Run, method: str, preset: str, group: list[Record]) -> Grid:
        given = run.at(preset)
        fixed, axes = texts(given.set), texts(given.grid)
        if method in self.registry.methods.specs:
            return grid_of(self.registry.methods.get(method), preset, fixed, axes, group)
        # A method that is not installed: which parameters were in effect cannot be told.
        values = {name: tuple(typed) for name, typed in axes.items()}
        return Grid(method, fixed, values, dict.fromkeys(product(*values.values()), ()))
