"""Folds as one result: means, failures, and the test across folds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from genebench.analysis.bootstrap import Folds, PairedBootstrap, Sample
from genebench.analysis.compare import compare
from genebench.analysis.folds import fold_table, pooled
from genebench.analysis.rank import evidence_of
from genebench.analysis.variants import variants_of
from genebench.plugins.registry import registry

FOLDS = {"all folds": "k-fold/3/0123456789abcdef"}


@pytest.fixture
def fold(made_up):
    """fold(method, label, mae): the record of one of three folds."""

    def record(method, label, mae=0.5, kind="k-fold", **changes):
        splits = {"all folds": f"{kind}/3/0123456789abcdef", "rows of test": label}
        return made_up(
            method, {}, mae, protocol=f"folds.{label}", test=f"geo/test/fold-{label}",
            splits=splits, **changes,
        )  # fmt: skip

    return record


def vectors_by(shares, groups=None):
    """Return a function from records to vectors, for fold → method → shares of profiles."""

    def vectors_of(record):
        values = np.array(shares[record.identity.fold][record.identity.method])
        of = (groups or {}).get(record.identity.fold)
        ids = np.array([f"{record.identity.fold}-{n}" for n in range(len(values))])
        return {
            "gene.id": np.array(["a", "b"]), "gene.twin": np.array([False, True]),
            "gene-metric.mae": np.full(2, values.mean()), "profile.id": ids,
            "profile-share.mae.all": values,
        } | ({} if of is None else {"profile.group": np.array(of)})  # fmt: skip

    return vectors_of


def no_vectors(_):
    return {}


def test_a_result_of_all_folds_is_their_mean_under_the_name_of_the_protocol(fold):
    folds = [fold("knn", label, mae) for label, mae in (("1", 0.1), ("2", 0.2), ("10", 0.6))]
    [record] = pooled(folds, no_vectors).records
    assert (record.identity.protocol, record.status) == ("folds", "done")
    assert record.identity.test == "geo/test/all-folds"
    assert record.scores["mae"]["all"].mean == pytest.approx(0.3)
    assert record.profiles == {"train": 80, "validation": 10, "test": 30}
    [members] = pooled(folds, no_vectors).members.values()
    assert [member.identity.fold for member in members] == ["1", "2", "10"]


@pytest.mark.parametrize(
    ("present", "message"),
    [
        ({"1": 0.1, "2": None, "3": 0.2}, "2 of 3 folds done, 1 failed (2, ValueError: no luck)"),
        ({"1": 0.1}, "1 of 3 folds done, 2 not run"),
    ],
)
def test_some_folds_have_no_mean(fold, present, message):
    folds = [fold("knn", label, mae) for label, mae in present.items()]
    [record] = pooled(folds, no_vectors).records
    assert (record.status, record.scores) == ("failed", {})
    assert record.failure.kind == "IncompleteFolds"
    assert record.failure.message.startswith(message)


def test_a_method_that_no_fold_suits_is_not_applicable(fold):
    refused = [
        fold("knn", label, None, status="not applicable", reason="no donors", failure=None)
        for label in "123"
    ]
    [record] = pooled(refused, no_vectors).records
    assert (record.status, record.reason) == ("not applicable", "no donors")


def test_methods_seeds_and_other_protocols_stay_apart(fold, made_up):
    records = [fold(method, label) for method in ("knn", "lsr") for label in "123"]
    records += [fold("knn", label, seed=1) for label in "123"] + [made_up("knn", {})]
    names = [
        (record.identity.method, record.identity.seed, record.identity.protocol)
        for record in pooled(records, no_vectors).records
    ]
    assert names == [
        ("knn", 0, "folds"),
        ("lsr", 0, "folds"),
        ("knn", 1, "folds"),
        ("knn", 0, "geo"),
    ]


def test_each_fold_counts_the_same_whatever_its_size(fold):
    shares = {"1": {"knn": [1.0]}, "2": {"knn": [3.0, 3.0, 3.0]}, "3": {"knn": [4.0, 6.0]}}
    folds = [fold("knn", label, np.mean(of["knn"])) for label, of in shares.items()]
    whole = pooled(folds, vectors_by(shares))
    [record] = whole.records
    evidence = evidence_of(variants_of([record], registry())[0], whole.vectors_of, "mae", "all")
    assert evidence.sample.shares.mean() == pytest.approx(record.scores["mae"]["all"].mean) == 3
    assert whole.vectors_of(record)["gene-metric.mae"].tolist() == [3.0, 3.0]


def paired(fold, kind, groups=None, size=8):
    """Return the comparison of two methods over three folds, and their shares by fold."""
    random = np.random.default_rng(1)
    shares = {
        label: {"knn": random.random(size + 3 * n), "lsr": random.random(size + 3 * n) * 0.4}
        for n, label in enumerate("123")
    }
    records = [
        fold(method, label, float(np.mean(of)), kind=kind)
        for label, methods in shares.items()
        for method, of in methods.items()
    ]
    whole = pooled(records, vectors_by(shares, groups))
    variants = variants_of(list(whole.records), registry())
    metric = registry().metrics.get("mae")
    return compare(variants[0], variants[1], whole.vectors_of, metric), shares


def test_a_difference_is_that_of_the_means_over_folds(fold):
    comparison, shares = paired(fold, "k-fold")
    expected = np.mean([np.mean(of["knn"]) - np.mean(of["lsr"]) for of in shares.values()])
    assert comparison.difference.value == pytest.approx(expected)
    assert (comparison.profiles, comparison.groups) == (8 + 11 + 14, None)


def test_groups_that_were_left_out_are_the_units(fold):
    comparison, _ = paired(fold, "leave-one-out", groups=dict.fromkeys("123"))
    assert comparison.groups == 3


def test_a_profile_of_several_repeats_is_one_unit(fold):
    comparison, _ = paired(fold, "repeat")
    assert comparison.groups == 8 + 11 + 14  # the ids of this example differ between repeats


def test_the_t_test_over_folds_is_that_of_nadeau_and_bengio():
    # Profiles agree in each fold: the bootstrap over profiles finds more than the folds show.
    means = np.array([0.1, 0.4, 0.2, 0.5])
    shares = np.repeat(means, 50)
    samples = [Sample(shares, (shares.mean(),)), Sample(np.zeros(200), (0.0,))]
    folds = Folds(np.repeat(np.arange(4), 50), 0.5)
    t = means.mean() / np.sqrt((1 / 4 + 0.5) * means.var(ddof=1))
    expected = 2 * stats.t.sf(t, 3)
    tested = PairedBootstrap(samples, np.full(200, ""), folds=folds)
    assert tested.p_value(0, 1) == pytest.approx(expected)
    estimate = tested.difference(0, 1)
    assert estimate.p == pytest.approx(expected)
    half = stats.t.ppf(0.975, 3) * means.mean() / t
    assert (estimate.low, estimate.high) == pytest.approx((0.3 - half, 0.3 + half))
    assert PairedBootstrap(samples, np.full(200, "")).p_value(0, 1) < 1e-6


def test_a_table_is_no_surer_than_the_t_test_over_folds():
    means = np.array([0.1, 0.4, 0.2, 0.5])
    shares = np.repeat(means, 50)
    samples = [Sample(shares, (shares.mean(),)), Sample(np.zeros(200), (0.0,))]
    labels, of = np.full(200, ""), np.repeat(np.arange(4), 50)
    pair = np.array([0]), np.array([1])
    alone = PairedBootstrap(samples, labels)
    both = PairedBootstrap(samples, labels, folds=Folds(of, 0.5))
    assert alone.step_down(*pair).p[0] < 0.001
    assert both.step_down(*pair).p[0] > 0.05
    low, high = both.limits(0, 1, both.step_down(*pair).critical)
    assert low < 0 < high


def test_the_table_of_folds_has_a_row_for_each(fold):
    records = [fold("knn", "1", 0.1), fold("knn", "2", None)]
    table = fold_table(records)
    assert table[["fold", "status", "metric"]].to_numpy().tolist() == [
        ["1", "done", "mae"], ["1", "done", "cc"], ["2", "failed", ""],
    ]  # fmt: skip
