"""The report of scaled scores: 0 is the training mean, 1 the agreement of two measurements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from genebench.analysis.grouping import in_order
from genebench.analysis.scaled import CEILING, CEILING_PANEL, FLOOR, scaled
from genebench.analysis.variants import Variant, variants_of
from genebench.errors import UserError
from genebench.reports.report import Report, Row, Section, Table
from genebench.reports.wording import could_have_cheated_notes, seal_levels
from genebench.results.filters import RecordFilter
from genebench.results.panels import PANELS
from genebench.results.record import Record
from genebench.specs import MetricSpec

_EXACT = 1e-6
"""A ceiling this close to the best value differs from it by rounding only."""

_NOTES = (
    (
        f"(u − b) / (r − b): u is the method, b is {FLOOR} on the panel, r is {CEILING} on the "
        "twins, all means over genes"
    ),
    (
        "1 is as close as a second measurement comes. It is no bound, for that measurement is as "
        "noisy as the first"
    ),
    "all, strict: r is not known for these genes, so that of the twins is taken",
)


class ScaledReport(Report):
    """Scores on a scale between two controls, which are taken from all records."""

    def check(self) -> None:
        """Refuse results without both ends of the scale."""
        super().check()
        if self.values()["scaled"].isna().all():
            if any(self._has_both(group) for group in in_order(self.all_records, self.registry)):
                raise UserError(
                    f"By no metric shown, {CEILING} is clearly better on panel {CEILING_PANEL} "
                    f"than {FLOOR}. Name other metrics with --metrics."
                )
            raise UserError(
                f"No test has records of both controls, {FLOOR} and {CEILING}. "
                "Run genebench run, which adds them."
            )

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset, protocol and digest, with a table for each metric."""
        values = self.values()
        for group in in_order(self.records, self.registry):
            rows = values[values["key"].isin([record.key for record in group])]
            if len(rows):
                first, variants = group[0], variants_of(group, self.registry)
                seals = [(variant.label, variant.records) for variant in variants]
                yield Section(
                    f"scaled · {first.dataset} · {first.identity.protocol} · "
                    f"data {first.identity.data}",
                    tuple(self._tables(rows, variants)),
                    notes=(
                        *could_have_cheated_notes(seals), *self._no_room(rows), *self._exact(rows),
                    ),
                    details=(*_NOTES, *seal_levels(seals)),
                )  # fmt: skip

    def values(self) -> pd.DataFrame:
        """Return one row per record, panel and metric."""
        return self.of_metrics(scaled(self.records, self.all_records, self.registry.metrics.specs))

    def _has_both(self, group: list[Record]) -> bool:
        done = RecordFilter(status="done", trials=False).apply(group)
        return {FLOOR, CEILING} <= {record.identity.method for record in done}

    def _tables(self, rows: pd.DataFrame, variants: list[Variant]) -> Iterator[Table]:
        for metric in rows["metric"].unique():
            part = rows[rows["metric"] == metric]
            panels = [panel for panel in PANELS if panel in set(part["panel"])]
            shown = [(variant, _means(part, variant)) for variant in variants]
            ranked = sorted(shown, key=lambda pair: _sort_key(pair[0], pair[1], panels[0]))
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

    def _no_room(self, rows: pd.DataFrame) -> Iterator[str]:
        """Yield a note for each scale whose ceiling is hardly better than its floor."""
        without = rows[rows["scaled"].isna()].drop_duplicates(["metric", "panel"])
        for metric, panel, floor, ceiling in without[
            ["metric", "panel", "floor", "ceiling"]
        ].itertuples(index=False):
            yield (
                f"{self._spec(metric).title} on panel {panel}: –, because the ceiling ({CEILING}, "
                f"{ceiling:.4f}) is not clearly better than the floor ({FLOOR}, {floor:.4f})"
            )

    def _exact(self, rows: pd.DataFrame) -> Iterator[str]:
        """Yield a note for each metric whose ceiling is perfect.

        On RNA-seq both rows of a twin gene are one measurement, so copying it makes no error.
        """
        for metric, ceiling in rows.groupby("metric", sort=False)["ceiling"].first().items():
            spec = self._spec(str(metric))
            if abs(ceiling - spec.best) < _EXACT:
                yield (
                    f"{spec.title}: the ceiling is perfect agreement, because here a twin and its "
                    "landmark are one measurement. It is no estimate of noise"
                )

    def _spec(self, metric: str) -> MetricSpec:
        return self.registry.metrics.specs[metric]


def _sort_key(variant: Variant, means: Mapping[str, float], panel: str) -> tuple[bool, float, str]:
    """Return a key that sorts best first, then variants without a value, then controls by name."""
    value = 0.0 if variant.control else -means.get(panel, -math.inf)
    return variant.control, value, variant.label


def _means(rows: pd.DataFrame, variant: Variant) -> dict[str, float]:
    """Map each panel to a variant's scaled score, a mean over seeds."""
    seeds = rows[rows["key"].isin([record.key for record in variant.records])]
    means = seeds.groupby("panel")["scaled"].mean().dropna()
    return {str(panel): float(mean) for panel, mean in means.items()}


def _cell(value: float | None) -> str:
    # Adding 0 turns -0.0 into 0.0, so that no cell shows -0.0000.
    return "–" if value is None else f"{round(value, 4) + 0:.4f}"
