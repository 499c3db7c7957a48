"""Two methods compared, wherever both were run: for Python, and as tables."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genebench._util.text import printable
from genebench.analysis.bootstrap import LEVEL, rough, seed_interval, smallest_p
from genebench.analysis.compare import Comparison
from genebench.analysis.compare import compare as compare_variants
from genebench.analysis.rank import holm, scores_of
from genebench.analysis.vectors import Readable, VectorsOf, symbols_of
from genebench.errors import UserError, some, unknown
from genebench.plugins.registry import Registry, registry
from genebench.reports.report import Report, Row, Section, Table, comparable
from genebench.reports.variants import Variant, variants_of
from genebench.results import DEFAULT_RESULTS
from genebench.results.panels import PANELS
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.specs import MetricSpec, Value

log = logging.getLogger("genebench")

TOP = 8
"""Genes shown at each end."""

_KEY = re.compile(r"[0-9a-f]{6,}")
_CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Comparisons:
    """Two methods, compared under every protocol that both were run under."""

    pairs: tuple[Comparison[Variant], ...]

    @property
    def records(self) -> tuple[Record, ...]:
        """Every record that takes part."""
        return tuple(r for pair in self.pairs for one in (pair.a, pair.b) for r in one.records)

    @cached_property
    def p_holm(self) -> list[float]:
        """P-values, adjusted for the number of comparisons; NaN where nothing was tested."""
        tested = [at for at, pair in enumerate(self.pairs) if pair.difference]
        raw = [pair.difference.p for pair in self.pairs if pair.difference]
        adjusted = np.full(len(self.pairs), np.nan)
        adjusted[tested] = holm(np.array(raw))
        return [float(p) for p in adjusted]

    @property
    def differences(self) -> pd.DataFrame:
        """One row per comparison.

        ``difference`` is the score of ``a`` − that of ``b``, ``low`` and ``high`` its 95 % interval
        over test profiles and seeds, ``p`` the two-sided p-value of the paired wild bootstrap and
        ``p_holm`` the same, adjusted for the number of rows. ``seed_low_a`` and so on are limits of
        each score over seeds alone, NaN with one seed. ``verdict`` names the better method
        where ``p_holm`` is at most 5 %. ``a_better``, ``same`` and ``b_better`` are shares of the
        genes and, like ``p_wilcoxon``, descriptive only: genes are correlated.
        """
        rows = [self._row(pair, p) for pair, p in zip(self.pairs, self.p_holm, strict=True)]
        return pd.DataFrame(rows)

    @property
    def genes(self) -> pd.DataFrame:
        """One row per gene and comparison: both values, and by how much ``a`` is better."""
        return pd.concat([gene_table(pair) for pair in self.pairs], ignore_index=True)

    def verdict(self, pair: Comparison[Variant], p_holm: float) -> str:
        """Which one is better, if that can be told."""
        if pair.difference is None:
            return "not tested"
        if p_holm > LEVEL:
            return _CANNOT_TELL
        winner = pair.a if pair.sign * pair.difference.value > 0 else pair.b
        return f"{winner.label} is better"

    def _row(self, pair: Comparison[Variant], p_holm: float) -> dict[str, Any]:
        found = pair.difference
        return _place(pair) | {
            "data": pair.a.first.identity.data,
            "metric": pair.metric.name,
            "panel": pair.panel,
            "a": pair.a.label,
            "b": pair.b.label,
            "score_a": pair.scores[0],
            "score_b": pair.scores[1],
            "difference": pair.scores[0] - pair.scores[1],
            "low": found.low if found else np.nan,
            "high": found.high if found else np.nan,
            "p": found.p if found else np.nan,
            "p_holm": p_holm,
            "verdict": self.verdict(pair, p_holm),
            "profiles": pair.profiles,
            "groups": pair.groups,
            "seeds_a": len(pair.a.done),
            "seeds_b": len(pair.b.done),
            **_over_seeds(pair),
            "genes": len(pair.genes),
            "a_better": pair.share(1),
            "same": pair.share(0),
            "b_better": pair.share(-1),
            "p_wilcoxon": pair.wilcoxon(),
        }  # fmt: skip


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
        metric: what to compare by.
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
    records = [record for record in sound if not record.identity.is_trial]
    records = _only(records, "dataset", dataset, lambda record: record.dataset)
    records = _only(records, "protocol", protocols, lambda record: record.identity.protocol)
    vectors_of, pairs = Readable(store.vectors), []
    for group in _in_order(records):
        variants = variants_of(group, registry())
        chosen = [_whole(_find(name, variants, group[0]), vectors_of) for name in (a, b)]
        if chosen[0] and chosen[1]:
            if chosen[0] == chosen[1]:
                raise UserError(f"{a} and {b} are one and the same; name two methods")
            pairs.append(compare_variants(chosen[0], chosen[1], vectors_of, spec, panel))
    _check_found((a, b), records)
    found = tuple(pair for pair in pairs if pair)
    if not found:
        _refuse(a, b, spec, panel, having_both=bool(pairs))
    return Comparisons(found)


def _only(
    records: list[Record],
    kind: str,
    names: str | Iterable[str] | None,
    name_of: Callable[[Record], str],
) -> list[Record]:
    if names is None or names == "all":
        return records
    wanted = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    present = {name_of(record) for record in records}
    for name in wanted:
        if name not in present:
            raise unknown(f"{kind} among these results", name, present)
    return [record for record in records if name_of(record) in wanted]


def _in_order(records: list[Record]) -> list[list[Record]]:
    return sorted(comparable(records), key=Report((), registry()).place)


def _find(name: str, variants: Sequence[Variant], place: Record) -> Variant | None:
    """The variant that is meant, among those of one table.

    Raises:
        UserError: several could be meant.
    """
    meant = [one for one in variants if one.done and _is_meant(name, one)]
    if len(meant) < 2:  # noqa: PLR2004
        return meant[0] if meant else None
    choices = some((f"{one.label} = {one.first.key[:8]}" for one in meant), 6)
    raise UserError(
        f"{name} is {len(meant)} variants on {place.dataset} under {place.identity.protocol}; name "
        f"one by METHOD:PARAM=VALUE or by its key: {choices}"
    )


def _whole(one: Variant | None, vectors_of: VectorsOf) -> Variant | None:
    """The variant without the seeds whose vectors are damaged; None when nothing is left."""
    records = tuple(record for record in (one.done if one else ()) if vectors_of(record))
    return replace(one, records=records) if one and records else None


def _is_meant(name: str, variant: Variant) -> bool:
    identity = variant.first.identity
    method, _, settings = name.partition(":")
    if method == identity.method:
        return all(_has(identity.params, setting) for setting in settings.split(",") if setting)
    is_key = _KEY.fullmatch(name) is not None
    return is_key and any(record.key.startswith(name) for record in variant.records)


def _has(params: dict[str, Value], setting: str) -> bool:
    name, _, value = setting.partition("=")
    if name.strip() not in params:
        return False
    own = params[name.strip()]
    given = value.strip()
    if isinstance(own, bool | str):
        return str(own).lower() == given.lower()
    try:
        return float(given) == float(own)
    except ValueError:
        return False


def _check_found(names: Sequence[str], records: Sequence[Record]) -> None:
    """Every name must mean something somewhere."""
    methods = {record.identity.method for record in records}
    for name in names:
        method, colon, settings = name.partition(":")
        own = [record.identity for record in records if record.identity.method == method]
        if not own and not any(
            record.key.startswith(name) for record in records if _KEY.fullmatch(name)
        ):
            raise unknown("method among these results", method, methods)
        if colon and not any(all(_has(one.params, s) for s in settings.split(",")) for one in own):
            parameters = sorted({parameter for one in own for parameter in one.params})
            raise UserError(
                f"no result of {method} has {settings}; its parameters are {some(parameters, 12)}"
            )


def _refuse(a: str, b: str, metric: MetricSpec, panel: str, *, having_both: bool) -> None:
    if having_both:
        raise UserError(
            f"{a} and {b} do not both have {metric.name} on panel {panel}; see genebench status, "
            "or run with --metrics"
        )
    raise UserError(
        f"{a} and {b} were never both run on the same data under the same protocol; "
        f"genebench run --methods {a},{b} does that"
    )


def _place(pair: Comparison[Variant]) -> dict[str, Any]:
    first = pair.a.first
    return {"dataset": first.dataset, "protocol": first.identity.protocol}


def _seed_interval(pair: Comparison[Variant], one: Variant) -> tuple[float, float] | None:
    return seed_interval(scores_of(one, pair.metric.name, pair.panel))


def _over_seeds(pair: Comparison[Variant]) -> dict[str, float]:
    """Limits of the score of each method over seeds alone; NaN with one seed."""
    unknown_limits = np.nan, np.nan
    low_a, high_a = _seed_interval(pair, pair.a) or unknown_limits
    low_b, high_b = _seed_interval(pair, pair.b) or unknown_limits
    return {
        "seed_low_a": low_a, "seed_high_a": high_a, "seed_low_b": low_b, "seed_high_b": high_b,
    }  # fmt: skip


def gene_table(pair: Comparison[Variant]) -> pd.DataFrame:
    """One row per gene, where ``a`` is better first; with symbols where they are known."""
    table = pair.genes.reset_index().assign(**_place(pair))
    symbols = symbols_of(pair.a.first.identity.data)
    table["symbol"] = table["gene"].map(symbols).fillna("").astype(str)
    return table[["dataset", "protocol", "gene", "symbol", "twin", "a", "b", "gain"]]


@dataclass(frozen=True, kw_only=True)
class ComparisonReport(Report):
    """Tables of differences; any reporter of tables can lay them out."""

    found: Comparisons

    def values(self) -> pd.DataFrame:
        """One row per comparison."""
        return self.found.differences

    def sections(self) -> Iterator[Section]:
        """One for each dataset: the difference, then the genes, protocol by protocol."""
        rows = zip(self.found.pairs, self.found.p_holm, strict=True)
        for (dataset, data), part in groupby(rows, lambda row: _dataset(row[0])):
            compared = list(part)
            first = compared[0][0]
            yield Section(
                title=f"{first.a.label} against {first.b.label} · {dataset} · data {data}",
                tables=(
                    self._differences(compared),
                    *_gene_tables([pair for pair, _ in compared]),
                ),
                notes=tuple(self._notes([pair for pair, _ in compared])),
            )

    def _differences(self, compared: list[tuple[Comparison[Variant], float]]) -> Table:
        first = compared[0][0]
        names = first.a.label, first.b.label
        rows = [self._row(pair, p_holm) for pair, p_holm in compared]
        metric = first.metric
        return Table(
            f"{metric.title} on panel {first.panel} "
            f"({metric.direction} is better; unit: {metric.unit})",
            ("protocol", *names, "difference", "95 % interval", "p", "p, Holm", "verdict"),
            tuple(rows),
        )

    def _row(self, pair: Comparison[Variant], p_holm: float) -> Row:
        found = pair.difference
        difference = pair.scores[0] - pair.scores[1]
        cells = (
            pair.a.first.identity.protocol,
            *(f"{score:.4f}" for score in pair.scores),
            f"{difference:+.4f}",
            _interval(found.low, found.high) if found else "–",
            _p(found.p) if found else "–",
            _p(p_holm) if found else "–",
            self.found.verdict(pair, p_holm),
        )
        return Row(cells)

    def _notes(self, pairs: Sequence[Comparison[Variant]]) -> Iterator[str]:
        number = sum(pair.difference is not None for pair in self.found.pairs)
        yield (
            "test: two-sided paired wild bootstrap over test profiles, whole groups where they are "
            f"known; Holm over the comparisons shown ({number}); the interval is of one comparison"
        )
        for pair in pairs:
            yield from _notes(pair, self.registry)


def _dataset(pair: Comparison[Variant]) -> tuple[str, str]:
    return pair.a.first.dataset, pair.a.first.identity.data


def _notes(pair: Comparison[Variant], offered: Registry) -> Iterator[str]:
    protocol = pair.a.first.identity.protocol
    if pair.difference is None:
        yield f"{protocol}: not tested, no shares of the same test profiles in this metric"
        return
    if pair.groups is None:
        yield f"{protocol}: {pair.profiles:,} profiles, taken as independent: no groups are known"
    else:
        yield f"{protocol}: {pair.profiles:,} profiles in {pair.groups:,} groups"
    units = pair.profiles if pair.groups is None else pair.groups
    if smallest_p(units) > LEVEL:
        yield f"{protocol}: {units} are too few to tell any two methods apart at 5 %"
    elif warning := rough(pair.profiles, pair.groups):
        yield f"{protocol}: {warning}"
    for one in (pair.a, pair.b):
        spec = offered.methods.specs.get(one.first.identity.method)
        if interval := _seed_interval(pair, one):
            yield (
                f"{protocol}: {one.label} with {len(one.done)} seeds, their spread included; over "
                f"seeds alone its 95 % t interval is {interval[0]:.4f} … {interval[1]:.4f}"
            )
        elif spec and spec.stochastic:
            yield f"{protocol}: {one.label} with one seed; what others would give is not tested"


def _gene_tables(pairs: Sequence[Comparison[Variant]]) -> Iterator[Table]:
    having = [pair for pair in pairs if len(pair.genes)]
    if having:
        yield _shares(having)
    for pair in having:
        yield _extremes(pair)


def _shares(pairs: Sequence[Comparison[Variant]]) -> Table:
    a, b = pairs[0].a.label, pairs[0].b.label
    return Table(
        "share of genes (descriptive: genes are correlated, so Wilcoxon's p is no test of methods)",
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


def _extremes(pair: Comparison[Variant]) -> Table:
    """The genes of the largest gains and losses; every gene when there are few."""
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


def _interval(low: float, high: float) -> str:
    return (
        f"{low:+.4f} … {high:+.4f}" if np.isfinite(low) and np.isfinite(high) else "too few to tell"
    )


def _p(p: float) -> str:
    if np.isnan(p):
        return "–"
    return f"{p:.4f}" if p >= 1e-4 else "< 0.0001"  # noqa: PLR2004
