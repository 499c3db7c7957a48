"""The report: tables of text, made from records; reporters only lay them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from genebench.analysis.tidy import tidy
from genebench.catalog import Catalog
from genebench.paper import PUBLISHED
from genebench.report.variants import Variant, variants_of
from genebench.results.record import Record
from genebench.results.scores import PANELS
from genebench.specs import MetricSpec


@dataclass(frozen=True)
class Row:
    """One method's cells, and how to show them."""

    cells: tuple[str, ...]
    control: bool = False
    best: frozenset[int] = frozenset()
    """Columns in which this row is the best (controls do not compete)."""


@dataclass(frozen=True)
class Table:
    """A title, named columns and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Section:
    """Tables whose numbers may be compared: same data, same protocol. Notes stand below."""

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a reporter is given.

    Attributes:
        records: every record that the report is about.
        catalog: titles, units and directions of what was run.
        colour, width: what the terminal can show.
    """

    records: tuple[Record, ...]
    catalog: Catalog
    colour: bool = False
    width: int = 100

    def values(self) -> pd.DataFrame:
        """The same as a tidy table, one row per value."""
        return tidy(self.records)

    def sections(self) -> Iterator[Section]:
        """One for each data digest and protocol: a table per metric, and what it cost."""
        for group in sorted(_comparable(self.records), key=self._place):
            yield _Comparison(group, self.catalog).section()

    def _place(self, group: list[Record]) -> tuple[str, int, str]:
        """Sections stand by dataset and protocol, in the catalog's order."""
        identity, protocols = group[0].identity, list(self.catalog.protocols.specs)
        known = identity.protocol in protocols
        place = protocols.index(identity.protocol) if known else len(protocols)
        return group[0].dataset, place, identity.data


def _comparable(records: Iterable[Record]) -> list[list[Record]]:
    """Group records that may stand in one table: those whose tests are the same."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        identity = record.identity
        tested = (identity.protocol, identity.train, identity.select, identity.test)
        key = (identity.data, *tested, str(identity.protocol_version), str(identity.numerics))
        groups.setdefault(key, []).append(record)
    return list(groups.values())


@dataclass(frozen=True)
class _Comparison:
    """Records of one section, ready to be laid out."""

    records: list[Record]
    catalog: Catalog

    @cached_property
    def variants(self) -> list[Variant]:
        found = variants_of(self.records, self.catalog)
        return sorted(found, key=lambda variant: (variant.control, variant.label))

    @property
    def first(self) -> Record:
        return self.records[0]

    def section(self) -> Section:
        first = self.first
        names = " = ".join(sorted({record.dataset for record in self.records}))
        trials = " · trials on its selection set" if first.identity.is_trial else ""
        scores = [self._scores(metric) for metric in self.catalog.metrics.specs.values()]
        return Section(
            title=f"{names} · {first.identity.protocol}{trials} · data {first.identity.data}",
            tables=(*(table for table in scores if table.rows), self._costs()),
            notes=tuple(self._notes()),
        )

    def _scores(self, metric: MetricSpec) -> Table:
        panels = [
            panel for panel in PANELS if any(v.has(metric.name, panel) for v in self.variants)
        ]
        ranked = sorted(self.variants, key=lambda variant: variant.rank(metric, "all"))
        best = [min(ranked, key=lambda variant: variant.rank(metric, panel)) for panel in panels]
        published = ["published"] if self.first.published_data else []
        rows = [
            Row(
                cells=(
                    variant.label,
                    *(variant.score(metric.name, panel) for panel in panels),
                    *(self._published(variant, metric) for _ in published),
                ),
                control=variant.control,
                best=frozenset(at for at, winner in enumerate(best, 1) if winner is variant),
            )
            for variant in ranked
        ]
        return Table(
            title=f"{metric.title} ({metric.direction} is better; unit: {metric.unit})",
            columns=("method", *panels, *published),
            rows=tuple(rows),
        )

    def _published(self, variant: Variant, metric: MetricSpec) -> str:
        """The paper's value, beside a run of the published setting."""
        identity = variant.first.identity
        spec = self.catalog.methods.specs.get(identity.method)
        settings = {param.name: param.default for param in spec.params} if spec else None
        value = PUBLISHED.get((identity.protocol, identity.method, metric.name))
        if value is None or identity.params != settings:
            return "–"
        return f"{value.mean:.4f} ± {value.std:.4f}"

    def _costs(self) -> Table:
        rows = tuple(Row(variant.costs(), variant.control) for variant in self.variants)
        columns = ("method", "fit s", "predict s", "score s", "peak memory MB", "device")
        return Table("cost (a fit is shared by protocols that train alike)", columns, rows)

    def _notes(self) -> Iterator[str]:
        profiles, genes = self.first.profiles, self.first.genes
        yield (
            f"{profiles['train']:,} train, {profiles['select']:,} select, "
            f"{profiles['test']:,} test profiles; "
            f"{genes['landmark']:,} landmarks, {genes['target']:,} targets"
        )
        yield (
            "mean ± std over target genes: all, strict (no landmark), twin (a landmark too, "
            "hence copied on RNA-seq); the best mean of a column is marked, not tested"
        )
        if constant := max((record.constant_truth for record in self.records), default=0):
            yield f"{constant:,} targets do not vary in the test profiles; they are counted"
        for variant in self.variants:
            yield from variant.notes()
