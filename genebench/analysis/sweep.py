"""Grids: what a method gave at every combination of some of its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product

import pandas as pd

from genebench.results.record import Record
from genebench.specs import MethodSpec, Value

Point = tuple[Value, ...]
"""One value for each axis of a grid, in its order."""


@dataclass(frozen=True)
class Grid:
    """A method under one protocol, point by point; without axes it is a single setting.

    Attributes:
        method: its name.
        fixed: parameters that were set to one value, as typed.
        axes: parameter → its values; rows first, then columns, then what parts tables.
        cells: point → its records, one for each seed; none where nothing was run.
        name: what to call it, where not by its method.
    """

    method: str
    fixed: Mapping[str, str]
    axes: Mapping[str, tuple[Value, ...]]
    cells: Mapping[Point, tuple[Record, ...]]
    name: str = ""

    @property
    def records(self) -> list[Record]:
        """Those of every point."""
        return [record for cell in self.cells.values() for record in cell]

    def settings(self, point: Point) -> dict[str, Value]:
        """Parameter → value at a point."""
        return dict(zip(self.axes, point, strict=True))


def grid_of(
    spec: MethodSpec,
    preset: str,
    fixed: Mapping[str, str],
    axes: Mapping[str, Sequence[str]],
    records: Iterable[Record],
) -> Grid:
    """What a grid that was asked for gave: every point has a cell, be it empty.

    Args:
        spec: the method.
        preset: where the parameters that nobody set come from.
        fixed: parameter → value, as typed.
        axes: parameter → values, as typed.
        records: where to look; they must be comparable. A record belongs to the point whose
            parameters in effect are exactly its own.

    Raises:
        UserError: an unknown parameter, or a value out of range.
    """
    values = {
        name: tuple(dict.fromkeys(spec.param(name).parse(text, owner=spec.name) for text in texts))
        for name, texts in axes.items()
    }
    own = [record for record in records if record.identity.method == spec.name]
    base = spec.values(preset, fixed)
    cells = {}
    for point in product(*values.values()):
        params = base | dict(zip(values, point, strict=True))
        cells[point] = _newest(record for record in own if record.identity.params == params)
    return Grid(spec.name, fixed, values, cells)


def grids_in(records: Iterable[Record]) -> list[Grid]:
    """The grids that comparable records of one preset hold, found by what differs among them.

    Axes come in the order that the method declares its parameters in. Methods that were run with
    one setting have none.
    """
    ordered = sorted(records, key=_method)
    found = (_grid_in(method, list(own)) for method, own in groupby(ordered, key=_method))
    return [grid for grid in found if grid.axes]


def _grid_in(method: str, records: list[Record]) -> Grid:
    declared = dict.fromkeys(name for record in records for name in record.identity.params)
    held = {
        name: {record.identity.params[name] for record in records if name in record.identity.params}
        for name in declared
    }
    axes = {name: _in_order(values) for name, values in held.items() if len(values) > 1}
    cells: dict[Point, list[Record]] = {}
    for record in records:
        params = record.identity.params
        # A version of the method that did not have the parameter yet has no place in the grid.
        if axes.keys() <= params.keys():
            cells.setdefault(tuple(params[name] for name in axes), []).append(record)
    return Grid(method, {}, axes, {point: _newest(found) for point, found in cells.items()})


def table_of(grids: Iterable[Grid]) -> pd.DataFrame:
    """One row for each point, panel and metric; means over the seeds that are done.

    Columns: dataset, protocol, preset, method, ``set.<parameter>`` for what was set for the whole
    grid, ``grid.<parameter>`` for its axes, seeds, status (``done``, ``failed`` or ``missing``),
    panel, metric, ``mean`` and ``std_genes``; these are empty where nothing is done.
    """
    return pd.DataFrame([row for grid in grids for row in _rows(grid)])


def _in_order(values: Iterable[Value]) -> tuple[Value, ...]:
    """Numbers by size, then words."""
    return tuple(sorted(values, key=lambda value: (isinstance(value, str), value)))


def _rows(grid: Grid) -> Iterable[dict[str, object]]:
    for point, records in grid.cells.items():
        done = [record for record in records if record.status == "done"]
        some: dict[str, object] = {
            "dataset": _only({record.dataset for record in grid.records}),
            "protocol": _only({record.identity.protocol for record in grid.records}),
            "preset": _only({record.preset for record in grid.records}),
            "method": grid.method,
            **{f"set.{name}": text for name, text in grid.fixed.items()},
            **{f"grid.{name}": value for name, value in grid.settings(point).items()},
            "seeds": len(done),
            "status": "done" if done else "failed" if records else "missing",
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
            yield some | {"panel": "", "metric": "", "mean": None, "std_genes": None}
        for score in means.to_dict("records"):
            yield some | {str(name): value for name, value in score.items()}


def _only(names: set[str]) -> str:
    return " = ".join(sorted(names))


def _method(record: Record) -> str:
    return record.identity.method


def _newest(records: Iterable[Record]) -> tuple[Record, ...]:
    """Those of the code that ran last, by seed: other code is another method."""
    started: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.provenance.started):
        started.setdefault(record.identity.code.model_dump_json(), []).append(record)
    newest = max(started.values(), key=lambda group: group[-1].provenance.started, default=[])
    return tuple(sorted(newest, key=lambda record: record.identity.seed))
