"""The report of scores: a table for each metric, and one of costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

import pandas as pd

from genebench._util.text import short
from genebench.analysis.bootstrap import seed_interval
from genebench.analysis.folds import described as of_folds
from genebench.analysis.grouping import by_preset, in_order
from genebench.analysis.rank import Standing, caution, description_of_test, scores_of, standings
from genebench.analysis.scaled import FLOOR
from genebench.analysis.seals import weakest
from genebench.analysis.tidy import tidy
from genebench.analysis.timing import RankedTimes
from genebench.analysis.variants import Variant, variants_of
from genebench.reports.report import Report, Row, Section, Table
from genebench.reports.wording import (
    NOT_BETTER,
    TO_BEST,
    could_have_cheated_notes,
    described,
    filled_landmarks,
    in_rank_order,
    mean_text,
    rank_cells,
    score_text,
    seal_levels,
    sizes,
    stale_scores,
    verdict,
    why_zero,
    without_scores,
)
from genebench.results.panels import PANELS
from genebench.results.published import published
from genebench.results.record import Record
from genebench.specs import MetricSpec

_TWO_ASSAYS = "l1000"
"""The platform of the protocols whose landmarks and targets are of two assays."""

_PHASES = ("fit", "predict", "score")


class ScoresReport(Report):
    """Scores of every panel, and the costs, beside the paper's values where they apply."""

    def sections(self) -> Iterable[Section]:
        """Return a section for each dataset, protocol and digest of the data."""
        return [
            ScoreTables(group, self).section() for group in in_order(self.records, self.registry)
        ]

    def values(self) -> pd.DataFrame:
        """Return one row per record, panel and metric."""
        return self.of_metrics(tidy(self.records))


