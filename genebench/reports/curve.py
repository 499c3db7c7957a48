"""The report of curves: how λ, k or an epoch was chosen for each result, point by point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from genebench.analysis.curves import curves
from genebench.analysis.variants import label_of
from genebench.errors import unknown
from genebench.reports.figures.choice import choice_parts, drawings, error_of
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.report import Report, Row, Section, Table
from genebench.results.record import Record

_NOTES = (
    "MAE on the validation set, by which a penalty, a number of neighbours or an epoch is chosen",
)
_GAP = "…"
_NEIGHBOURS = 2
"""Points on each side of the best one that a terminal shows, beside the ends of the curve."""


class CurveReport(Report):
    """The points of the curve that the argument names, such as ``path`` or ``learning``."""

    shows_folds: ClassVar[bool] = True

    def check(self) -> None:
        """Refuse a curve that no record has."""
        super().check()
        names = {name for record in self.records for name in record.curves}
        if self.argument not in names:
            raise unknown("curve of these results", self.argument, sorted(names))

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset, with a table for each result that has the curve."""
        # groupby needs neighbours, and records are sorted by dataset.
        having = [record for record in self.records if self.argument in record.curves]
        for dataset, group in groupby(having, key=lambda record: record.dataset):
            records = list(group)
            tables = tuple(self._table(record, label_of(record, records)) for record in records)
            points = sum(len(_points(record.curves[self.argument])) for record in records)
            rows = [row for table in tables for row in table.rows]
            more = points - sum(not row.cells[0].startswith(_GAP) for row in rows)
            note = f"{more:,} of {points:,} points are not shown. Print all of them: --all"
            yield Section(
                f"{self.argument} · {dataset}", tables, (note,) if more else (), details=_NOTES
            )

    def values(self) -> pd.DataFrame:
        """Return one row per point of a curve."""
        return curves(self.records, self.argument)

    def draw(self, folder: Path) -> list[Path]:
        """Write the curves of each protocol, a panel for each method, with their points as CSV.

        Raises:
            UserError: matplotlib is not installed, or the folder cannot be written to.
        """
        parts = choice_parts(self.records, self.registry, [self.argument])
        return write_drawings(drawings(parts), folder)

    def _table(self, record: Record, label: str) -> Table:
        curve, identity = record.curves[self.argument], record.identity
        spec = self.registry.methods.specs.get(identity.method)
        seed = f", seed {identity.seed}" if spec and spec.stochastic else ""
        return Table(
            title=f"{label}: {identity.protocol}{seed}", columns=tuple(curve),
            rows=tuple(self._rows(curve)),
        )  # fmt: skip

    def _rows(self, curve: Mapping[str, Sequence[float]]) -> Iterator[Row]:
        """Yield the points. In a terminal, those far from the best one and the ends are counted."""
        points, error = _points(curve), error_of(curve)
        if not points:
            return
        best = int(np.argmin(np.nan_to_num(curve[error], nan=np.inf)))
        column = list(curve).index(error)
        near = range(best - _NEIGHBOURS, best + _NEIGHBOURS + 1)
        shown = [
            place
            for place in range(len(points))
            if self.with_all_points or place in {0, *near, len(points) - 1}
        ]
        for before, place in pairwise([-1, *shown]):
            if (gap := place - before - 1) == 1:
                yield _row(points[before + 1])
            elif gap:
                yield Row((f"{_GAP} {gap:,} more", *[""] * (len(curve) - 1)))
            yield _row(points[place], frozenset({column} if place == best else ()))


def _points(curve: Mapping[str, Sequence[float]]) -> list[tuple[float, ...]]:
    return list(zip(*curve.values(), strict=True))


def _row(point: tuple[float, ...], best: frozenset[int] = frozenset()) -> Row:
    return Row(tuple(f"{value:.6g}" for value in point), best=best)
