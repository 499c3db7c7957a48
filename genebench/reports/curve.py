"""The report of curves: how λ, k or an epoch was chosen for each result, point by point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from genebench.analysis.curves import curves
from genebench.analysis.variants import labels_of
from genebench.errors import unknown
from genebench.reports.figures.choice import choice_parts, drawings, error_of
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.report import Report, Row, Section, Table
from genebench.results.record import Record

_NOTES = (
    "MAE on the validation set, by which a penalty, a number of neighbours or an epoch is chosen",
)
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
            tables = tuple(map(self._table, records, labels_of(records)))
            all_curves = [record.curves[self.argument] for record in records]
            points = sum(map(_length, all_curves))
            more = points - sum(len(self._places(curve)) for curve in all_curves)
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
        """Yield the points that are shown, and how many are left out between them."""
        points = list(zip(*curve.values(), strict=True))
        error, best = error_of(curve), _best(curve)
        for before, place in pairwise([-1, *self._places(curve)]):
            if gap := place - before - 1:
                yield Row((f"… {gap:,} more", *[""] * (len(curve) - 1)))
            cells = tuple(f"{value:.6g}" for value in points[place])
            marked = {[*curve].index(error)} if error and place == best else ()
            yield Row(cells, best=frozenset(marked))

    def _places(self, curve: Mapping[str, Sequence[float]]) -> list[int]:
        """Return the places of the points to show. In a terminal: near the best one, and the ends.

        A gap of one point is filled.
        """
        best, length = _best(curve), _length(curve)
        near = () if best is None else range(best - _NEIGHBOURS, best + _NEIGHBOURS + 1)
        wanted = {0, *near, length - 1}
        return [
            place
            for place in range(length)
            if self.with_all_points or place in wanted or {place - 1, place + 1} <= wanted
        ]


def _best(curve: Mapping[str, Sequence[float]]) -> int | None:
    """Return the place of the least validation error, or None if there is none."""
    error = error_of(curve)
    if error is None or np.isnan(curve[error]).all():
        return None
    return int(np.nanargmin(curve[error]))


def _length(curve: Mapping[str, Sequence[float]]) -> int:
    return len(next(iter(curve.values()), ()))
