"""A report of how λ, k or an epoch was chosen: the curve of each result, point by point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from genebench.analysis.curves import curves
from genebench.reports.report import Report, Row, Section, Table
from genebench.results.record import Record

_NOTES = (
    "MAE on the validation set: what a penalty, a number of neighbours, an epoch was chosen by",
)


@dataclass(frozen=True, kw_only=True)
class CurveReport(Report):
    """Tables of points instead of scores; any reporter of tables can lay it out."""

    curve: str

    def sections(self) -> Iterator[Section]:
        """One for each dataset: a table per result that has such a curve."""
        having = [record for record in self.records if self.curve in record.curves]
        for dataset, records in groupby(having, key=lambda record: record.dataset):
            tables = tuple(self._table(record) for record in records)
            yield Section(f"{self.curve} · {dataset}", tables, _NOTES)

    def values(self) -> pd.DataFrame:
        """All points as a tidy table."""
        return curves(self.records, self.curve)

    def _table(self, record: Record) -> Table:
        curve, identity = record.curves[self.curve], record.identity
        spec = self.registry.methods.specs.get(identity.method)
        seed = f", seed {identity.seed}" if spec and spec.stochastic else ""
        return Table(
            title=f"{identity.method}: {identity.protocol}{seed}",
            columns=tuple(curve),
            rows=tuple(
                Row(tuple(f"{value:.6g}" for value in point))
                for point in zip(*curve.values(), strict=True)
            ),
        )