@dataclass(frozen=True)
class ScoreTables:
    """The tables of one group of comparable records.

    Attributes:
        records: the group.
        report: the registry and the metrics to show.
        preset: named in the title where a group is split by preset.
        ranked: True to test methods against each other, and to show their places.
    """

    records: list[Record]
    report: Report
    preset: str = ""
    ranked: bool = False

    @cached_property
    def variants(self) -> list[Variant]:
        """The rows by label, controls last."""
        variants = variants_of(self.records, self.report.registry)
        return sorted(variants, key=lambda variant: (variant.control, variant.label))

    @cached_property
    def metrics(self) -> list[MetricSpec]:
        """The metrics to show, in the registry's order."""
        specs = self.report.registry.metrics.specs.values()
        return [spec for spec in specs if spec.name in self.report.metrics]

    @cached_property
    def standings(self) -> dict[str, list[Standing]]:
        """Metric → the places of the variants on all targets. It is empty without ranks."""
        if not self.ranked:
            return {}
        return {
            metric.name: standings(self.variants, self.report.vectors_of, metric)
            for metric in self.metrics
        }

    @cached_property
    def times(self) -> RankedTimes:
        """The times that compare: those of one timing epoch and one class of hardware."""
        return RankedTimes.among(self.variants)

    @property
    def title(self) -> str:
        """Dataset, protocol, preset where it matters, and digest of the data."""
        first = self.records[0]
        names = " = ".join(sorted({record.dataset for record in self.records}))
        trials = " · trials on its validation set" if first.identity.is_trial else ""
        preset = f" · preset {self.preset}" if self.preset else ""
        number = first.identity.folds[1] if not first.identity.fold else 0
        folds = f" · {number} folds" if number else ""
        protocol = f"{first.identity.protocol}{folds}"
        return f"{names} · {protocol}{preset}{trials} · data {first.identity.data}"

    def section(self) -> Section:
        """Return the section: a table per metric, one of costs, and notes."""
        # A metric that no record has is left out, but where every job failed the rows must stay.
        failed = not any(variant.done for variant in self.variants)
        scores = [
            table for table in map(self._scores, self.metrics) if len(table.columns) > 1 or failed
        ]
        return Section(
            title=self.title,
            tables=(*scores, *([self.costs()] if self.report.with_costs else [])),
            notes=(*self.notes(), *(self.time_notes() if self.report.with_costs else ())),
            verdict=tuple(self.verdict()),
            details=tuple(self.details()),
        )

    def time_notes(self) -> list[str]:
        """Return what a reader of times has to know."""
        return self.times.notes(self.variants)

    @cached_property
    def competitions(self) -> list[ScoreTables]:
        """The tables whose methods compete by the first metric: these, or one for each preset."""
        if self.ranked or not self.metrics:
            return [self] if self.metrics else []
        report = replace(self.report, metrics=[self.metrics[0].name])
        parts = by_preset(self.records, self.report.registry)
        tables = (
            ScoreTables(records, report, preset if len(parts) > 1 else "", ranked=True)
            for preset, records in parts.items()
        )
        # Old records may lack what a test needs. The scores are complete without one.
        return [each for each in tables if any(row.rank for row in each.first_standings)]

    @property
    def first_standings(self) -> list[Standing]:
        """The places by the first metric. There are none without ranks."""
        return self.standings.get(self.metrics[0].name, []) if self.metrics else []

    def verdict(self) -> Iterator[str]:
        """Yield sentences about the leader by the first metric, for each preset."""
        for tables in self.competitions:
            found = verdict(tables.first_standings, tables.metrics[0], tables.times)
            # Ranks have their preset in the title.
            if tables.preset and not self.ranked:
                yield f"Preset {tables.preset}: {' '.join(found)}"
            else:
                yield from found

    def _scores(self, metric: MetricSpec) -> Table:
        panels = [
            panel
            for panel in PANELS
            if any(variant.has(metric.name, panel) for variant in self.variants)
        ]
        ordered = sorted(self.variants, key=lambda variant: in_rank_order(variant, metric))
        best = [
            min(ordered, key=lambda variant: variant.sort_key(metric, panel)) for panel in panels
        ]
        has_published = self.records[0].published_data
        # Variants hold records, which cannot be hashed: identity tells them apart.
        standings = self.standings.get(metric.name, ())
        places = {id(row.variant): row for row in standings}
        rank = ["rank", TO_BEST] if any(row.rank for row in standings) else []
        text = mean_text if self.ranked else score_text
        rows = [
            Row(
                cells=(
                    variant.label,
                    *(rank_cells(places.get(id(variant))) if rank else ()),
                    *(text(variant, metric.name, panel) for panel in panels),
                    *([self._published(variant, metric)] if has_published else []),
                ),
                control=variant.control,
                best=frozenset(
                    column for column, winner in enumerate(best, 1 + len(rank)) if winner is variant
                ),
            )
            for variant in ordered
        ]
        return Table(
            title=described(metric),
            columns=("method", *rank, *panels, *(["published"] if has_published else [])),
            rows=tuple(rows),
        )

    def _published(self, variant: Variant, metric: MetricSpec) -> str:
        """Return the paper's value of a method with the published parameters, or a dash."""
        identity = variant.first.identity
        spec = self.report.registry.methods.specs.get(identity.method)
        value = published(identity, metric.name, spec.values("paper", {})) if spec else None
        return str(value) if value else "–"

    def costs(self) -> Table:
        """Return the table of seconds and memory."""
        rows = tuple(Row(_costs(variant, self.times), variant.control) for variant in self.variants)
        columns = ("method", "fit s", "predict s", "score s", "peak memory MB", "device", "sealed")
        return Table("cost (a fit is shared by protocols that train alike)", columns, rows)

    def notes(self) -> Iterator[str]:
        """Yield what every reader has to know: failures, doubts, tests that could not be made."""
        yield from filled_landmarks(self.records)
        yield from stale_scores(self.records, self.metrics)
        yield from could_have_cheated_notes((v.label, v.records) for v in self.variants)
        # All metrics are of the same profiles, so that one warning is enough.
        tested = (places for each in self.competitions for places in each.standings.values())
        yield from {warning for places in tested if (warning := caution(places))}
        if any(row.beats_mean is False for places in self.standings.values() for row in places):
            yield f"{NOT_BETTER} not shown to be better than {FLOOR}"
        for metric in self.metrics:
            yield from why_zero(self.standings.get(metric.name, ()), metric)
        for variant in self.variants:
            yield from _faults(variant)

    def details(self) -> Iterator[str]:
        """Yield what explains the tables: sizes, terms, tests, choices."""
        yield from of_folds(self.records[0].identity)
        yield sizes(self.records[0])
        # Two assays measure the genes of l1000. Elsewhere RNA-seq measures a gene once.
        by_two = self.records[0].identity.test.split("/")[0] == _TWO_ASSAYS
        twin = "measured again by the other assay" if by_two else "hence copied on RNA-seq"
        yield (
            "mean ± std over target genes (metrics of profiles: over profiles): all, strict (no "
            f"landmark), twin (a landmark too, {twin}). The best mean of a column is marked, not "
            "tested"
        )
        yield from seal_levels((variant.label, variant.records) for variant in self.variants)
        yield from self._seed_intervals()
        described_by: dict[str, list[str]] = {}
        for metric in self.metrics:
            if places := self.standings.get(metric.name):
                described_by.setdefault(description_of_test(places), []).append(metric.title)
        for description, titles in described_by.items():
            yield f"{', '.join(titles)} on panel all: {description}"
        if constant := max((record.constant_truth for record in self.records), default=0):
            yield f"{constant:,} targets do not vary in the test profiles. They are counted"
        for variant in self.variants:
            yield from _remarks(variant)

    def _seed_intervals(self) -> Iterator[str]:
        """Yield the interval of each variant's mean over seeds, where it has several."""
        for variant in self.variants:
            limits = [
                f"{metric.title} {interval[0]:.4f} … {interval[1]:.4f}"
                for metric in self.metrics
                if (interval := seed_interval(scores_of(variant, metric.name, "all")))
            ]
            if limits:
                number = len(variant.done)
                yield f"{variant.label}: 95 % t interval over {number} seeds: {', '.join(limits)}"


