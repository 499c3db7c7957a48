"""Grids: the results of a method at every combination of some of its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from genebench._util.text import typed
from genebench.results.filters import RecordFilter
from genebench.results.record import Record
from genebench.specs import MethodSpec, Value

Point = tuple[Value, ...]
"""One value for each axis of a grid, in its order."""


@dataclass(frozen=True)
class Grid:
    """The results of a method under one protocol, point by point.

    A grid without axes is a single setting.

    Attributes:
        method: name of the method.
        fixed: parameters that were set to one value, as typed.
        axes: parameter → its values. The first axis gives rows, the second columns, and each
            combination of the others a table.
        cells: point → its records, one for each seed. Empty if nothing was run there.
        name: title of the grid, if not the name of the method.
    """

    method: str
    fixed: Mapping[str, str]
    axes: Mapping[str, tuple[Value, ...]]
    cells: Mapping[Point, tuple[Record, ...]]
    name: str = ""

    @property
    def records(self) -> list[Record]:
        """Records of all points."""
        return [record for cell in self.cells.values() for record in cell]

    def settings(self, point: Point) -> dict[str, Value]:
        """Return parameter → value at a point."""
        return dict(zip(self.axes, point, strict=True))


def grid_of(
    spec: MethodSpec,
    preset: str,
    fixed: Mapping[str, str],
    axes: Mapping[str, Sequence[str]],
    records: Iterable[Record],
) -> Grid:
    """Return the grid with the given axes. Every point has a cell, which may be empty.

    Args:
        spec: the method.
        preset: preset of the parameters that are neither fixed nor on an axis.
        fixed: parameter → value, as typed.
        axes: parameter → values, as typed.
        records: comparable records. A record belongs to a point if its parameters in effect are
            exactly those of the point.

    Raises:
        UserError: a parameter is unknown, or a value out of range.
    """
    values = {
        name: tuple(dict.fromkeys(spec.param(name).parse(text, owner=spec.name) for text in texts))
        for name, texts in axes.items()
    }
    of_method = [record for record in records if record.identity.method == spec.name]
    # Records hold every parameter in effect, so that points are compared with all of them.
    base = spec.values(preset, fixed)
    cells = {}
    for point in product(*values.values()):
        params = base | dict(zip(values, point, strict=True))
        cells[point] = _newest(record for record in of_method if record.identity.params == params)
    return Grid(spec.name, fixed, values, cells)


def grids_in(records: Iterable[Record]) -> list[Grid]:
    """Return the grids in comparable records of one preset, one for each method.

    Axes are the parameters that differ among a method's records, in the order in which the method
    declares them. A method that was run with one setting only has no grid.
    """
    by_method: dict[str, list[Record]] = {}
    for record in records:
        by_method.setdefault(record.identity.method, []).append(record)
    grids = (_grid_in(method, by_method[method]) for method in sorted(by_method))
    return [grid for grid in grids if grid.axes]


def _grid_in(method: str, records: list[Record]) -> Grid:
    """Return the grid of one method's records."""
    declared = dict.fromkeys(name for record in records for name in record.identity.params)
    values_of = {
        name: {record.identity.params[name] for record in records if name in record.identity.params}
        for name in declared
    }
    axes = {name: _sorted(values) for name, values in values_of.items() if len(values) > 1}
    cells: dict[Point, list[Record]] = {}
    for record in records:
        params = record.identity.params
        # A version of the method that did not have the parameter yet has no place in the grid.
        if axes.keys() <= params.keys():
            cells.setdefault(tuple(params[name] for name in axes), []).append(record)
    newest = {point: _newest(at_point) for point, at_point in cells.items()}
    return Grid(method, {}, axes, newest)


def table_of(grids: Iterable[Grid]) -> pd.DataFrame:
    """Return one row for each point, panel and metric, with means over the seeds that are done.

    Columns: dataset, protocol, preset, method, ``set.<parameter>`` for the values of the whole
    grid, ``grid.<parameter>`` for its axes, seeds, status (``done``, ``failed`` or ``missing``),
    panel, metric, ``mean`` and ``std_genes``. The last four are empty if no seed is done.
    """
    return pd.DataFrame([row for grid in grids for row in _rows(grid)])


def _sorted(values: Iterable[Value]) -> tuple[Value, ...]:
    """Return numbers by size, then words by the alphabet, then lists."""
    return tuple(sorted(values, key=_order))


def _order(value: Value) -> tuple[Any, ...]:
    if isinstance(value, tuple):
        return 2, [*map(_order, value)]
    return int(isinstance(value, str)), value


def _rows(grid: Grid) -> Iterator[dict[str, object]]:
    for point, records in grid.cells.items():
        done = RecordFilter(status="done").apply(records)
        common: dict[str, object] = {
            "dataset": _joined({record.dataset for record in grid.records}),
            "protocol": _joined({record.identity.protocol for record in grid.records}),
            "preset": _joined({record.preset for record in grid.records}),
            "method": grid.method,
            **{f"set.{name}": text for name, text in grid.fixed.items()},
            **{
                f"grid.{name}": typed(value) if isinstance(value, tuple) else value
                for name, value in grid.settings(point).items()
            },
            "seeds": len(done),
            "status": "done" if done else next((r.status for r in records), "missing"),
        }
        scores = pd.DataFrame(
            [
                (panel, metric, score.mean, score.std)
                for record in done
                for metric, panels in record.scores.items()
                for panel, score in panels.items()
            ],
            columns=["panel", "metric", "mean", "std_genes"],
        )
        means = scores.groupby(["panel", "metric"], sort=False).mean().reset_index()
        if means.empty:
            yield common | {"panel": "", "metric": "", "mean": None, "std_genes": None}
        for score in means.to_dict("records"):
            yield common | {str(name): value for name, value in score.items()}


def _joined(names: set[str]) -> str:
    """Return names, joined by `` = ``: records of equal data may have several."""
    return " = ".join(sorted(names))


def _newest(records: Iterable[Record]) -> tuple[Record, ...]:
    """Return the records of the code that ran last, by seed. Other code is another method."""
    by_code: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.provenance.started):
        by_code.setdefault(record.identity.code.model_dump_json(), []).append(record)
    newest = max(by_code.values(), key=lambda group: group[-1].provenance.started, default=[])
    return tuple(sorted(newest, key=lambda record: record.identity.seed))
