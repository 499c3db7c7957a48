"""Relevance by profile and by group of targets, for models with and without rules."""

from __future__ import annotations

import numpy as np
import pytest

from genebench import UserError
from genebench.explaining.relevance import by_profile, by_target_group
from genebench.method import Attribution, Model
from genebench.relevance import LINEAR_RULES, linear_relevance
from genebench.sealing.client import SealedModel

LANDMARKS, TARGETS = 6, 8
WEIGHTS = np.random.default_rng(1).standard_normal((LANDMARKS, TARGETS))
BIAS = np.linspace(-1, 2, TARGETS)


class Linear(Model):
    """A linear model that counts its passes."""

    relevance_rules = LINEAR_RULES

    def __init__(self):
        self.blocks = []

    def predict(self, landmarks):
        return (landmarks @ WEIGHTS + BIAS).astype(np.float32)

    def relevance(self, landmarks, weights, rule):
        self.blocks.append(len(landmarks))
        return linear_relevance(landmarks, WEIGHTS @ weights, float(BIAS @ weights))


class Opaque(Linear):
    """The same without rules."""

    relevance_rules = ()

    def relevance(self, landmarks, weights, rule):
        return Model.relevance(self, landmarks, weights, rule)


def profiles(n=30, seed=0):
    return np.random.default_rng(seed).standard_normal((n, LANDMARKS)).astype(np.float32)


def test_a_row_for_each_profile_is_about_the_mean_prediction():
    x = profiles()
    found = by_profile(Linear(), x)
    np.testing.assert_allclose(found.values, x * WEIGHTS.mean(1), rtol=1e-5)
    np.testing.assert_allclose(found.outputs, Linear().predict(x).mean(1), atol=1e-6)
    assert found.rule == "exact"
    assert found.errors is None
    assert found.conservation < 1e-12
    np.testing.assert_allclose(found.bias_share, abs(BIAS.mean()) / np.abs(found.outputs).mean())


def test_the_weights_of_targets_can_be_given():
    x, weights = profiles(), np.zeros(TARGETS)
    weights[3] = 1
    found = by_profile(Linear(), x, weights=weights)
    np.testing.assert_allclose(found.values, x * WEIGHTS[:, 3], rtol=1e-5)
    np.testing.assert_allclose(found.bias_share, abs(BIAS[3]) / np.abs(found.outputs).mean())


def test_effects_are_positive_where_the_sum_rises_with_the_landmark():
    found = by_profile(Linear(), profiles())
    assert (np.sign(found.effects) == np.sign(WEIGHTS.mean(1))).all()
    assert (np.abs(found.effects) == np.abs(found.values)).all()


def test_a_row_for_each_group_of_targets():
    x, groups = profiles(), np.array([0, 0, 1, 2, 1, -1, 0, 2])
    found = by_target_group(Linear(), x, groups)
    slopes = np.stack([WEIGHTS[:, groups == number].mean(1) for number in range(3)])
    np.testing.assert_allclose(found.values, x.mean(0) * slopes, atol=1e-6)
    np.testing.assert_allclose(found.effects, np.abs(x).mean(0) * slopes, atol=1e-6)
    np.testing.assert_allclose(
        found.outputs,
        [Linear().predict(x)[:, groups == number].mean() for number in range(3)],
        atol=1e-6,
    )


def test_a_group_takes_one_pass_over_the_profiles():
    model, x = Linear(), profiles(10)
    by_target_group(model, x, np.arange(TARGETS) % 2, block=5)
    # One block checks that the sum is that of the predictions.
    assert model.blocks == [10, 5, 5, 5, 5]


@pytest.mark.parametrize("rule", ["exact", "permutation"])
def test_the_size_of_blocks_does_not_matter(rule):
    x, groups = profiles(), np.arange(TARGETS) % 3
    for block in (1, 7, 100):
        for found, expected in (
            (by_profile(Linear(), x, rule, block=block), by_profile(Linear(), x, rule)),
            (
                by_target_group(Linear(), x, groups, rule, block=block),
                by_target_group(Linear(), x, groups, rule),
            ),
        ):
            np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
            np.testing.assert_allclose(found.effects, expected.effects, atol=1e-6)
            np.testing.assert_allclose(found.outputs, expected.outputs, atol=1e-6)


def test_progress_ends_at_all_profiles():
    seen = []
    by_profile(Linear(), profiles(), block=8, progress=lambda *step: seen.append(step[:2]))
    assert seen == [(8, 30), (16, 30), (24, 30), (30, 30)]


def test_a_model_without_rules_is_permuted():
    x = profiles(60)
    for found in (
        by_profile(Opaque(), x),
        by_target_group(Opaque(), x, np.zeros(TARGETS, int)),
    ):
        assert found.rule == "permutation"
        assert found.errors.shape == found.values.shape
        assert found.conservation is None
        assert found.bias_share is None


def test_a_rule_that_a_model_lacks_is_refused_with_those_that_it_has():
    with pytest.raises(UserError, match=r"rule lrp-gamma: .* Use exact or .* or permutation\."):
        by_profile(Linear(), profiles(), "lrp-gamma")


def test_an_empty_group_is_refused():
    with pytest.raises(ValueError, match="no targets"):
        by_target_group(Linear(), profiles(), np.repeat([0, 2], TARGETS // 2))


def test_weights_of_another_number_of_targets_are_refused():
    with pytest.raises(ValueError, match="3 weights for 8 targets"):
        by_profile(Linear(), profiles(), weights=np.ones(3))


class Broken(Linear):
    """A model whose relevance is not that of its predictions."""

    def __init__(self, change):
        super().__init__()
        self._change = change

    def relevance(self, landmarks, weights, rule):
        return self._change(super().relevance(landmarks, weights, rule))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda part: Attribution(part.values, part.rest, 2 * part.output), "whose sum differs"),
        (lambda part: Attribution(part.values.T, part.rest, part.output), "of shapes"),
        (lambda part: Attribution(part.values * np.nan, part.rest, part.output), "NaN"),
    ],
)
def test_relevance_that_cannot_be_right_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        by_profile(Broken(change), profiles())


def test_what_a_rule_loses_is_the_conservation_error():
    def lossy(part):
        return Attribution(part.values * 0.5, part.rest, part.output)

    x = profiles()
    found = by_profile(Broken(lossy), x)
    missed = np.abs(x @ WEIGHTS.mean(1)) / 2
    expected = missed.max() / np.abs(found.outputs).mean()
    np.testing.assert_allclose(found.conservation, expected, rtol=1e-4)


class FakeProcess:
    """The process of a job that answers with the predictions of :class:`Linear`."""

    def ask(self, request, content, arrays, *, limit):
        assert request == "predict"
        return {}, {"predicted": Linear().predict(arrays["landmarks"])}


def test_a_model_in_a_sealed_process_is_permuted():
    model = SealedModel(FakeProcess(), 0, TARGETS)
    x = profiles()
    found, expected = by_profile(model, x), by_profile(Opaque(), x)
    assert found.rule == "permutation"
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
