"""The tables of a comparison: differences, shares of genes, and the most different genes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from genebench._util.files import atomic_write, user_errors
from genebench.analysis.bootstrap import SIGNIFICANCE_LEVEL, rough, smallest_p
from genebench.analysis.compare import Comparison
from genebench.analysis.comparisons import Comparisons, gene_table, interval_over_seeds
from genebench.analysis.costs import fit_seconds
from genebench.analysis.folds import described as of_folds
from genebench.analysis.timing import why_incomparable
from genebench.plugins.registry import Registry
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.figures.scatter import drawings
from genebench.reports.report import Report, Row, Section, Table
from genebench.reports.reporters.values import csv_of
from genebench.reports.wording import (
    could_have_cheated_notes,
    described,
    filled_landmarks,
    seal_levels,
    stale_scores,
)
from genebench.results.record import Record

TOP = 5
"""Number of genes shown at each end of one protocol."""
TOP_OF_SEVERAL = 2
"""Number of genes shown at each end, if there are several protocols."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ComparisonReport(Report):
    """The report of ``genebench compare``. It takes two methods, so it is in no registry.

    Attributes:
        comparisons: the comparison under each protocol.
    """

    comparisons: Comparisons

    def values(self) -> pd.DataFrame:
        """Return one row per comparison."""
        return self.comparisons.differences

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset: the differences, then the genes by protocol."""
        rows = zip(self.comparisons.pairs, self.comparisons.p_holm, strict=True)
        for (dataset, data), part in groupby(rows, lambda row: _data_of(row[0])):
            compared = list(part)
            pairs = [pair for pair, _ in compared]
            having = [pair for pair in pairs if len(pair.genes)]
            a, b = pairs[0].a.label, pairs[0].b.label
            yield Section(
                title=f"{a} against {b} · {dataset} · data {data}",
                tables=(self._differences(compared), *(_of_genes(having) if having else ())),
                verdict=(f"Gain: by how much {a} is better than {b}.",),
                notes=tuple(self._notes(pairs)),
                details=tuple(self._details(pairs)),
            )

    def draw(self, folder: Path) -> list[Path]:
        """Write a scatter and a density plot for each comparison, with their genes as CSV.

        Raises:
            UserError: matplotlib is not installed, or the folder cannot be written to.
        """
        return write_drawings(drawings(self.comparisons), folder)

    def write_genes(self, path: Path) -> None:
        """Write every gene of every comparison as CSV.

        Raises:
            UserError: the file cannot be written.
        """
        text = csv_of(self.comparisons.genes)
        with user_errors(path, "Choose another file with --genes."), atomic_write(path) as stream:
            stream.write(text.encode())

    def _differences(self, compared: list[tuple[Comparison, float]]) -> Table:
        first = compared[0][0]
        a, b = first.a.label, first.b.label
        rows = [self._row(pair, p_holm) for pair, p_holm in compared]
        return Table(
            described(first.metric, f"on panel {first.panel}"),
            ("protocol", a, b, "gain", "95 % interval", self._p_name, "verdict"),
            tuple(rows),
        )

    @property
    def _p_name(self) -> str:
        """The column of p-values, which Holm's procedure adjusts if there are several."""
        number = sum(pair.difference is not None for pair in self.comparisons.pairs)
        return "p, Holm" if number > 1 else "p"

    def _row(self, pair: Comparison, p_holm: float) -> Row:
        estimate = pair.difference
        gain = pair.sign * (pair.scores[0] - pair.scores[1])
        ends = sorted((pair.sign * estimate.low, pair.sign * estimate.high)) if estimate else ()
        cells = (
            pair.a.first.identity.protocol,
            *(f"{score:.4f}" for score in pair.scores),
            f"{gain:+.4f}",
            _interval(*ends) if estimate else "–",
            _p(p_holm) if estimate else "–",
            self.comparisons.verdict(pair, p_holm),
        )
        return Row(cells)

    def _notes(self, pairs: Sequence[Comparison]) -> Iterator[str]:
        """Yield what every reader has to know."""
        records = [r for pair in pairs for r in (*pair.a.records, *pair.b.records)]
        yield from filled_landmarks(records)
        yield from stale_scores(records, [pairs[0].metric])
        yield from could_have_cheated_notes(_by_label(pairs))
        doubts: dict[str, list[str]] = {}
        for pair in pairs:
            for doubt in _doubts(pair):
                doubts.setdefault(doubt, []).append(pair.a.first.identity.protocol)
        for doubt, protocols in doubts.items():
            yield f"{', '.join(protocols)}: {doubt}"

    def _details(self, pairs: Sequence[Comparison]) -> Iterator[str]:
        """Yield how it was tested."""
        number = sum(pair.difference is not None for pair in self.comparisons.pairs)
        yield (
            "test: two-sided paired wild bootstrap over test profiles, whole groups where they are "
            f"known. Holm adjusts p for the comparisons shown ({number}), but not the interval"
        )
        yield (
            "ranks test all pairs of a table together, by another statistic: their intervals and "
            "p of this pair differ"
        )
        yield from seal_levels(_by_label(pairs))
        for pair in pairs:
            yield from _details(pair, self.registry)


def _by_label(pairs: Sequence[Comparison]) -> list[tuple[str, list[Record]]]:
    """Return the label and the records of both methods."""
    both = [variant for pair in pairs for variant in (pair.a, pair.b)]
    return [
        (label, [r for variant in both if variant.label == label for r in variant.records])
        for label in dict.fromkeys(variant.label for variant in both)
    ]


