"""Relevance by permutation, against what a linear model must give."""

from __future__ import annotations

import numpy as np
import pytest

from genebench import UserError
from genebench.explaining.permutation import MOST_GROUPS, REPEATS, correlated_groups
from genebench.explaining.relevance import by_profile, by_target_group
from genebench.method import Model

SLOPES = np.array([2.0, -1.0, 0.5, 0.0])


class Sum(Model):
    """One target: a weighted sum of landmarks."""

    def __init__(self, slopes=SLOPES):
        self._slopes = slopes
        self.predictions = 0

    def predict(self, landmarks):
        self.predictions += len(landmarks)
        return (landmarks @ self._slopes)[:, None]


def profiles(n, p=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, p)).astype(np.float32)


def test_the_mean_change_is_the_distance_from_the_mean_times_the_slope(monkeypatch):
    monkeypatch.setattr("genebench.explaining.permutation.REPEATS", 2000)
    x = profiles(12)
    x[:, 1:] -= x[:, [0]] * 0  # uncorrelated by chance only
    monkeypatch.setattr("genebench.explaining.permutation.CORRELATED", 0.999)
    found = by_profile(Sum(), x)
    # The other profiles' mean is n / (n − 1) as far away as the mean of all.
    expected = (x - x.mean(0)) * SLOPES * 12 / 11
    error = np.abs(found.values - expected)
    assert (error <= 5 * found.errors + 1e-6).all()
    assert found.errors.max() < 0.1


def test_standard_errors_shrink_with_the_root_of_the_repeats(monkeypatch):
    means = []
    for repeats in (10, 1000):
        monkeypatch.setattr("genebench.explaining.permutation.REPEATS", repeats)
        means.append(by_profile(Sum(), profiles(40)).errors[:, 0].mean())
    np.testing.assert_allclose(means[0] / means[1], 10, rtol=0.2)


def test_the_standard_error_of_a_group_is_that_over_repeats(monkeypatch):
    """Its size is that of the spread over seeds."""
    x, groups = profiles(30) + 1, np.zeros(1, int)
    found = [by_target_group(Sum(), x**2, groups, seed=seed) for seed in range(200)]
    spread = np.std([each.effects[0] for each in found], axis=0)
    stated = np.sqrt(np.mean([np.square(each.errors[0]) for each in found], axis=0))
    np.testing.assert_allclose(stated, spread, rtol=0.25, atol=1e-6)


def test_a_landmark_without_effect_has_none():
    found = by_profile(Sum(), profiles(30))
    assert np.abs(found.values[:, 3]).max() == 0
    assert np.abs(found.values[:, 0]).max() > 1


def test_effects_have_the_sign_of_the_slope():
    found = by_target_group(Sum(), profiles(200), np.zeros(1, int))
    np.testing.assert_array_equal(np.sign(found.effects[0, :3]), np.sign(SLOPES[:3]))


def test_correlated_landmarks_are_permuted_together_and_share_the_change():
    x = profiles(100)
    x[:, 1] = x[:, 0] + 0.1 * x[:, 1]
    groups = correlated_groups(x)
    assert groups[0] == groups[1]
    assert len({*groups.tolist()}) == 3
    # Two copies that cancel have no relevance together, whichever is permuted alone.
    found = by_target_group(Sum(np.array([1.0, -1.0, 0.5, 0.0])), x, np.zeros(1, int))
    assert np.abs(found.effects[0, :2]).max() < 0.2
    np.testing.assert_allclose(np.abs(found.effects[0, 0]), np.abs(found.effects[0, 1]))


def test_many_landmarks_are_permuted_in_a_bounded_number_of_groups():
    n_landmarks = MOST_GROUPS + 20
    x = profiles(50, n_landmarks)
    assert correlated_groups(x).max() + 1 <= MOST_GROUPS
    model = Sum(np.ones(n_landmarks))
    by_profile(model, x)
    assert model.predictions <= 50 * (MOST_GROUPS * REPEATS + 1) + 1


def test_constant_landmarks_are_groups_of_their_own():
    x = profiles(20)
    x[:, 2:] = 1
    assert len({*correlated_groups(x).tolist()}) == 4


def test_a_single_landmark_is_one_group():
    assert correlated_groups(profiles(10, 1)).tolist() == [0]


def test_the_seed_decides():
    x = profiles(20)
    one, again, other = (by_profile(Sum(), x, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.values, again.values)
    assert (one.values != other.values).any()


def test_too_few_profiles_are_refused():
    with pytest.raises(UserError, match="needs 3 profiles or more"):
        by_profile(Sum(), profiles(2))
