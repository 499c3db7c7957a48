"""A report of scores between the training mean and the agreement of two measurements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from genebench.analysis.scaled import CEILING, FLOOR, scaled
from genebench.reports.report import Report, Row, Section, Table, comparable
from genebench.reports.variants import Variant, variants_of
from genebench.results.panels import PANELS
from genebench.results.record import Record
from genebench.specs import MetricSpec

_EXACT = 1e-6
"""Of a ceiling: nearer to the best value there is no noise of measurement in it."""

_NOTES = (
    f"(u − b) / (r − b): b is {FLOOR} on the panel, r is {CEILING} on the twins: means over genes",
    "1 is as close as a second measurement comes, which is no bound: it is as noisy as the first",
    "all, strict: as if other genes were measured as well as the twins; of them r is not known",
)


@dataclass(frozen=True, kw_only=True)
class ScaledReport(Report):
    """Tables of scaled scores; any reporter of tables can lay them out.

    Attributes:
        everything: where the controls are looked for.
    """

    everything: tuple[Record, ...] = ()

    def sections(self) -> Iterator[Section]:
        """One for each data digest and protocol: a table per metric."""
        values = self.values()
        for group in sorted(comparable(self.records), key=self.place):
            rows = values[values["key"].isin([record.key for record in group])]
            if len(rows):
                first = group[0]
                yield Section(
                    f"scaled · {first.dataset} · {first.identity.protocol} · "
                    f"data {first.identity.data}",
                    tuple(self._tables(rows, variants_of(group, self.registry))),
                    (*_NOTES, *self._exact(rows)),
                )

    def values(self) -> pd.DataFrame:
        """The scaled scores as a tidy table."""
        directions = {spec.name: spec.direction for spec in self.registry.metrics.specs.values()}
        table = scaled(self.records, self.everything, directions)
        return table[table["metric"].isin(self.metrics)].reset_index(drop=True)

    def _tables(self, rows: pd.DataFrame, variants: list[Variant]) -> Iterator[Table]:
        for metric in rows["metric"].unique():
            part = rows[rows["metric"] == metric]
            panels = [panel for panel in PANELS if panel in set(part["panel"])]
            shown = [(variant, _means(part, variant)) for variant in variants]
            ranked = sorted(shown, key=lambda pair: _rank(pair[0], pair[1], panels[0]))
            yield Table(
                title=f"{self._spec(metric).title}, scaled (higher is better)",
                columns=("method", *panels),
                rows=tuple(
                    Row(
                        (variant.label, *(_cell(means.get(panel)) for panel in panels)),
                        variant.control,
                    )
                    for variant, means in ranked
                ),
            )

    def _exact(self, rows: pd.DataFrame) -> Iterator[str]:
        """Where both rows of a gene are one measurement, as on RNA-seq, copying is perfect."""
        for metric, ceiling in rows.groupby("metric", sort=False)["ceiling"].first().items():
            spec = self._spec(str(metric))
            if abs(ceiling - spec.best) < _EXACT:
                yield (
                    f"{spec.title}: the ceiling is perfect agreement, because here a twin and its "
                    "landmark are one measurement; it says nothing about noise"
                )

    def _spec(self, metric: str) -> MetricSpec:
        return self.registry.metrics.specs[metric]


def _rank(variant: Variant, means: Mapping[str, float], panel: str) -> tuple[bool, float]:
    """Sorts best first, those without a value after them, controls last."""
    return variant.control, -means.get(panel, -math.inf)


def _means(rows: pd.DataFrame, variant: Variant) -> dict[str, float]:
    """Panel → scaled score, a mean over seeds."""
    own = rows[rows["key"].isin([record.key for record in variant.records])]
    means = own.groupby("panel")["scaled"].mean()
    return {str(panel): float(mean) for panel, mean in means.items()}


def _cell(value: float | None) -> str:
    # Adding 0 makes a positive 0 of a negative one.
    return "–" if value is None else f"{round(value, 4) + 0:.4f}"
