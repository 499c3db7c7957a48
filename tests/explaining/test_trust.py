"""Checks of relevance, against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score, average_precision_score

from genebench import UserError, api
from genebench.datasets.sim.planted import planted
from genebench.explaining.recovery import average_precision, recovery
from genebench.explaining.relevance import by_profile, by_target_group
from genebench.explaining.trust import (
    Agreement,
    adjusted_rand,
    cluster_stability,
    rank_agreement,
    shuffled,
    twin_share,
    unstable,
)
from genebench.models.saved import read_model, restored
from genebench.plugins.registry import registry
from genebench.protocols import GEO


def vectors(n, count=40, seed=0):
    return list(np.random.default_rng(seed).standard_normal((n, count)).round(1))


def test_agreement_is_the_mean_over_pairs():
    found = vectors(3)
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = np.mean([spearmanr(abs(found[a]), abs(found[b])).statistic for a, b in pairs])
    agreement = rank_agreement(found, top=10)
    np.testing.assert_allclose(agreement.spearman, expected)
    tops = [set(np.argsort(-abs(each), kind="stable")[:10]) for each in found]
    overlap = np.mean([len(tops[a] & tops[b]) / 10 for a, b in pairs])
    np.testing.assert_allclose(agreement.overlap, overlap)


def test_the_sign_and_the_size_of_relevance_do_not_count():
    one = vectors(1)[0]
    np.testing.assert_allclose(rank_agreement([one, -3 * one]), (1, 1))


def test_at_most_half_of_the_landmarks_are_top():
    assert rank_agreement([np.array([4.0, 3, 2, 1]), np.array([1.0, 2, 3, 4])]).overlap == 0


def test_relevance_that_is_all_equal_agrees_with_nothing():
    assert rank_agreement([np.zeros(40), vectors(1)[0]]).spearman == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_adjusted_rand_index_is_that_of_scikit_learn(seed):
    left, right = np.random.default_rng(seed).integers(0, 6, (2, 100))
    for pair in ((left, right), (left, left), (left, left // 2), (left, left * 0)):
        np.testing.assert_allclose(adjusted_rand(*pair), adjusted_rand_score(*pair), atol=1e-12)


def test_clear_clusters_are_stable_and_noise_is_not():
    clear, _ = make_blobs(150, 4, centers=5, cluster_std=0.2, random_state=0)
    noise = np.random.default_rng(0).standard_normal((150, 20))
    assert cluster_stability(clear, 5) == 1
    assert cluster_stability(noise, 20, range(3)) < 0.5


def test_the_twin_share_is_what_falls_on_twins_of_the_group():
    values = np.array([[4.0, -1, 1, 2], [0, 0, 3, 1], [0, 0, 0, 0]])
    twins, groups = np.array([0, -1, 2, 3, 1]), np.array([0, 0, 1, 1, -1])
    share, expected = twin_share(values[:2], twins, groups)
    np.testing.assert_allclose(share, [4 / 8, 1])
    np.testing.assert_allclose(expected, [1 / 4, 2 / 4])
    share, expected = twin_share(values, np.array([0, -1, 2]))
    np.testing.assert_allclose(share, [5 / 8, 3 / 4, 0])
    np.testing.assert_allclose(expected, [0.5] * 3)


def test_each_failed_check_is_a_reason():
    good, bad = Agreement(0.9, 0.8), Agreement(0.3, 0.2)
    assert unstable() == ()
    assert unstable(conservation=1e-6, agreement=good, control=bad, rand=0.9) == ()
    reasons = unstable(conservation=0.05, agreement=bad, control=good, rand=0.4)
    assert reasons == (
        "relevance misses 5.0% of the sum",
        "landmark ranks of two seeds correlate by 0.30",
        "two seeds share 20% of the top landmarks",
        "shuffled weights give ranks that correlate by 0.90",
        "clusters of two seeds have an adjusted Rand index of 0.40",
    )
    assert unstable(conservation=float("nan"), rand=float("nan")) != ()


@pytest.fixture(scope="module")
def models(tiny, tmp_path_factory):
    """Return method → content of its saved model, fitted on the tiny dataset."""
    folder = tmp_path_factory.mktemp("models")
    api.run(["lsr-l2"], ["geo"], "sim", preset="tiny", keep=["model"], results=folder)
    found = [read_model(path) for path in folder.rglob("*.model.safetensors")]
    return {saved.identity.method: saved for saved in found}


def test_shuffled_weights_are_the_same_numbers_elsewhere(models):
    saved = models["lsr-l2"]
    control = shuffled(saved, 0)
    weights, expected = control.tensors()["weights"], saved.tensors["weights"]
    assert (weights != expected).mean() > 0.9
    np.testing.assert_array_equal(np.sort(weights, axis=None), np.sort(expected, axis=None))
    np.testing.assert_array_equal(control.tensors()["bias"], saved.tensors["bias"])
    np.testing.assert_array_equal(weights, shuffled(saved, 0).tensors()["weights"])
    assert (weights != shuffled(saved, 1).tensors()["weights"]).any()


def test_relevance_of_shuffled_weights_is_that_of_another_model(models):
    saved = models["lsr-l2"]
    model = restored(registry().methods.get("lsr-l2"), saved, "cpu")
    x = np.random.default_rng(0).standard_normal((20, 32)).astype(np.float32)
    weights = np.eye(160)[0]
    found = [by_profile(each, x, weights=weights) for each in (model, shuffled(saved, 0))]
    assert rank_agreement([np.abs(each.values).mean(0) for each in found]).spearman < 0.5


def test_a_planted_signal_is_found_and_shuffled_weights_do_not_find_it(models, tiny):
    saved, truth = models["lsr-l2"], planted("tiny")
    landmarks = tiny.profiles(GEO.test).landmarks
    groups = truth.target_pathway
    is_true = np.arange(groups.max() + 1)[:, None] == truth.landmark_pathway
    model = restored(registry().methods.get("lsr-l2"), saved, "cpu")
    found = recovery(by_target_group(model, landmarks, groups).effects, is_true)
    control = recovery(by_target_group(shuffled(saved, 0), landmarks, groups).effects, is_true)
    assert found > 0.35
    assert control < 0.3
    each = np.arange(len(groups))
    found = recovery(by_target_group(model, landmarks, each).effects, truth.reports)
    control = recovery(by_target_group(shuffled(saved, 0), landmarks, each).effects, truth.reports)
    assert found > 1.5 * control > 1.5 * truth.reports.mean()


def test_a_method_that_refuses_shuffled_weights_is_named(models):
    saved = models["lsr-l2"]
    broken = saved._replace(tensors={"bias": saved.tensors["bias"]})
    with pytest.raises(UserError, match="lsr-l2: its model cannot be restored"):
        shuffled(broken, 0)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    truth = random.random(60) < 0.2
    # Rounded, so that there are ties.
    scores = (random.random(60) + 0.5 * truth).round(1)
    np.testing.assert_allclose(
        average_precision(scores, truth), average_precision_score(truth, scores)
    )


def test_recovery_is_the_mean_over_rows_with_a_true_landmark():
    relevance = np.array([[-3.0, 1, 2], [1, 2, 3], [1, 1, 1]])
    truth = np.array([[True, False, False], [True, False, False], [False, False, False]])
    np.testing.assert_allclose(recovery(relevance, truth), (1 + 1 / 3) / 2)
    with pytest.raises(ValueError, match="no entry is true"):
        recovery(relevance, truth * False)
