"""The report of curves: how λ, k or an epoch was chosen for each result, point by point."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import pandas as pd

from genebench.analysis.curves import curves
from genebench.analysis.variants import label_of
from genebench.errors import unknown
from genebench.reports.figures.choice import choice_parts, drawings
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.report import Report, Row, Section, Table
from genebench.results.record import Record

_NOTES = (
    "MAE on the validation set, by which a penalty, a number of neighbours or an epoch is chosen",
)


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
            yield Section(f"{self.argument} · {dataset}", tables, details=_NOTES)

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
            title=f"{label}: {identity.protocol}{seed}",
            columns=tuple(curve),
            rows=tuple(
                Row(tuple(f"{value:.6g}" for value in point))
                for point in zip(*curve.values(), strict=True)
            ),
        )
