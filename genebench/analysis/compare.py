"""Comparison of two methods: the difference, its interval and p-value, and the genes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pandas as pd

from genebench.analysis.bootstrap import Estimate, PairedBootstrap
from genebench.analysis.rank import evidence_of, scores_of
from genebench.analysis.variants import Variant
from genebench.analysis.vectors import VectorsOf
from genebench.results.panels import GENE_METRIC
from genebench.specs import MetricSpec


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One method against another, under one protocol, by one metric on one panel.

    Attributes:
        a, b: the methods.
        metric, panel: the metric and the panel of genes.
        scores: the score of each method, a mean over genes and seeds.
        difference: score of ``a`` − score of ``b``, its interval and p-value. None if the records
            have no shares of profiles, or shares of other profiles.
        profiles, groups: numbers of profiles and groups that were resampled. ``groups`` is None
            if the platform has no groups.
        genes: one row per gene of the panel, indexed by its id, largest gain first. Columns are
            ``twin``, ``a`` and ``b`` (the metric, averaged over seeds) and ``gain``, by how much
            ``a`` is better. Empty for metrics of profiles.
    """

    a: Variant
    b: Variant
    metric: MetricSpec
    panel: str
    scores: tuple[float, float]
    difference: Estimate | None
    profiles: int
    groups: int | None
    genes: pd.DataFrame

    @property
    def sign(self) -> int:
        """Factor that turns a difference into a gain of ``a``: −1 if lower scores are better."""
        return -1 if self.metric.direction == "lower" else 1

    def share(self, which: int) -> float:
        """Return the share of genes where ``a`` is better (1), worse (-1) or the same (0).

        This is a description and no test. It is NaN without genes.
        """
        gains = self.genes["gain"]
        return float((np.sign(gains) == which).mean()) if len(gains) else float("nan")

    def wilcoxon(self) -> float:
        """Return the p-value of Wilcoxon's signed-rank test over genes, or NaN without genes.

        This is a description and no test of the methods. Genes are correlated, so that thousands
        of them are not thousands of independent trials.
        """
        from scipy import stats

        gains = self.genes["gain"].to_numpy()
        if not gains.any():
            return float("nan")
        with warnings.catch_warnings():
            # scipy warns of few genes and of ties, which a description may have.
            warnings.simplefilter("ignore")
            return float(stats.wilcoxon(gains).pvalue)


def compare(
    a: Variant, b: Variant, vectors_of: VectorsOf, metric: MetricSpec, panel: str = "all"
) -> Comparison | None:
    """Compare two methods of the same test, or return None if one has no such score.

    Args:
        a: a method, with one record for each seed.
        b: the other method.
        vectors_of: returns the vectors of a record.
        metric: a gene-wise metric, or one of profiles. The latter needs panel ``all``, and its
            comparison has no genes.
        panel: ``all``, ``strict`` or ``twin``.
    """
    scores = [scores_of(variant, metric.name, panel) for variant in (a, b)]
    if not all(scores):
        return None
    # Scores alone can be shown side by side. A test needs shares of the same profiles.
    of_a, of_b = (evidence_of(variant, vectors_of, metric.name, panel) for variant in (a, b))
    difference, profiles, groups = None, 0, None
    if of_a and of_b and of_a.is_paired_with(of_b):
        samples = [of_a.sample, of_b.sample]
        bootstrap = PairedBootstrap(samples, of_a.labels, folds=of_a.folds)
        difference, profiles = bootstrap.difference(0, 1), bootstrap.profiles
        groups = None if of_a.groups is None else bootstrap.groups
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
            *(gene_values(variant, vectors_of, metric, panel) for variant in (a, b)), metric=metric
        ),
    )


def gene_values(
    variant: Variant, vectors_of: VectorsOf, metric: MetricSpec, panel: str = "all"
) -> pd.DataFrame:
    """Return the metric of each gene, averaged over seeds: columns ``twin`` and ``value``."""
    name = f"{GENE_METRIC}{metric.name}"
    records = variant.scored(metric.name, panel) if metric.axis == "gene" else []
    # A stranger's record may have the metric for profiles instead.
    seeds = [vectors for record in records if name in (vectors := vectors_of(record))]
    if not seeds:
        return pd.DataFrame({"twin": [], "value": []})
    values = [pd.Series(v[name], v["gene.id"]) for v in seeds]
    twin = pd.Series(seeds[0]["gene.twin"], seeds[0]["gene.id"])
    table = pd.DataFrame({"twin": twin, "value": pd.concat(values, axis=1).mean(axis=1)})
    is_twin = seeds[0]["gene.twin"]
    return table[{"strict": ~is_twin, "twin": is_twin}.get(panel, np.ones_like(is_twin))]


def _side_by_side(a: pd.DataFrame, b: pd.DataFrame, *, metric: MetricSpec) -> pd.DataFrame:
    """Return the genes of both methods, with the gain of ``a``, largest gain first."""
    both = a.rename(columns={"value": "a"}).join(b["value"].rename("b"), how="inner")
    gain = both["b"] - both["a"] if metric.direction == "lower" else both["a"] - both["b"]
    table = both.assign(gain=gain).rename_axis("gene")
    return table.sort_values("gain", ascending=False, kind="stable")
