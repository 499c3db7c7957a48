"""The report: tables of text, made from records; reporters only lay them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from genebench.analysis.bootstrap import seed_interval
from genebench.analysis.rank import Standing, caution, named_test, scores_of, standings
from genebench.analysis.tidy import tidy
from genebench.analysis.vectors import VectorsOf
from genebench.plugins.registry import Registry
from genebench.reports.variants import Variant, variants_of
from genebench.results.panels import PANELS
from genebench.results.published import published
from genebench.results.record import Record
from genebench.specs import PRESETS, MetricSpec

SHOWN_METRICS = ("mae", "cc")
"""The published ones, shown unless others are asked for."""


@dataclass(frozen=True)
class Row:
    """One method's cells, and how to show them."""

    cells: tuple[str, ...]
    """One for each column of the table."""
    control: bool = False
    """Whether the method is a control."""
    best: frozenset[int] = frozenset()
    """Columns in which this row is the best (controls do not compete)."""
    heat: tuple[float | None, ...] = ()
    """Per cell, how good it is among those it is compared with, 0 to 1; None: not compared."""


@dataclass(frozen=True)
class Table:
    """A title, named columns and rows of text.

    Attributes:
        title: what the cells are: a metric, its direction and unit.
        columns: their names, the method's first.
        rows: one for each method and parameters, the best first.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Section:
    """Tables whose numbers may be compared: same data, same protocol.

    Attributes:
        title: dataset, protocol and digest of the data.
        tables: one for each metric, and one of costs.
        notes: what a reader should know, to stand below.
    """

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a reporter is given.

    Attributes:
        records: every record that the report is about.
        registry: titles, units and directions of what was run.
        colour, width: what the terminal can show.
        metrics: those to show; records may hold others.
        vectors_of: where the records' vectors come from; if given, methods are ranked.
    """

    records: tuple[Record, ...]
    registry: Registry
    colour: bool = False
    width: int = 100
    metrics: Sequence[str] = SHOWN_METRICS
    vectors_of: VectorsOf | None = None

    def values(self) -> pd.DataFrame:
        """The same as a tidy table, one row per value."""
        table = tidy(self.records)
        return table[table["metric"].isin([*self.metrics, ""])].reset_index(drop=True)

    def sections(self) -> Iterator[Section]:
        """One for each data digest and protocol: a table per metric, and what it cost."""
        for group in sorted(comparable(self.records), key=self.place):
            # A table without ranks has room for every preset; what is ranked is of one.
            parts = by_preset(group, self.registry) if self.vectors_of else {"": group}
            for preset, records in parts.items():
                name = preset if len(parts) > 1 else ""
                yield _Comparison(
                    records, self.registry, self.metrics, self.vectors_of, name
                ).section()

    def place(self, group: list[Record]) -> tuple[str, int, str]:
        """Sections stand by dataset and protocol, in the registry's order."""
        identity, protocols = group[0].identity, list(self.registry.protocols.specs)
        known = identity.protocol in protocols
        place = protocols.index(identity.protocol) if known else len(protocols)
        return group[0].dataset, place, identity.data


