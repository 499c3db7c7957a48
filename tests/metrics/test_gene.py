"""Gene-wise metrics, against direct formulas and a published implementation of Lin's CCC."""

from __future__ import annotations

import audmetric
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from genebench.metrics.gene import concordance_correlation, mean_absolute_error

shapes = st.tuples(st.integers(2, 30), st.integers(1, 6))


@st.composite
def pairs(draw):
    shape = draw(shapes)
    matrices = hnp.arrays(np.float64, shape, elements=st.floats(-50, 50, width=32))
    return draw(matrices), draw(matrices)


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    truth = random.normal(size=(60, 20))
    return truth, 0.7 * truth + random.normal(0.3, 0.5, size=truth.shape)


@given(pairs())
def test_mae_is_the_mean_absolute_difference(pair):
    truth, prediction = pair
    expected = [
        sum(abs(p - t) for p, t in zip(prediction[:, j], truth[:, j], strict=True)) / len(truth)
        for j in range(truth.shape[1])
    ]
    np.testing.assert_allclose(mean_absolute_error(truth, prediction), expected, atol=1e-6)


def test_cc_is_the_published_formula(pair):
    truth, prediction = pair
    for j, found in enumerate(concordance_correlation(truth, prediction)):
        y, guess = truth[:, j], prediction[:, j]
        rho = np.corrcoef(y, guess)[0, 1]
        spread = np.var(y) + np.var(guess) + (np.mean(y) - np.mean(guess)) ** 2
        assert found == pytest.approx(2 * rho * np.std(y) * np.std(guess) / spread, abs=1e-6)


def test_cc_agrees_with_a_published_implementation(pair):
    truth, prediction = pair
    expected = [
        audmetric.concordance_cc(truth[:, j], prediction[:, j]) for j in range(truth.shape[1])
    ]
    np.testing.assert_allclose(concordance_correlation(truth, prediction), expected, atol=1e-6)


@given(pairs())
def test_cc_lies_between_minus_one_and_one_and_is_symmetric(pair):
    cc = concordance_correlation(*pair)
    assert np.all(np.abs(cc) <= 1 + 1e-9)
    np.testing.assert_allclose(cc, concordance_correlation(*pair[::-1]), atol=1e-9)


def test_perfect_prediction_has_cc_one_and_mae_zero(pair):
    truth, _ = pair
    np.testing.assert_allclose(concordance_correlation(truth, truth), 1.0)
    np.testing.assert_array_equal(mean_absolute_error(truth, truth), 0.0)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e-8, 1e8])
def test_a_constant_prediction_or_truth_has_cc_zero_whatever_its_value(pair, constant):
    truth, _ = pair
    flat = np.full_like(truth, constant)
    for pairing in ((truth, flat), (flat, truth), (flat, flat)):
        np.testing.assert_array_equal(concordance_correlation(*pairing), 0.0)


def test_cc_punishes_a_shift_that_correlation_forgives(pair):
    truth, _ = pair
    assert (concordance_correlation(truth, truth + 1.0) < 0.9).all()
