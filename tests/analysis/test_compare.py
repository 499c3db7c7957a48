"""Two methods side by side: difference, test, genes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from genebench.analysis.compare import compare
from genebench.analysis.variants import Variant
from genebench.metrics import genebench_metrics
from genebench.results.record import Score

METRICS = {spec.name: spec for spec in genebench_metrics()}
TWIN = np.array([False, False, True, False, True, False, False, False])
GENES = np.array([f"g{gene}" for gene in range(len(TWIN))])


def method(label, errors, *, metric="mae"):
    """A method of one seed for each matrix of per-profile, per-gene errors."""
    records = []
    for number, matrix in enumerate(errors):
        vectors = {
            "gene.id": GENES, "gene.twin": TWIN,
            "profile.id": np.arange(len(matrix)).astype(str),
            f"gene-metric.{metric}": matrix.mean(axis=0),
        }  # fmt: skip
        panels = {"all": np.ones_like(TWIN), "strict": ~TWIN, "twin": TWIN}
        scores = {}
        for panel, mask in panels.items():
            values = matrix[:, mask].mean(axis=1)
            vectors[f"profile-share.{metric}.{panel}"] = values
            scores[panel] = Score(mean=values.mean(), std=0.0, genes=int(mask.sum()))
        record = SimpleNamespace(key=f"{label}/{number}", scores={metric: scores}, vectors=vectors)
        records.append(record)
    return Variant(label, tuple(records))


def errors(shift, profiles=60, seed=0):
    random = np.random.default_rng(seed)
    return np.abs(random.normal(1.0, 0.2, (profiles, len(GENES))) + shift)


def compared(a, b, metric="mae", panel="all"):
    return compare(a, b, lambda record: record.vectors, METRICS[metric], panel)


@pytest.fixture
def shift():
    """Better on five genes, the same on one, worse on two."""
    return np.array([-0.3, -0.2, -0.1, 0.2, 0.0, -0.4, 0.1, -0.05])


@pytest.fixture
def comparison(shift):
    return compared(method("a", [errors(shift)]), method("b", [errors(0)]))


def test_the_difference_is_that_of_the_scores(comparison):
    expected = errors(np.array([-0.3, -0.2, -0.1, 0.2, 0.0, -0.4, 0.1, -0.05])).mean()
    assert comparison.scores[0] == pytest.approx(expected)
    assert comparison.difference.value == pytest.approx(comparison.scores[0] - comparison.scores[1])
    assert comparison.difference.low < comparison.difference.value < comparison.difference.high < 0


def test_genes_stand_by_gain_the_greatest_first(comparison, shift):
    assert list(comparison.genes.index) == [f"g{gene}" for gene in np.argsort(shift, kind="stable")]
    assert comparison.genes["gain"].to_numpy() == pytest.approx(np.sort(-shift)[::-1], abs=1e-9)
    assert comparison.genes.loc["g2", "twin"]


def test_shares_of_genes_count_better_same_and_worse(comparison):
    assert [comparison.share(which) for which in (1, 0, -1)] == [5 / 8, 1 / 8, 2 / 8]


def test_wilcoxon_is_scipys_over_genes(comparison, shift):
    gains = comparison.genes["gain"].to_numpy()
    assert comparison.wilcoxon() == pytest.approx(stats.wilcoxon(gains).pvalue)


def test_where_higher_is_better_a_gain_is_the_other_way_round(shift):
    a, b = (method(n, [errors(s)], metric="cc") for n, s in (("a", shift), ("b", 0)))
    comparison = compared(a, b, "cc")
    assert comparison.genes.index[0] == "g3"
    assert comparison.share(1) == 2 / 8


@pytest.mark.parametrize(("panel", "genes"), [("strict", 6), ("twin", 2)])
def test_a_panel_is_of_its_own_genes_and_shares(shift, panel, genes):
    a, b = method("a", [errors(shift)]), method("b", [errors(0)])
    comparison = compared(a, b, panel=panel)
    assert len(comparison.genes) == genes
    assert comparison.difference.value == pytest.approx(-comparison.genes["gain"].mean())


def test_genes_are_averaged_over_seeds():
    both = errors(0.1, seed=1), errors(0.3, seed=2)
    comparison = compared(method("a", both), method("b", [errors(0)]))
    expected = np.mean([one.mean(axis=0) for one in both], axis=0)
    assert comparison.genes.loc[GENES, "a"].to_numpy() == pytest.approx(expected)


def test_records_without_shares_are_compared_descriptively(shift):
    a, b = method("a", [errors(shift)]), method("b", [errors(0)])
    del a.records[0].vectors["profile-share.mae.all"]
    comparison = compared(a, b)
    assert comparison.difference is None
    assert comparison.share(1) == 5 / 8


def test_other_profiles_are_no_pairs(shift):
    comparison = compared(method("a", [errors(shift)]), method("b", [errors(0, profiles=50)]))
    assert comparison.difference is None


def test_a_method_without_the_score_cannot_be_compared(shift):
    a, b = method("a", [errors(shift)]), method("b", [errors(0)])
    assert compared(a, b, "cc") is None


def test_equal_methods_have_no_wilcoxon(shift):
    comparison = compared(method("a", [errors(shift)]), method("b", [errors(shift)]))
    assert np.isnan(comparison.wilcoxon())
    assert comparison.difference.p == 1
