"""The report of training sizes: methods × numbers of training profiles, and learning curves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pandas as pd

from genebench.analysis.bootstrap import seed_interval
from genebench.analysis.costs import fit_seconds
from genebench.analysis.rank import scores_of
from genebench.analysis.sizes import SizesPart, sizes_parts
from genebench.errors import UserError
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.figures.learning import drawings
from genebench.reports.layout import PANEL
from genebench.reports.report import Report, Row, Section, Table
from genebench.reports.wording import (
    could_have_cheated_notes,
    described,
    filled_landmarks,
    missing_text,
    seal_levels,
    without_scores,
)
from genebench.results.filters import RecordFilter
from genebench.results.panels import PANELS
from genebench.results.record import Record
from genebench.specs import MetricSpec, sized_name

_COLUMNS = (
    "dataset", "protocol", "data", "preset", "method", "control", "train_profiles", "metric",
    "panel", "mean", "seeds", "seed_low", "seed_high", "fit_seconds", "times_ranked",
)  # fmt: skip


class SizesReport(Report):
    """Scores and seconds of every method at every number of training profiles."""

    def check(self) -> None:
        """Refuse results of one training size only."""
        super().check()
        if next(self.parts(), None) is None:
            raise UserError(
                "No protocol was run at several training sizes. Run some with genebench run "
                "--train-size 2000,8000,all."
            )

    def parts(self) -> Iterator[SizesPart]:
        """Return the parts of each dataset, protocol, digest of the data and preset."""
        return sizes_parts(self._chosen(), self.registry)

    def sections(self) -> Iterator[Section]:
        """Yield a section for each part: a table for each metric, and one of seconds."""
        for part in self.parts():
            where = part.first.dataset, part.protocol, f"preset {part.preset}"
            yield Section(
                title=" · ".join((*where, f"training sizes · data {part.first.identity.data}")),
                tables=(
                    *(self._scores(part, metric) for metric in self.shown_metrics()),
                    self._seconds(part),
                ),
                notes=tuple(_notes(part)),
                details=tuple(_details(part)),
            )

    def values(self) -> pd.DataFrame:
        """Return one row per part, method, number of training profiles, metric and panel."""
        rows = [
            {
                "dataset": part.first.dataset,
                "protocol": part.protocol,
                "data": part.first.identity.data,
                "preset": part.preset,
                "method": curve.label,
                "control": curve.control,
                "train_profiles": size,
                "metric": metric.name,
                "panel": panel,
                "mean": fmean(scores),
                "seeds": len(scores),
                "seed_low": low,
                "seed_high": high,
                "fit_seconds": fit_seconds(variant),
                "times_ranked": part.times.has(variant),
            }
            for part in self.parts()
            for metric in self.shown_metrics()
            for curve in part.ordered(metric, PANEL)
            for size, variant in curve.points.items()
            for panel in PANELS
            if (scores := scores_of(variant, metric.name, panel))
            for low, high in [seed_interval(scores) or (None, None)]
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def draw(self, folder: Path) -> list[Path]:
        """Write the learning curves of each part and metric, with their numbers as CSV.

        Raises:
            UserError: matplotlib is not installed, or the folder cannot be written to.
        """
        return write_drawings(drawings(self.parts(), self.shown_metrics()), folder)

    def _chosen(self) -> list[Record]:
        """Return the records without trials. A protocol that is named brings all its sizes."""
        records = self.records
        if self.record_filter.protocols is not None:
            named = {record.identity.protocol for record in self.records}
            others = replace(self.record_filter, protocols=None).apply(self.all_records)
            records = tuple(
                record
                for record in others
                if named & {record.identity.protocol, sized_name(record.identity.protocol)[0]}
            )
        return RecordFilter(trials=False).apply(records)

    def _scores(self, part: SizesPart, metric: MetricSpec) -> Table:
        curves = part.ordered(metric, PANEL)
        winners = [
            min(
                (curve.points[size] for curve in curves if size in curve.points),
                key=lambda variant: variant.sort_key(metric, PANEL),
            )
            for size in part.sizes
        ]
        rows = []
        for curve in curves:
            cells, best = [curve.label], set()
            for column, (size, winner) in enumerate(zip(part.sizes, winners, strict=True), 1):
                variant = curve.points.get(size)
                scores = scores_of(variant, metric.name, PANEL) if variant else []
                missing = missing_text(variant) if variant else "–"
                cells.append(f"{fmean(scores):.4f}" if scores else missing)
                if variant is winner and scores and not curve.control:
                    best.add(column)
            rows.append(Row(tuple(cells), curve.control, frozenset(best)))
        return Table(described(metric, "by training profiles"), _columns(part), tuple(rows))

    def _seconds(self, part: SizesPart) -> Table:
        rows = [
            Row(
                (
                    curve.label,
                    *(
                        f"{fit_seconds(curve.points[size]):.2f}{part.times.mark(curve.points[size])}"
                        if size in curve.points and curve.points[size].done
                        else "–"
                        for size in part.sizes
                    ),
                ),
                curve.control,
            )
            for curve in sorted(part.curves, key=lambda curve: (curve.control, curve.label))
        ]
        return Table("seconds of a fit, members of ensembles included", _columns(part), tuple(rows))


def _details(part: SizesPart) -> Iterator[str]:
    profiles, genes = part.first.profiles, part.first.genes
    yield (
        f"{profiles['validation']:,} validation, {profiles['test']:,} test profiles. "
        f"{genes['landmark']:,} landmarks, {genes['target']:,} targets"
    )
    yield (
        "smaller training sets lie in larger ones. Validation set, test set and units are the "
        "same at every size"
    )
    yield (
        "mean over target genes and seeds. The best mean of a column is marked, not tested: "
        "genebench report ranks tests methods at one size"
    )
    yield from seal_levels(_rows(part))
    for curve in part.curves:
        seeds = {len(variant.done) for variant in curve.points.values()}
        if max(seeds) > 1:
            number = " to ".join(str(count) for count in sorted({min(seeds), max(seeds)}))
            yield f"{curve.label}: mean of {number} seeds"


def _notes(part: SizesPart) -> Iterator[str]:
    yield from filled_landmarks(r for _, records in _rows(part) for r in records)
    yield from could_have_cheated_notes(_rows(part))
    yield from part.times.notes(
        replace(variant, label=f"{curve.label} at {size:,}")
        for curve in part.curves
        for size, variant in curve.points.items()
    )
    for curve in part.curves:
        for size, variant in curve.points.items():
            yield from without_scores(curve.label, variant.records, f" at {size:,}")


def _rows(part: SizesPart) -> Iterator[tuple[str, list[Record]]]:
    for curve in part.curves:
        yield curve.label, [r for variant in curve.points.values() for r in variant.records]


def _columns(part: SizesPart) -> tuple[str, ...]:
    return ("method", *(f"{size:,}" for size in part.sizes))