def _costs(variant: Variant, times: RankedTimes) -> tuple[str, ...]:
    """Return label, seconds of each phase (mean over seeds), memory in MB, device and seal."""
    seconds = [
        fmean(
            record.fit_seconds if phase == "fit" else record.seconds.get(phase, 0.0)
            for record in variant.records
        )
        for phase in _PHASES
    ]
    peak = max(record.peak_memory for record in variant.records) / 1e6
    device = variant.first.provenance.device
    seal = weakest(variant.records) or "–"
    mark = times.mark(variant)
    shown = (f"{value:.2f}{mark}" for value in seconds)
    return variant.label, *shown, f"{peak:,.0f}", device, seal


def _faults(variant: Variant) -> Iterator[str]:
    """Yield why a row lacks scores, and constant predictions."""
    yield from without_scores(variant.label, variant.records)
    for record in variant.done[:1]:
        if record.constant_prediction and not variant.control:
            yield (
                f"{variant.label}: CONSTANT prediction of {record.constant_prediction:,} targets"
            )


def _remarks(variant: Variant) -> Iterator[str]:
    """Yield remarks on a row: its seeds, and its choices."""
    if len(variant.done) > 1:
        yield f"{variant.label}: mean of {len(variant.done)} seeds"
    # Choices and remarks of the first seed only: a table has no room for every seed.
    for record in variant.done[:1]:
        if record.choices:
            chosen = (f"{name} = {short(value)}" for name, value in record.choices.items())
            yield f"{variant.label}: chosen {', '.join(chosen)}"
        for note in record.notes:
            yield f"{variant.label}: {note}"
