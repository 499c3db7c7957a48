"""Stacking weights against a linear program, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from genebench_ensemble import stacking
from genebench_ensemble.stacking import absolute_error, stacking_weights


def drawn(members, values, seed=0, noise=0.5):
    """Members that each see the truth with an error of their own, and one that sees nothing."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=values)
    errors = random.standard_t(3, size=(members, values)) * noise
    predictions = random.uniform(0.5, 1.2, (members, 1)) * truth + errors
    predictions[-1] = random.normal(size=values)
    return predictions.astype(np.float32), truth.astype(np.float32)


def exact(predictions, truth):
    """Return the weights of the linear program: min Σ(u + v), P'w + u − v = y, all ≥ 0."""
    members, values = predictions.shape
    identity = np.eye(values)
    equations = np.hstack([predictions.T.astype(float), identity, -identity])
    cost = np.concatenate([np.zeros(members), np.ones(2 * values)])
    solved = linprog(cost, A_eq=equations, b_eq=truth.astype(float), method="highs")
    assert solved.status == 0
    return solved.x[:members]


@pytest.mark.parametrize("seed", range(5))
def test_the_error_is_that_of_the_linear_program(seed):
    predictions, truth = drawn(4, 300, seed)
    best = absolute_error(predictions, truth, exact(predictions, truth))
    found = absolute_error(predictions, truth, stacking_weights(predictions, truth))
    assert best <= found * (1 + 1e-9)
    assert found <= best * (1 + 1e-4)


def test_weights_are_those_of_the_linear_program_where_there_are_many_values():
    predictions, truth = drawn(3, 3000, seed=7)
    found = stacking_weights(predictions, truth)
    np.testing.assert_allclose(found, exact(predictions, truth), atol=2e-3)


def test_weights_are_never_negative_and_a_harmful_member_has_none():
    random = np.random.default_rng(0)
    truth = random.normal(size=2000).astype(np.float32)
    good = truth + random.normal(0, 0.3, 2000).astype(np.float32)
    weights = stacking_weights(np.stack([good, -truth]), truth)
    assert weights[1] == 0
    assert weights[0] > 0.8


def test_equal_members_have_equal_weights():
    predictions, truth = drawn(1, 500)
    first, second = stacking_weights(np.vstack([predictions, predictions]), truth)
    assert first == pytest.approx(second, rel=1e-4)


def test_a_perfect_member_has_all_the_weight():
    predictions, truth = drawn(3, 500)
    predictions[1] = truth
    np.testing.assert_allclose(stacking_weights(predictions, truth), [0, 1, 0], atol=1e-3)


def test_a_member_of_zeros_does_no_harm():
    predictions, truth = drawn(2, 500)
    alone = stacking_weights(predictions[:1], truth)
    with_zeros = stacking_weights(np.vstack([predictions[:1], np.zeros_like(truth)]), truth)
    assert with_zeros[0] == pytest.approx(alone[0], rel=1e-4)


def test_only_zeros_give_finite_weights():
    weights = stacking_weights(np.zeros((2, 10), np.float32), np.zeros(10, np.float32))
    assert np.isfinite(weights).all()


def test_the_order_of_members_does_not_matter():
    predictions, truth = drawn(4, 500)
    turned = stacking_weights(predictions[::-1].copy(), truth)[::-1]
    np.testing.assert_allclose(turned, stacking_weights(predictions, truth), atol=1e-6)


def test_the_size_of_blocks_does_not_matter(monkeypatch):
    predictions, truth = drawn(3, 500)
    whole = stacking_weights(predictions, truth)
    monkeypatch.setattr(stacking, "_BLOCK_VALUES", 7)
    np.testing.assert_allclose(stacking_weights(predictions, truth), whole, atol=1e-6)