def _data_of(pair: Comparison) -> tuple[str, str]:
    return pair.a.first.dataset, pair.a.first.identity.data


def _doubts(pair: Comparison) -> Iterator[str]:
    """Yield why a test was not made, or how far it can be relied upon."""
    if pair.difference is None:
        yield (
            "not tested. The metric must have form='terms', and both methods the same test profiles"
        )
        return
    # Without known groups, the bootstrap takes each profile as its own group. Up to mirror images n
    # groups have 2^(n − 1) patterns of signs. With fewer than six groups even the smallest p-value
    # is above 5 %.
    groups = pair.profiles if pair.groups is None else pair.groups
    if smallest_p(groups) > SIGNIFICANCE_LEVEL:
        yield f"{groups} groups are too few to tell any two methods apart at 5 %"
    elif warning := rough(pair.profiles, pair.groups):
        yield warning


def _details(pair: Comparison, installed: Registry) -> Iterator[str]:
    """Yield what was resampled under a protocol, the spread over seeds, and the seconds of fits."""
    protocol = pair.a.first.identity.protocol
    for line in of_folds(pair.a.first.identity):
        yield f"{protocol}: {line}"
    spent = f"{fit_seconds(pair.a):.2f} s and {fit_seconds(pair.b):.2f} s"
    doubt = why_incomparable(pair.a, pair.b)
    yield f"{protocol}: fits took {spent}{f', which do not compare: {doubt}' if doubt else ''}"
    if pair.difference is None:
        return
    if pair.groups is None:
        yield f"{protocol}: {pair.profiles:,} profiles, taken as independent: no groups are known"
    else:
        yield f"{protocol}: {pair.profiles:,} profiles in {pair.groups:,} groups"
    for variant in (pair.a, pair.b):
        spec = installed.methods.specs.get(variant.first.identity.method)
        if interval := interval_over_seeds(pair, variant):
            yield (
                f"{protocol}: {variant.label} with {len(variant.done)} seeds, their spread "
                "included. Over seeds alone its 95 % t interval is "
                f"{interval[0]:.4f} … {interval[1]:.4f}"
            )
        elif spec and spec.stochastic:
            yield f"{protocol}: {variant.label} with one seed. The spread over seeds is not tested"


def _of_genes(pairs: Sequence[Comparison]) -> tuple[Table, Table]:
    """Return the shares of genes, and the genes of the largest gains and losses."""
    extremes = _extremes(pairs[0]) if len(pairs) == 1 else _extremes_of(pairs)
    return _shares(pairs), extremes


def _shares(pairs: Sequence[Comparison]) -> Table:
    a, b = pairs[0].a.label, pairs[0].b.label
    return Table(
        "share of genes (a description, and no test of the methods: genes are correlated)",
        ("protocol", "genes", f"{a} better", "same", f"{b} better", "Wilcoxon p"),
        tuple(
            Row(
                (
                    pair.a.first.identity.protocol,
                    f"{len(pair.genes):,}",
                    *(f"{pair.share(which):.2%}" for which in (1, 0, -1)),
                    _p(pair.wilcoxon()),
                )
            )
            for pair in pairs
        ),
    )


def _extremes(pair: Comparison) -> Table:
    """Return the genes of the largest gains and losses, or every gene when there are few."""
    genes = gene_table(pair)
    few = len(genes) <= 2 * TOP
    shown = genes if few else pd.concat([genes.head(TOP), genes.tail(TOP)])
    columns = ["gene", "symbol", "a", "b", "gain"]
    return Table(
        f"{pair.a.first.identity.protocol}: genes where {pair.a.label} gains and loses most",
        ("gene", "symbol", pair.a.label, pair.b.label, "gain"),
        tuple(
            Row((gene, str(symbol), f"{a:.4f}", f"{b:.4f}", f"{gain:+.4f}"))
            for gene, symbol, a, b, gain in shown[columns].itertuples(index=False)
        ),
    )


def _extremes_of(pairs: Sequence[Comparison]) -> Table:
    """Return the genes of the largest gains and losses of each protocol, on one line."""

    def named(genes: pd.DataFrame) -> str:
        return ", ".join(
            f"{symbol or gene} {gain:+.2f}"
            for gene, symbol, gain in genes[["gene", "symbol", "gain"]].itertuples(index=False)
        )

    rows = []
    for pair in pairs:
        genes = gene_table(pair)
        top = min(TOP_OF_SEVERAL, len(genes) // 2)
        ends = named(genes.head(top)), named(genes.tail(top).iloc[::-1])
        rows.append(Row((pair.a.first.identity.protocol, *ends)))
    return Table(
        "genes with the largest gains and losses (of one protocol in full: --protocol)",
        ("protocol", f"{pairs[0].a.label} gains", f"{pairs[0].a.label} loses"),
        tuple(rows),
    )


def _interval(low: float, high: float) -> str:
    # With few groups no difference is significant, so the interval has no end.
    return (
        f"{low:+.4f} … {high:+.4f}" if np.isfinite(low) and np.isfinite(high) else "too few to tell"
    )


def _p(p: float) -> str:
    if np.isnan(p):
        return "–"
    return f"{p:.4f}" if p >= 1e-4 else "< 0.0001"  # noqa: PLR2004
