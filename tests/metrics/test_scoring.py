"""Scoring: every metric in blocks, the shares of profiles, and what goes wrong in one metric."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from genebench.data.profiles import Profiles
from genebench.metrics import pairs, scoring
from genebench.metrics.scoring import score
from genebench.plugins.registry import registry
from genebench.runs.plan import wanted_metrics
from genebench.specs import MetricSpec

N_PROFILES, N_GENES = 45, 37
TWIN = np.arange(N_GENES) % 5 == 0
PANELS = {"all": TWIN | True, "strict": ~TWIN, "twin": TWIN}
EVERY = list(registry().metrics.specs.values())


@pytest.fixture
def truth():
    return np.random.default_rng(0).normal(size=(N_PROFILES, N_GENES)).astype(np.float32)


@pytest.fixture
def prediction(truth):
    noise = np.random.default_rng(1).normal(size=truth.shape)
    return (0.6 * truth + 0.4 * noise + 0.1).astype(np.float32)


def profiles_of(truth):
    profiles = Profiles.from_arrays(np.empty((len(truth), 0)), truth)
    profiles.target_genes["twin"] = TWIN
    return profiles


@pytest.fixture
def tested(truth):
    return profiles_of(truth)


@pytest.fixture
def fake(monkeypatch):
    """Make a metric of a function."""
    module = ModuleType("fake_metrics")
    monkeypatch.setitem(sys.modules, "fake_metrics", module)

    def make(function, name="fake", **declared):
        attribute = name.replace("-", "_")
        setattr(module, attribute, function)
        return MetricSpec(
            name=name, title="t", summary="s", code=f"fake_metrics:{attribute}",
            unit="1", direction="lower", best=0.0, **declared,
        )  # fmt: skip

    return make


def test_scores_do_not_depend_on_how_the_data_are_cut(tested, prediction, monkeypatch):
    whole = score(tested, prediction, EVERY)
    monkeypatch.setattr(pairs, "BLOCK_BYTES", 4 * N_PROFILES * 8)
    monkeypatch.setattr(scoring, "PIECE_VALUES", N_PROFILES * 3)
    cut = score(tested, prediction, EVERY)
    assert cut.faults == whole.faults == []
    assert cut.vectors.keys() == whole.vectors.keys()
    for name, values in whole.vectors.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(cut.vectors[name], values, atol=1e-12, err_msg=name)
        else:
            np.testing.assert_array_equal(cut.vectors[name], values)


def test_every_metric_on_offer_has_one_finite_value_for_each_gene_or_profile(tested, prediction):
    vectors = score(tested, prediction, EVERY).vectors
    for metric in EVERY:
        length = N_GENES if metric.axis == "gene" else N_PROFILES
        values = vectors[f"{metric.axis}-metric.{metric.name}"]
        assert values.shape == (length,)
        assert np.isfinite(values).all()


def test_the_metrics_on_offer_are_those_of_the_field_gene_by_gene_and_profile_by_profile():
    names = {"mae", "cc", "rmse", "pearson", "spearman", "r2", "recall"}
    result = {spec.name: spec for spec in EVERY}
    assert names | {f"profile-{name}" for name in names} <= set(result)
    costly = {name for name, spec in result.items() if spec.costly}
    assert costly == {"spearman", "recall", "profile-spearman", "profile-recall"}


def test_costly_metrics_are_scored_only_when_asked_for():
    names = {spec.name for spec in wanted_metrics(registry())}
    assert {"mae", "cc", "profile-r2"} <= names
    assert not {"spearman", "profile-recall"} & names
    assert {spec.name for spec in wanted_metrics(registry(), ["recall"])} == {*names, "recall"}
    assert wanted_metrics(registry(), ["all"]) == EVERY


def test_a_prediction_that_is_a_constant_or_perfect_gives_no_metric_trouble(tested, truth):
    for prediction in (truth, np.zeros_like(truth), np.full_like(truth, 0.1)):
        assert score(tested, prediction, EVERY).faults == []


def test_constants_are_counted(tested, truth, prediction):
    prediction[:, 3:7] = 0.1
    truth[:, 30] = -2.5
    result = score(profiles_of(truth), prediction, EVERY[:1])
    assert (result.constant_prediction, result.constant_truth) == (4, 1)


# --- shares ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["mae", "cc"])
@pytest.mark.parametrize("panel", PANELS)
def test_the_mean_of_the_shares_of_profiles_is_the_score(tested, prediction, metric, panel):
    result = score(tested, prediction, EVERY)
    share = result.vectors[f"profile-share.{metric}.{panel}"]
    assert share.shape == (N_PROFILES,)
    assert share.dtype == np.float64
    assert share.mean() == pytest.approx(result.scores()[metric][panel].mean, abs=1e-12)


@pytest.mark.parametrize("panel", PANELS)
def test_shares_of_mae_are_each_profiles_mean_absolute_error(tested, truth, prediction, panel):
    result = score(tested, prediction, EVERY).vectors[f"profile-share.mae.{panel}"]
    errors = np.abs(prediction.astype(np.float64) - truth)[:, PANELS[panel]]
    np.testing.assert_allclose(result, errors.mean(axis=1))


@pytest.mark.parametrize("metric", ["mae", "cc"])
@pytest.mark.parametrize("panel", PANELS)
def test_a_score_under_other_weights_of_the_profiles_is_the_weighted_mean_of_the_shares(
    tested, truth, prediction, metric, panel
):
    """Against scoring a test in which profiles stand as often as they weigh."""
    share = score(tested, prediction, EVERY).vectors[f"profile-share.{metric}.{panel}"]
    copies = np.where(share > np.median(share), 42, 40)
    again = score(
        profiles_of(truth.repeat(copies, axis=0)), prediction.repeat(copies, axis=0), EVERY[:2]
    )
    change = again.scores()[metric][panel].mean - share.mean()
    assert abs(change) > 1e-4
    tolerance = {"mae": 1e-9, "cc": 0.03}[metric]
    assert np.average(share, weights=copies) - share.mean() == pytest.approx(change, rel=tolerance)


def test_a_panel_without_genes_has_no_shares(truth, prediction):
    profiles = Profiles.from_arrays(np.empty((N_PROFILES, 0)), truth)
    names = score(profiles, prediction, EVERY).vectors
    assert "profile-share.mae.strict" in names
    assert "profile-share.mae.twin" not in names


def test_a_strangers_metric_has_shares_by_giving_its_terms(tested, truth, prediction, fake):
    metric = fake(lambda truth, prediction: (prediction - truth) ** 2, form="terms")
    result = score(tested, prediction, [metric])
    squares = (prediction.astype(np.float64) - truth) ** 2
    np.testing.assert_allclose(result.vectors["gene-metric.fake"], squares.mean(axis=0))
    np.testing.assert_allclose(result.vectors["profile-share.fake.all"], squares.mean(axis=1))


# --- groups ---------------------------------------------------------------------------------------


def test_groups_of_profiles_are_kept_where_there_are_some(tested, prediction):
    assert "profile.group" not in score(tested, prediction, EVERY[:1]).vectors
    groups = [f"GSE{profile // 10}" for profile in range(N_PROFILES)]
    tested.profiles = pd.DataFrame({"group": groups}, index=tested.profiles.index)
    result = score(tested, prediction, EVERY[:1]).vectors["profile.group"]
    assert result.dtype.kind == "U"
    assert result.tolist() == groups


# --- what metrics may do wrong --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "form", "fault"),
    [
        (lambda truth, prediction: 1 / 0, "block", "ZeroDivisionError"),
        (lambda truth, prediction: sys.exit(3), "block", "SystemExit"),
        (lambda truth, prediction: np.full(truth.shape[1], np.inf), "block", "NaN or infinite"),
        (lambda truth, prediction: truth[0], "terms", "gave an array of shape"),
        (lambda truth, prediction: truth * np.nan, "terms", "NaN or infinite"),
        (lambda pairs: np.zeros(3), "whole", "gave an array of shape (3,), expected (37,)"),
        (lambda pairs: next(pairs.by_genes())[0].fill(0), "whole", "read-only"),
    ],
)  # fmt: skip
def test_a_bad_metric_costs_its_own_vectors_and_nothing_else(  # noqa: PLR0917
    tested, prediction, fake, function, form, fault
):
    bad = fake(function, form=form)
    result = score(tested, prediction, [bad, *EVERY])
    [line] = result.faults
    assert line.startswith("metric fake failed: ")
    assert fault in line
    expected = score(tested, prediction, EVERY).vectors
    assert result.vectors.keys() == expected.keys()
    np.testing.assert_array_equal(result.vectors["gene-metric.mae"], expected["gene-metric.mae"])


@pytest.mark.parametrize("axis", ["gene", "profile"])
def test_a_metric_cannot_change_what_the_next_one_is_given(tested, prediction, fake, axis):
    def spoil(truth, prediction):
        with suppress(ValueError):
            truth[:] = 7
        with suppress(ValueError):
            prediction[:] = 7
        return np.zeros(truth.shape[1 if axis == "gene" else 0])

    expected = score(tested, prediction, EVERY).vectors
    result = score(tested, prediction, [fake(spoil, axis=axis), *EVERY]).vectors
    for name, values in expected.items():
        np.testing.assert_array_equal(result[name], values)


def test_blas_has_one_thread_in_each_thread_that_scores(tested, prediction, fake):
    """With more of them, two processors are slower than one."""

    def threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    def metric(truth, prediction):
        seen.append(threads())
        return np.abs(truth - prediction).mean(axis=0)

    seen = []
    with threadpool_limits(2, "blas"):
        score(tested, prediction, [fake(metric)])
        assert threads() == {2}
    assert seen
    assert all(found == {1} for found in seen)


def test_terms_are_of_genes_only(fake):
    with pytest.raises(ValueError, match="form 'terms' is for metrics of genes"):
        fake(lambda truth, prediction: truth, form="terms", axis="profile")


def test_an_unknown_form_is_refused(fake):
    with pytest.raises(ValueError, match="form"):
        fake(lambda truth, prediction: truth, form="half")
