"""Comparisons of two methods under every protocol that both were run under."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genebench._util.notebook import Drawable, table
from genebench._util.text import printable
from genebench.analysis.bootstrap import SIGNIFICANCE_LEVEL, seed_interval
from genebench.analysis.compare import Comparison
from genebench.analysis.compare import compare as compare_variants
from genebench.analysis.costs import fit_seconds
from genebench.analysis.folds import pooled
from genebench.analysis.grouping import in_order
from genebench.analysis.lookup import check_name, find, records_of
from genebench.analysis.rank import holm, scores_of
from genebench.analysis.timing import why_incomparable
from genebench.analysis.variants import Variant, variants_of
from genebench.analysis.vectors import Readable, VectorsOf, symbols_of
from genebench.errors import UserError, some, unknown
from genebench.plugins.registry import registry
from genebench.results import DEFAULT_RESULTS
from genebench.results.filters import RecordFilter
from genebench.results.panels import PANELS
from genebench.results.record import Record
from genebench.results.store import ResultsStore

log = logging.getLogger("genebench")


@dataclass(frozen=True, repr=False)
class Comparisons(Drawable):
    """Two methods, compared under every protocol that both were run under."""

    pairs: tuple[Comparison, ...]

    def __repr__(self) -> str:
        first = self.pairs[0]
        verdicts = "; ".join(
            f"{pair.a.first.identity.protocol}: {self.verdict(pair, p)}"
            for pair, p in zip(self.pairs, self.p_holm, strict=True)
        )
        return f"<Comparison of {first.a.label} with {first.b.label}: {verdicts}>"

    def _repr_html_(self) -> str:
        first = self.pairs[0]
        columns = ("protocol", first.a.label, first.b.label, "difference", "95 %", "p", "verdict")
        rows = []
        for pair, p_holm in zip(self.pairs, self.p_holm, strict=True):
            estimate, scores = pair.difference, pair.scores
            rows.append(
                (
                    pair.a.first.identity.protocol, f"{scores[0]:.4f}", f"{scores[1]:.4f}",
                    f"{scores[0] - scores[1]:+.4f}",
                    f"{estimate.low:+.4f} … {estimate.high:+.4f}" if estimate else "–",
                    f"{p_holm:.2g}" if estimate else "–", self.verdict(pair, p_holm),
                )
            )  # fmt: skip
        return table(columns, rows, caption=f"{first.metric.title} on panel {first.panel}")

    @property
    def records(self) -> tuple[Record, ...]:
        """The records of both methods, for every comparison."""
        return tuple(
            record
            for pair in self.pairs
            for variant in (pair.a, pair.b)
            for record in variant.records
        )

    @cached_property
    def p_holm(self) -> list[float]:
        """P-values, adjusted for the number of comparisons, or NaN where nothing was tested."""
        tested = [index for index, pair in enumerate(self.pairs) if pair.difference]
        raw = [pair.difference.p for pair in self.pairs if pair.difference]
        # Holm counts the tests that were made, so comparisons without a test do not count.
        adjusted = np.full(len(self.pairs), np.nan)
        adjusted[tested] = holm(np.array(raw))
        return [float(p) for p in adjusted]

    @property
    def differences(self) -> pd.DataFrame:
        """One row per comparison.

        ``difference`` is the score of ``a`` − that of ``b``. ``low`` and ``high`` are its 95 %
        interval over test profiles and seeds. ``p`` is the two-sided p-value of the paired wild
        bootstrap, and ``p_holm`` the same, adjusted for the number of rows. ``seed_low_a`` and so
        on are limits of each score over seeds alone, NaN with one seed. ``verdict`` names the
        better method where ``p_holm`` is at most 5 %. ``a_better``, ``same`` and ``b_better`` are
        shares of the genes. ``times_compare`` is False if the seconds of the fits are of different
        timing epochs or classes of hardware. Shares, like ``p_wilcoxon``, are descriptive only:
        genes are correlated.
        """
        rows = [self._row(pair, p) for pair, p in zip(self.pairs, self.p_holm, strict=True)]
        return pd.DataFrame(rows)

    @property
    def genes(self) -> pd.DataFrame:
        """One row per gene and comparison: both values, and by how much ``a`` is better."""
        return pd.concat([gene_table(pair) for pair in self.pairs], ignore_index=True)

    def verdict(self, pair: Comparison, p_holm: float) -> str:
        """Return which method is better, ``cannot tell`` or ``not tested``."""
        if pair.difference is None:
            return "not tested"
        if p_holm > SIGNIFICANCE_LEVEL:
            return "cannot tell"
        winner = pair.a if pair.sign * pair.difference.value > 0 else pair.b
        return f"{winner.label} is better"

    def _row(self, pair: Comparison, p_holm: float) -> dict[str, Any]:
        first, estimate = pair.a.first, pair.difference
        low_a, high_a = interval_over_seeds(pair, pair.a) or (np.nan, np.nan)
        low_b, high_b = interval_over_seeds(pair, pair.b) or (np.nan, np.nan)
        return {
            "dataset": first.dataset,
            "protocol": first.identity.protocol,
            "data": first.identity.data,
            "metric": pair.metric.name,
            "panel": pair.panel,
            "a": pair.a.label,
            "b": pair.b.label,
            "score_a": pair.scores[0],
            "score_b": pair.scores[1],
            "difference": pair.scores[0] - pair.scores[1],
            "low": estimate.low if estimate else np.nan,
            "high": estimate.high if estimate else np.nan,
            "p": estimate.p if estimate else np.nan,
            "p_holm": p_holm,
            "verdict": self.verdict(pair, p_holm),
            "profiles": pair.profiles,
            "groups": pair.groups,
            "fit_seconds_a": fit_seconds(pair.a),
            "fit_seconds_b": fit_seconds(pair.b),
            "times_compare": not why_incomparable(pair.a, pair.b),
            "seeds_a": len(pair.a.done),
            "seeds_b": len(pair.b.done),
            "seed_low_a": low_a,
            "seed_high_a": high_a,
            "seed_low_b": low_b,
            "seed_high_b": high_b,
            "genes": len(pair.genes),
            "a_better": pair.share(1),
            "same": pair.share(0),
            "b_better": pair.share(-1),
            "p_wilcoxon": pair.wilcoxon(),
        }


def compare(
    a: str,
    b: str,
    *,
    metric: str = "mae",
    panel: str = "all",
    protocols: str | Iterable[str] | None = None,
    dataset: str | None = None,
    results: Path | str = DEFAULT_RESULTS,
) -> Comparisons:
    """Compare two methods under every protocol that both were run under.

    Args:
        a: a method (``ggan``), one of its variants (``knn:k_max=5``), or the first letters of the
            key of one of its records, which mean all its seeds under that record's protocol.
        b: another.
        metric: the metric to compare by.
        panel: target genes: ``all``, ``strict`` (no landmark) or ``twin``.
        protocols: only these, comma-separated or a sequence.
        dataset: only this.
        results: folder of the results.

    Raises:
        UserError: no such method among the results, several variants that the name does not tell
            apart, or no protocol that both were run under.
    """
    if panel not in PANELS:
        raise unknown("panel", panel, PANELS)
    spec = registry().metrics.get(metric)
    store = ResultsStore(Path(results))
    sound, faults = store.sound()
    for fault in faults:
        log.warning("left out: %s", printable(fault.line))
    chosen = RecordFilter(dataset=dataset, protocols=protocols, trials=False).apply(sound)
    # One damaged file must not prevent a comparison: its record is left out with a warning.
    folds = pooled(chosen, Readable(store.vectors), protocols)
    records, vectors_of, pairs = list(folds.records), folds.vectors_of, []
    for group in in_order(records, registry()):
        variants = variants_of(group, registry())
        left, right = (_readable(find(name, variants), vectors_of) for name in (a, b))
        if left and right:
            if left == right:
                raise UserError(f"{a} and {b} are the same method. Name two different ones.")
            pairs.append(compare_variants(left, right, vectors_of, spec, panel))
    # Checked last, because a name need not occur under every protocol.
    for name in (a, b):
        check_name(name, records)
    if not pairs:
        for name in (a, b):
            _check_scored(name, records)
        raise UserError(
            f"{a} and {b} were never both run on the same data under the same protocol. "
            f"Run them with genebench run --methods {a},{b}."
        )
    compared = tuple(pair for pair in pairs if pair)
    if not compared:
        raise UserError(
            f"{a} and {b} do not both have {metric} on panel {panel}. See genebench status, or run "
            f"them again with --metrics {metric}."
        )
    return Comparisons(compared)


def _check_scored(name: str, records: Sequence[Record]) -> None:
    """Refuse a method without scores under any protocol, with the reason.

    Raises:
        UserError: all records of the name failed, or are not applicable.
    """
    meant = records_of(name, records)
    protocols = some(dict.fromkeys(record.identity.protocol for record in meant))
    if meant and all(record.reason for record in meant):
        raise UserError(
            f"{name} is not applicable under {protocols}: {meant[0].reason.rstrip('.')}. Compare "
            "other methods."
        )
    failures = [record.failure for record in meant if record.failure]
    if failures and len(failures) == len(meant):
        raise UserError(
            f"{name} failed under {protocols} ({failures[0].message.rstrip('.')}). Run it again "
            "with --retry-failed."
        )


def _readable(variant: Variant | None, vectors_of: VectorsOf) -> Variant | None:
    """Return the variant without seeds whose vectors are damaged, or None when no seed is left."""
    records = tuple(record for record in (variant.done if variant else ()) if vectors_of(record))
    return replace(variant, records=records) if variant and records else None


def interval_over_seeds(pair: Comparison, variant: Variant) -> tuple[float, float] | None:
    """Return the 95 % t interval of a method's score over seeds, or None with one seed."""
    return seed_interval(scores_of(variant, pair.metric.name, pair.panel))


def gene_table(pair: Comparison) -> pd.DataFrame:
    """Return one row per gene, the largest gain of ``a`` first.

    Columns: dataset, protocol, gene, symbol (empty where it is not known), twin, a, b, gain.
    """
    first = pair.a.first
    genes = pair.genes.reset_index()
    genes = genes.assign(dataset=first.dataset, protocol=first.identity.protocol)
    symbols = symbols_of(first.identity.data)
    genes["symbol"] = [symbols.get(gene, "") for gene in genes["gene"]]
    return genes[["dataset", "protocol", "gene", "symbol", "twin", "a", "b", "gain"]]
