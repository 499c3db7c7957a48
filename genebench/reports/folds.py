"""The report of folds: the score of each method in each fold of a protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean, stdev
from typing import ClassVar

import pandas as pd

from genebench.analysis.folds import fold_table, natural, pooled
from genebench.analysis.grouping import by_preset, in_order
from genebench.analysis.variants import Variant, variants_of
from genebench.errors import UserError
from genebench.reports.report import Report, Row, Section, Table
from genebench.reports.wording import described, without_scores
from genebench.results.record import Record
from genebench.specs import MetricSpec

_STATES = {"failed": "failed", "not applicable": "n/a"}
"""Status → text in place of a score."""


class FoldsReport(Report):
    """The score of each method in each fold, and the mean over them if all are done."""

    shows_folds: ClassVar[bool] = True

    def check(self) -> None:
        """Refuse results of protocols without folds."""
        super().check()
        if not any(record.identity.fold for record in self.records):
            names = [name for name, spec in self.registry.protocols.specs.items() if spec.has_folds]
            raise UserError(
                "No protocol with folds was run. Run one, such as "
                f"genebench run --protocol {names[0] if names else 'geo-5fold'}."
            )

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset, protocol with folds, digest of the data and preset."""
        folds = [record for record in self.records if record.identity.fold]
        whole = pooled(folds, self.vectors_of)
        for group in in_order([r for r in whole.records if r.key in whole.members], self.registry):
            parts = by_preset(group, self.registry)
            for preset, records in parts.items():
                variants = variants_of(records, self.registry)
                title = f" · preset {preset}" if len(parts) > 1 else ""
                first = records[0]
                yield Section(
                    title=f"folds · {first.dataset} · {first.identity.protocol}{title} · data "
                    f"{first.identity.data}",
                    tables=tuple(
                        _table(metric, variants, whole.members)
                        for metric in self.registry.metrics.specs.values()
                        if metric.name in self.metrics
                    ),
                    notes=tuple(
                        note
                        for variant in variants
                        for note in without_scores(variant.label, variant.records)
                    ),
                    details=("means over all targets, and over seeds",),
                )

    def values(self) -> pd.DataFrame:
        """Return one row per fold, method, seed, panel and metric."""
        return self.of_metrics(fold_table(self.records))


def _table(
    metric: MetricSpec, variants: list[Variant], members: Mapping[str, tuple[Record, ...]]
) -> Table:
    """Return a row for each fold, then the mean and the deviation over folds."""
    by_fold: dict[str, dict[str, list[Record]]] = {}
    for variant in variants:
        for record in (fold for whole in variant.records for fold in members[whole.key]):
            by_fold.setdefault(record.identity.fold, {}).setdefault(variant.label, []).append(
                record
            )

    def cell(records: list[Record]) -> str:
        scores = [r.scores[metric.name]["all"].mean for r in records if metric.name in r.scores]
        if len(scores) == len(records) and scores:
            return f"{fmean(scores):.4f}"
        return _STATES.get(records[0].status, "–") if records else "not run"

    labels = [variant.label for variant in variants]
    rows = []
    for fold, of_fold in sorted(by_fold.items(), key=lambda item: natural(item[0])):
        profiles = next(iter(of_fold.values()))[0].profiles
        sizes = f"{profiles['train']:,} / {profiles['test']:,}"
        rows.append(Row((fold, sizes, *(cell(of_fold.get(label, [])) for label in labels))))
    for name, summary in (("mean", fmean), ("± over folds", stdev)):
        cells = []
        for variant in variants:
            scores = [
                fmean(r.scores[metric.name]["all"].mean for r in of_fold[variant.label])
                for of_fold in by_fold.values()
                if variant.label in of_fold
                and all(metric.name in r.scores for r in of_fold[variant.label])
            ]
            complete = variant.has(metric.name, "all")
            cells.append(f"{summary(scores):.4f}" if complete and len(scores) > 1 else "–")
        rows.append(Row((name, "", *cells), control=True))
    return Table(described(metric), ("fold", "train / test", *labels), tuple(rows))