def comparable(records: Iterable[Record]) -> list[list[Record]]:
    """Group records that may stand in one table: those whose tests are the same."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        identity = record.identity
        tested = (identity.protocol, identity.train, identity.validation, identity.test)
        versions = identity.protocol_version, identity.numerics, sorted(identity.splits.items())
        key = (identity.data, *tested, *map(str, versions))
        groups.setdefault(key, []).append(record)
    return list(groups.values())


def by_preset(records: Iterable[Record], registry: Registry) -> dict[str, list[Record]]:
    """Preset → the comparable records that are of it, the largest preset first.

    A record whose parameters are also those of another preset (least squares has none) is of both.
    """
    found = list(records)
    run = {record.preset for record in found}
    presets = [preset for preset in reversed(PRESETS) if preset in run]
    return {
        preset: [record for record in found if _is_of(preset, record, registry)]
        for preset in (*presets, *sorted(run.difference(PRESETS)))
    }


def _is_of(preset: str, record: Record, registry: Registry) -> bool:
    if record.preset == preset:
        return True
    spec = registry.methods.specs.get(record.identity.method)
    if spec is None or preset not in PRESETS:
        return False
    return record.identity.params == spec.values(preset, {})


@dataclass(frozen=True)
class _Comparison:
    """Records of one section, ready to be laid out."""

    records: list[Record]
    registry: Registry
    metrics: Sequence[str]
    vectors_of: VectorsOf | None
    preset: str

    @cached_property
    def variants(self) -> list[Variant]:
        found = variants_of(self.records, self.registry)
        return sorted(found, key=lambda variant: (variant.control, variant.label))

    @property
    def first(self) -> Record:
        return self.records[0]

    def section(self) -> Section:
        first = self.first
        names = " = ".join(sorted({record.dataset for record in self.records}))
        trials = " · trials on its validation set" if first.identity.is_trial else ""
        preset = f" · preset {self.preset}" if self.preset else ""
        metrics = self.registry.metrics.specs
        scores = [self._scores(spec) for name, spec in metrics.items() if name in self.metrics]
        return Section(
            title=(
                f"{names} · {first.identity.protocol}{preset}{trials} · data {first.identity.data}"
            ),
            tables=(*(table for table in scores if self._has_value(table)), self._costs()),
            notes=tuple(self._notes()),
        )

    def _has_value(self, table: Table) -> bool:
        """Whether any record has the metric; where all failed, none could."""
        return len(table.columns) > 1 or not any(variant.done for variant in self.variants)

    def _scores(self, metric: MetricSpec) -> Table:
        panels = [
            panel for panel in PANELS if any(v.has(metric.name, panel) for v in self.variants)
        ]
        ranked = sorted(self.variants, key=lambda variant: variant.rank(metric, "all"))
        best = [min(ranked, key=lambda variant: variant.rank(metric, panel)) for panel in panels]
        published = ["published"] if self.first.published_data else []
        standings = self._standings.get(metric.name, [])
        places = {id(one.variant): one.place for one in standings}
        rank = ["rank"] if places else []
        rows = [
            Row(
                cells=(
                    variant.label,
                    *(places.get(id(variant), "–") for _ in rank),
                    *(variant.score(metric.name, panel) for panel in panels),
                    *(self._published(variant, metric) for _ in published),
                ),
                control=variant.control,
                best=frozenset(
                    at for at, winner in enumerate(best, 1 + len(rank)) if winner is variant
                ),
            )
            for variant in ranked
        ]
        return Table(
            title=f"{metric.title} ({metric.direction} is better; unit: {metric.unit})",
            columns=("method", *rank, *panels, *published),
            rows=tuple(rows),
        )

    @cached_property
    def _standings(self) -> dict[str, list[Standing[Variant]]]:
        """Metric → who can be told from whom on all targets; nothing unless ranks are wanted."""
        if not self.vectors_of:
            return {}
        shown = [spec for name, spec in self.registry.metrics.specs.items() if name in self.metrics]
        return {spec.name: standings(self.variants, self.vectors_of, spec) for spec in shown}

    def _published(self, variant: Variant, metric: MetricSpec) -> str:
        """The paper's value, beside a run of the published setting."""
        identity = variant.first.identity
        spec = self.registry.methods.specs.get(identity.method)
        value = published(identity, metric.name, spec.values("paper", {})) if spec else None
        return str(value) if value else "–"

    def _costs(self) -> Table:
        rows = tuple(Row(variant.costs(), variant.control) for variant in self.variants)
        columns = ("method", "fit s", "predict s", "score s", "peak memory MB", "device")
        return Table("cost (a fit is shared by protocols that train alike)", columns, rows)

    def _notes(self) -> Iterator[str]:
        profiles, genes = self.first.profiles, self.first.genes
        yield (
            f"{profiles['train']:,} train, {profiles['validation']:,} validation, "
            f"{profiles['test']:,} test profiles; "
            f"{genes['landmark']:,} landmarks, {genes['target']:,} targets"
        )
        yield (
            "mean ± std over target genes (metrics of profiles: over profiles): all, strict (no "
            "landmark), twin (a landmark too, hence copied on RNA-seq); the "
            "best mean of a column is marked, not tested"
        )
        yield from self._over_seeds()
        for name, found in self._standings.items():
            if found:
                title = self.registry.metrics.specs[name].title
                yield f"{title} on panel all: {named_test(found)}"
                if warning := caution(found):
                    yield f"{title} on panel all: {warning}"
        if constant := max((record.constant_truth for record in self.records), default=0):
            yield f"{constant:,} targets do not vary in the test profiles; they are counted"
        for variant in self.variants:
            yield from variant.notes()

    def _over_seeds(self) -> Iterator[str]:
        """How far the mean of all targets may be from that of other seeds."""
        for variant in self.variants:
            limits = [
                f"{spec.title} {interval[0]:.4f} … {interval[1]:.4f}"
                for name, spec in self.registry.metrics.specs.items()
                if name in self.metrics
                and (interval := seed_interval(scores_of(variant, name, "all")))
            ]
            if limits:
                number = len(variant.done)
                yield (f"{variant.label}: 95 % t interval over {number} seeds: {', '.join(limits)}")
