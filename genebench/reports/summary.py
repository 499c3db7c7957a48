"""The report of ``genebench run``: one table for each protocol, and a verdict in words."""

from __future__ import annotations

from collections.abc import Iterator

from genebench.analysis.costs import fit_seconds
from genebench.analysis.variants import Variant
from genebench.reports.ranks import RanksReport
from genebench.reports.report import Row, Section, Table
from genebench.reports.scores import ScoreTables
from genebench.reports.wording import TO_BEST, in_rank_order, mean_text, rank_cells


class SummaryReport(RanksReport):
    """Rank, difference to the best, scores on all targets and seconds: a line for each method."""

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset, protocol, digest of the data and preset."""
        for tables in self._tables():
            yield Section(
                title=tables.title,
                tables=(_table(tables), *([tables.costs()] if self.with_costs else [])),
                notes=(*tables.notes(), *tables.time_notes()),
                verdict=tuple(tables.verdict()),
                details=tuple(tables.details()),
            )


def _table(tables: ScoreTables) -> Table:
    metrics = [
        metric
        for metric in tables.metrics
        if any(variant.has(metric.name, "all") for variant in tables.variants)
    ]
    # Where every job failed there is no score, but the rows must stay.
    metrics = metrics or tables.metrics[:1]
    first = metrics[0]
    places = {id(row.variant): row for row in tables.standings[first.name]}
    ordered = sorted(tables.variants, key=lambda variant: in_rank_order(variant, first))
    best = [min(ordered, key=lambda variant: variant.sort_key(m, "all")) for m in metrics]
    arrows = {"lower": "↓", "higher": "↑"}

    is_ranked = any(row.rank for row in places.values())

    def cells(variant: Variant) -> tuple[str, ...]:
        scores = [mean_text(variant, metric.name, "all") for metric in metrics]
        mark = tables.times.mark(variant)
        spent = f"{fit_seconds(variant):.2f}{mark}" if variant.done else "–"
        place = rank_cells(places.get(id(variant))) if is_ranked else ()
        return variant.label, *place, *scores, spent

    at = range(3 if is_ranked else 1, len(metrics) + (3 if is_ranked else 1))
    return Table(
        title=f"means over all targets ({first.title} in {first.unit})",
        columns=(
            "method", *(("rank", TO_BEST) if is_ranked else ()),
            *(f"{metric.title} {arrows[metric.direction]}" for metric in metrics), "fit s",
        ),
        rows=tuple(
            Row(
                cells(variant), variant.control,
                frozenset(column for column, w in zip(at, best, strict=True) if w is variant),
            )
            for variant in ordered
        ),
    )  # fmt: skip
