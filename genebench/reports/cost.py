"""The report of costs: scores beside seconds and memory, and the methods that no other beats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from genebench.analysis.costs import CostPart, cost_parts, fit_joules
from genebench.analysis.timing import MARK
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.figures.pareto import drawings
from genebench.reports.layout import PANEL
from genebench.reports.report import Report, Row, Section, Table
from genebench.reports.wording import (
    could_have_cheated_notes,
    described,
    seal_levels,
    sizes,
    without_scores,
)
from genebench.results.filters import RecordFilter
from genebench.specs import MetricSpec

_COLUMNS = (
    "dataset", "protocol", "data", "preset", "method", "control", "train_profiles", "metric",
    "mean", "seeds", "fit_seconds", "peak_memory", "device", "front_seconds", "front_memory",
    "times_ranked", "not_ranked", "fit_joules",
)  # fmt: skip
_MEGABYTE = 1e6


class CostReport(Report):
    """Scores beside seconds and memory of each method, for each protocol and training size."""

    def parts(self) -> Iterator[CostPart]:
        """Return the results of each dataset, protocol, digest of the data and preset."""
        return cost_parts(RecordFilter(trials=False).apply(self.records), self.registry)

    def sections(self) -> Iterator[Section]:
        """Yield a section for each part, with a table for each metric."""
        for part in self.parts():
            where = part.first.dataset, part.first.identity.protocol, f"preset {part.preset}"
            tables = [self._table(part, metric) for metric in self.shown_metrics()]
            yield Section(
                title=" · ".join((*where, f"cost · data {part.first.identity.data}")),
                tables=tuple(table for table in tables if table.rows),
                notes=tuple(_notes(part)),
                details=tuple(_details(part)),
            )

    def values(self) -> pd.DataFrame:
        """Return one row per part, metric and method. ``peak_memory`` is in bytes."""
        rows = [
            {
                "dataset": part.first.dataset,
                "protocol": part.first.identity.protocol,
                "data": part.first.identity.data,
                "preset": part.preset,
                "method": row.variant.label,
                "control": row.variant.control,
                "train_profiles": part.first.profiles["train"],
                "metric": metric.name,
                "mean": row.mean,
                "seeds": len(row.variant.done),
                "fit_seconds": row.seconds,
                "peak_memory": row.memory,
                "device": row.variant.first.provenance.device,
                "front_seconds": "seconds" in row.front,
                "front_memory": "memory" in row.front,
                "times_ranked": not row.timing,
                "not_ranked": row.timing,
                "fit_joules": fit_joules(row.variant),
            }
            for part in self.parts()
            for metric in self.shown_metrics()
            for row in part.rows(metric, PANEL)
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def draw(self, folder: Path) -> list[Path]:
        """Write score against seconds of each part and metric, with their numbers as CSV.

        Raises:
            UserError: matplotlib is not installed, or the folder cannot be written to.
        """
        return write_drawings(drawings(self.parts(), self.shown_metrics()), folder)

    def _table(self, part: CostPart, metric: MetricSpec) -> Table:
        rows = part.rows(metric, PANEL)
        joules = [fit_joules(row.variant) for row in rows]
        measured = any(joule is not None for joule in joules)
        columns = (
            "method", metric.title, "fit s", *(["fit J"] if measured else []), "peak memory MB",
            "device", "front",
        )  # fmt: skip
        return Table(
            title=f"{described(metric)} and cost",
            columns=columns,
            rows=tuple(
                Row(
                    (
                        row.variant.label,
                        f"{row.mean:.4f}",
                        f"{row.seconds:.2f}{MARK if row.timing else ''}",
                        *(["–" if joule is None else f"{joule:,.0f}"] if measured else []),
                        f"{row.memory / _MEGABYTE:,.0f}",
                        row.variant.first.provenance.device,
                        ", ".join(sorted(row.front, reverse=True)) or "–",
                    ),
                    control=row.variant.control,
                    best=frozenset({1} if position == 0 and not row.variant.control else ()),
                )
                for position, (row, joule) in enumerate(zip(rows, joules, strict=True))
            ),
        )


def _details(part: CostPart) -> Iterator[str]:
    yield sizes(part.first)
    yield (
        "fit s: mean over seeds, with the fits of an ensemble's members. A fit is shared by "
        "protocols that train alike, and each shows all of it"
    )
    yield (
        "front: no other method has a score at least as good in as few seconds, or in as little "
        "memory. Controls do not compete, and times only within one timing epoch and one class of "
        "hardware"
    )
    yield from seal_levels((variant.label, variant.records) for variant in part.variants)


def _notes(part: CostPart) -> Iterator[str]:
    yield from could_have_cheated_notes((v.label, v.records) for v in part.variants)
    records = [record for variant in part.variants for record in variant.records]
    yield from part.times.notes(part.variants)
    hosts = {record.provenance.host for record in records}
    if len(hosts) > 1:
        yield f"times are from {len(hosts)} machines, so that they compare roughly"
    for variant in part.variants:
        yield from without_scores(variant.label, variant.records)
