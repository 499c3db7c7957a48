"""Panels against planted clusters and closed forms, and the checks that mark them."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from genebench import Profiles, UserError
from genebench.explaining.panels import explain
from genebench.explaining.settings import Settings, settings_from

from .conftest import SMALL, TARGETS, Weights


def test_planted_clusters_are_found_and_described(planted, explanation):
    assert adjusted_rand_score(planted.kinds, explanation.profiles["cluster"]) == 1
    labels = explanation.of_clusters("profiles")["label"]
    assert sorted(labels) == [f"tissue {kind} 100%" for kind in range(3)]
    # Target 0 is a copy, and so of no group.
    assert adjusted_rand_score(planted.groups[1:], explanation.targets["cluster"][1:]) == 1
    assert explanation.of_clusters("targets")["size"].sum() == TARGETS


def test_panel_a_is_the_mean_relevance_of_each_cluster(planted, explanation):
    relevance = planted.test.landmarks * planted.weights.mean(axis=1)
    for number, column in explanation.profile_relevance.items():
        inside = (explanation.profiles["cluster"] == number).to_numpy()
        np.testing.assert_allclose(column, relevance[inside].mean(axis=0), rtol=1e-5)


def test_panel_b_lists_the_largest_of_panel_a(explanation):
    for number, column in explanation.profile_relevance.items():
        top = explanation.top[
            (explanation.top["kind"] == "profiles") & (explanation.top["cluster"] == number)
        ]
        largest = column.abs().sort_values(ascending=False).index[:3]
        assert list(top["landmark"]) == list(largest)
        np.testing.assert_allclose(top["share"], column.abs()[largest] / column.abs().sum(), 1e-5)
        assert list(top["sign"]) == list(np.sign(column[largest]))


def test_panel_c_is_the_mean_magnitude_with_the_sign_of_the_influence(planted, explanation):
    for number, column in explanation.target_relevance.items():
        inside = (explanation.targets["cluster"] == number).to_numpy()
        slopes = planted.weights[:, inside].mean(axis=1)
        expected = np.abs(planted.test.landmarks).mean(axis=0) * slopes
        np.testing.assert_allclose(column, expected, rtol=1e-4, atol=1e-7)


def test_panel_d_is_the_mean_share_of_each_group_of_landmarks(explanation):
    shares = explanation.target_relevance / explanation.target_relevance.abs().sum()
    expected = shares.groupby(explanation.landmarks["group"]).mean()
    np.testing.assert_allclose(explanation.group_relevance, expected, rtol=1e-5, atol=1e-9)


def test_a_copied_twin_carries_all_relevance_of_its_target(explanation):
    [row] = explanation.twins.to_dict("records")
    assert (row["target"], row["symbol"], row["rank"]) == ("ENSL0", "SYML0", 1)
    assert row["share"] == pytest.approx(1)


def test_the_share_on_twins_counts_landmarks_that_are_targets_of_the_cluster(explanation):
    clusters = explanation.of_clusters("targets")
    with_twin = explanation.targets.loc["ENSL0", "cluster"]
    assert clusters["twin_expected"][with_twin] == pytest.approx(1 / 12)
    assert clusters["twin_share"][with_twin] > 0
    assert (clusters["twin_share"].drop(with_twin) == 0).all()


def test_everything_that_it_depends_on_is_recorded(explanation):
    settings = explanation.about["settings"]
    assert settings["rule"] == "exact"
    assert settings["label"] == "tissue"
    assert {"profile_clusters", "target_clusters", "profiles_by", "targets_by", "seed"} <= {
        *settings
    }
    assert {"genebench", "numpy"} <= {*explanation.about["versions"]}
    assert explanation.about["bias_share"] == pytest.approx(0)


def test_planted_clusters_are_stable_and_relevance_is_conserved(explanation):
    assert {"a", "b", "c"}.isdisjoint(explanation.unstable)
    conservation = explanation.trust.set_index("measure").loc["conservation error", "value"]
    assert (conservation < 1e-4).all()


def test_clusters_of_noise_are_marked_unstable(planted):
    noise = np.random.default_rng(1).normal(size=(60, 12)).astype(np.float32)
    test = Profiles.from_arrays(noise, noise @ planted.weights)
    found = explain(planted.model, test, replace(SMALL, profile_clusters=20))
    assert "a" in found.unstable
    assert "b" in found.unstable
    [reason] = found.unstable["a"]
    assert "adjusted Rand index of profile clusters" in reason


def test_models_of_other_seeds_and_a_shuffled_one_are_compared(planted):
    random = np.random.default_rng(2)
    near = Weights(planted.weights * random.normal(1, 0.01, planted.weights.shape).astype("f4"))
    far = Weights(random.permutation(planted.weights))
    found = explain(planted.model, planted.test, SMALL, others=(lambda: near,), control=far)
    lines = found.trust.set_index(["measure", "panels"])["value"]
    for panels in ("a b", "c d"):
        assert lines["rank correlation over 2 seeds", panels] > 0.9
        assert lines["overlap of top landmarks over 2 seeds", panels] > 0.8
        assert lines["rank correlation with shuffled weights", panels] < 0.95


def test_groups_of_targets_are_compared_for_themselves(planted):
    """The mean of all targets stays, and every group follows other landmarks."""
    moved = Weights(np.roll(planted.weights, 1, axis=1))
    found = explain(planted.model, planted.test, SMALL, others=(lambda: moved,))
    lines = found.trust.set_index(["measure", "panels"])["value"]
    assert lines["rank correlation over 2 seeds", "a b"] == pytest.approx(1)
    assert lines["rank correlation over 2 seeds", "c d"] < 0.5


def test_one_seed_is_said_to_be_unchecked(explanation):
    lines = explanation.trust[explanation.trust["measure"].str.contains("over seeds")]
    assert set(lines["result"]) == {"not checked: one seed"}
    assert set(lines["panels"]) == {"a b", "c d"}
    assert lines["value"].isna().all()
    assert lines["sound"].all()


def test_one_other_model_is_open_at_a_time(planted):
    opened = []

    def opener():
        assert all(each() is None for each in opened)
        model = Weights(planted.weights)
        opened.append(weakref.ref(model))
        return model

    explain(planted.model, planted.test, SMALL, others=(opener, opener, opener))
    assert len(opened) == 3


def test_gradient_times_input_adds_up_by_definition(planted):
    class Gradient(Weights):
        relevance_rules = ("gradient-input",)

    found = explain(Gradient(planted.weights), planted.test, SMALL)
    lines = found.trust[found.trust["measure"] == "conservation error"]
    assert set(lines["result"]) == {"by definition"}


def test_permuted_relevance_has_errors_in_every_table(planted):
    found = explain(planted.model, planted.test, replace(SMALL, rule="permutation"))
    assert found.profile_errors.shape == found.profile_relevance.shape
    assert found.target_errors.shape == found.target_relevance.shape
    assert (found.top["error"] > 0).all()
    measure = "share of relevance beyond two standard errors"
    assert len(found.trust[found.trust["measure"] == measure]) == 2
    assert "standard error of a named one" in found.error_note


def test_relevance_of_noise_is_within_its_errors(planted):
    class Noise(Weights):
        relevance_rules = ()

        def predict(self, landmarks):
            random = np.random.default_rng(len(landmarks) + int(1e6 * abs(landmarks.sum())))
            return random.normal(size=(len(landmarks), TARGETS)).astype("f4")

    found = explain(Noise(planted.weights), planted.test, SMALL)
    assert any("two standard errors" in reason for reason in found.unstable["a"])


def test_models_that_disagree_over_seeds_are_marked(planted):
    scales = np.geomspace(1, 1e3, 12, dtype=np.float32)[:, None]
    one, other = Weights(np.tile(scales, TARGETS)), Weights(np.tile(scales[::-1], TARGETS))
    found = explain(one, planted.test, SMALL, others=(lambda: other,))
    assert {"a", "b", "c", "d"} <= found.unstable.keys()


@pytest.mark.parametrize(
    "choice",
    [{"profiles_by": "landmarks"}, {"profiles_by": "relevance"}, {"targets_by": "predictions"}],
)
def test_other_values_can_be_clustered(planted, choice):
    found = explain(planted.model, planted.test, replace(SMALL, **choice))
    assert adjusted_rand_score(planted.kinds, found.profiles["cluster"]) == 1


def test_the_same_seed_gives_the_same_numbers(planted, explanation):
    again = explain(planted.model, planted.test, SMALL)
    assert again.target_relevance.equals(explanation.target_relevance)
    assert again.trust.equals(explanation.trust)


def test_progress_rises_to_its_end(planted):
    steps = []
    explain(planted.model, planted.test, SMALL, progress=lambda *step: steps.append(step))
    done = [step[0] for step in steps]
    assert done == sorted(done)
    assert steps[-1][0] == steps[-1][1]


def test_profiles_without_columns_or_twins_are_explained(planted):
    test = Profiles.from_arrays(planted.test.landmarks, planted.test.targets)
    found = explain(planted.model, test, SMALL)
    assert set(found.of_clusters("profiles")["label"]) == {""}
    assert found.twins.empty


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile_clusters": 91}, "90 profiles are too few for 91 clusters"),
        ({"target_clusters": 41}, "40 targets are too few for 41 clusters"),
        ({"landmark_groups": 13}, "12 landmarks are too few for 13 clusters"),
        ({"label": "organ"}, "unknown column of the profile table 'organ'"),
        ({"rule": "lrp-gamma"}, "rule lrp-gamma: the model does not have it"),
    ],
)
def test_what_cannot_be_explained_is_refused(planted, changes, message):
    with pytest.raises(UserError, match=message):
        explain(planted.model, planted.test, replace(SMALL, **changes))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rule": "magic"}, "unknown rule of relevance"),
        ({"profiles_by": "name"}, "unknown value of profiles_by"),
        ({"top": 0}, "--top 0: out of range"),
        ({"profile_clusters": 1}, "--profile-clusters 1: out of range"),
        ({"seed": -1}, "--seed -1"),
        ({"cluster": 3}, "unknown setting of an explanation"),
    ],
)
def test_settings_that_mean_nothing_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        settings_from(values)


def test_clusters_are_described_by_tissue_then_series():
    settings = Settings()
    assert settings.label_column(["group", "series", "tissue"]) == "tissue"
    assert settings.label_column(["group", "series"]) == "series"
    assert settings.label_column(["age"]) == ""
