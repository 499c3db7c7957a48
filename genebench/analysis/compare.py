"""Two methods side by side: how far apart they are, how sure that is, and on which genes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from statistics import fmean
from typing import Generic

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.analysis.bootstrap import Estimate, PairedBootstrap
from genebench.analysis.rank import E, evidence_of, scored_records, scores_of
from genebench.analysis.vectors import VectorsOf
from genebench.results.panels import GENE_METRIC
from genebench.specs import MetricSpec


@dataclass(frozen=True, kw_only=True)
class Comparison(Generic[E]):
    """One method against another, under one protocol, by one metric on one panel.

    Attributes:
        a, b: the methods.
        metric, panel: what they are compared by.
        scores: the score of each, a mean over genes and seeds.
        difference: score of ``a`` − score of ``b``, its interval and p-value; None where the
            records hold nothing to resample by, or not of the same profiles.
        profiles, groups: what was resampled; ``groups`` is None where no groups are known.
        genes: one row per gene of the panel, indexed by its id: ``twin``, ``a`` and ``b`` (the
            metric, averaged over seeds) and ``gain``, by how much ``a`` is better; largest gain
            first. Empty for metrics of profiles.
    """

    a: E
    b: E
    metric: MetricSpec
    panel: str
    scores: tuple[float, float]
    difference: Estimate | None
    profiles: int
    groups: int | None
    genes: pd.DataFrame

    @property
    def sign(self) -> int:
        """What turns a difference into a gain of ``a``."""
        return -1 if self.metric.direction == "lower" else 1

    def share(self, which: int) -> float:
        """Share of genes where ``a`` is better (1), worse (-1) or the same (0); descriptive."""
        gains = self.genes["gain"]
        return float((np.sign(gains) == which).mean()) if len(gains) else float("nan")

    def wilcoxon(self) -> float:
        """P-value of Wilcoxon's signed-rank test over genes; descriptive, NaN without genes.

        Genes are correlated: thousands of them are not thousands of trials.
        """
        from scipy import stats

        gains = self.genes["gain"].to_numpy()
        if not gains.any():
            return float("nan")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few genes, or ties: no more than a description
            return float(stats.wilcoxon(gains).pvalue)


def compare(
    a: E, b: E, vectors_of: VectorsOf, metric: MetricSpec, panel: str = "all"
) -> Comparison[E] | None:
    """Compare two methods that were tested alike; None where one has no such score.

    Args:
        a: the records of one method, one for each seed.
        b: those of the other.
        vectors_of: where the vectors of records come from.
        metric: gene-wise, or of profiles (then ``panel`` is ``all`` and there are no genes).
        panel: ``all``, ``strict`` or ``twin``.
    """
    scores = [scores_of(one, metric.name, panel) for one in (a, b)]
    if not all(scores):
        return None
    held = [evidence_of(one, vectors_of, metric.name, panel) for one in (a, b)]
    difference, profiles, groups = None, 0, None
    if held[0] and held[1] and held[0].is_paired_with(held[1]):
        bootstrap = PairedBootstrap([held[0].sample, held[1].sample], held[0].labels)
        difference, profiles = bootstrap.difference(0, 1), bootstrap.profiles
        groups = None if held[0].groups is None else bootstrap.groups
    return Comparison(
        a=a,
        b=b,
        metric=metric,
        panel=panel,
        scores=(fmean(scores[0]), fmean(scores[1])),
        difference=difference,
        profiles=profiles,
        groups=groups,
        genes=_side_by_side(
            *(_genes(one, vectors_of, metric, panel) for one in (a, b)), metric=metric
        ),
    )


def _genes(one: E, vectors_of: VectorsOf, metric: MetricSpec, panel: str) -> pd.DataFrame:
    """The metric of each gene, averaged over seeds: columns ``twin`` and ``value``."""
    if metric.axis != "gene":
        return pd.DataFrame({"twin": [], "value": []})
    seeds = [vectors_of(record) for record in scored_records(one, metric.name, panel)]
    values = [pd.Series(v[f"{GENE_METRIC}{metric.name}"], v["gene.id"]) for v in seeds]
    twin = pd.Series(seeds[0]["gene.twin"], seeds[0]["gene.id"])
    table = pd.DataFrame({"twin": twin, "value": pd.concat(values, axis=1).mean(axis=1)})
    return table[_on_panel(seeds[0]["gene.twin"], panel)]


def _on_panel(twin: NDArray[np.bool_], panel: str) -> NDArray[np.bool_]:
    return {"strict": ~twin, "twin": twin}.get(panel, np.ones_like(twin))


def _side_by_side(a: pd.DataFrame, b: pd.DataFrame, *, metric: MetricSpec) -> pd.DataFrame:
    both = a.rename(columns={"value": "a"}).join(b["value"].rename("b"), how="inner")
    gain = both["b"] - both["a"] if metric.direction == "lower" else both["a"] - both["b"]
    table = both.assign(gain=gain).rename_axis("gene")
    return table.sort_values("gain", ascending=False, kind="stable")
