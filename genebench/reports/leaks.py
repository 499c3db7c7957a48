"""A report of what each leak of the published protocols is worth, per method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from genebench.analysis.leaks import leaks
from genebench.reports.report import Report, Row, Section, Table

_NOTES = (
    "difference = variant − published protocol, mean over all targets: what the leak was worth",
    "strict: quantiles, means and deviations from the training profiles only",
    "geo-series: every series in one part only",
    "gtex-strict: MAE in the units of the training profiles, another scale; see train-mean",
)


@dataclass(frozen=True)
class LeakReport(Report):
    """Tables of differences instead of scores; any reporter of tables can lay it out."""

    def sections(self) -> Iterator[Section]:
        """One for each dataset: a table per variant and metric."""
        for dataset, part in self.values().groupby("dataset", sort=False):
            tables = [
                self._table(rows, str(original), str(variant), str(metric))
                for (original, variant, metric), rows in part.groupby(
                    ["original", "variant", "metric"], sort=False
                )
            ]
            yield Section(f"leaks · {dataset}", tuple(tables), _NOTES)

    def values(self) -> pd.DataFrame:
        """The differences as a tidy table."""
        table = leaks(self.records, self.registry.protocols.specs.values())
        return table[table["metric"].isin(self.metrics)].reset_index(drop=True)

    def _table(self, rows: pd.DataFrame, original: str, variant: str, metric: str) -> Table:
        spec = self.registry.metrics.specs.get(metric)
        return Table(
            title=f"{spec.title if spec else metric}: {original} → {variant}",
            columns=("method", original, variant, "difference"),
            rows=tuple(self._row(*row) for row in rows[_SHOWN].itertuples(index=False)),
        )

    def _row(self, method: str, original: float, variant: float, difference: float) -> Row:
        spec = self.registry.methods.specs.get(method)
        cells = (method, f"{original:.4f}", f"{variant:.4f}", f"{difference:+.4f}")
        return Row(cells, control=spec is not None and spec.control)


_SHOWN = ["method", "mean_original", "mean_variant", "difference"]
