"""Measures of agreement, against direct formulas, scipy, scikit-learn and a published CCC."""

from __future__ import annotations

import audmetric
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn import metrics as sklearn

from genebench.metrics import agreement
from genebench.metrics.agreement import (
    absolute_errors,
    concordance_correlation,
    concordance_terms,
    determination,
    mean_absolute_error,
    pearson_correlation,
    root_mean_squared_error,
    spearman_correlation,
    varies,
)

shapes = st.tuples(st.integers(2, 30), st.integers(1, 6))

MEASURES = {
    "mean_absolute_error": mean_absolute_error,
    "concordance_correlation": concordance_correlation,
    "root_mean_squared_error": root_mean_squared_error,
    "pearson_correlation": pearson_correlation,
    "spearman_correlation": spearman_correlation,
    "determination": determination,
}
EVERY_MEASURE = pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))

INDEPENDENT = {
    "mean_absolute_error": sklearn.mean_absolute_error,
    "root_mean_squared_error": sklearn.root_mean_squared_error,
    "pearson_correlation": lambda y, guess: stats.pearsonr(y, guess).statistic,
    "spearman_correlation": lambda y, guess: stats.spearmanr(y, guess).statistic,
    "determination": sklearn.r2_score,
    "concordance_correlation": audmetric.concordance_cc,
}


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


@pytest.fixture
def tied(pair):
    """Rounded, so that values are tied."""
    return tuple(np.round(values, 1) for values in pair)


# --- what they are --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INDEPENDENT)
def test_a_measure_is_what_others_work_out_gene_by_gene(name, tied):
    truth, prediction = tied
    expected = [INDEPENDENT[name](truth[:, j], prediction[:, j]) for j in range(truth.shape[1])]
    np.testing.assert_allclose(MEASURES[name](truth, prediction), expected, atol=1e-6)


@EVERY_MEASURE
def test_a_measure_of_profiles_is_that_of_the_transposed_matrices(measure, pair):
    truth, prediction = pair
    of_profiles = getattr(agreement, f"profile_{measure.__name__}")
    expected = [measure(t[:, None], p[:, None])[0] for t, p in zip(truth, prediction, strict=True)]
    np.testing.assert_allclose(of_profiles(truth, prediction), expected, atol=1e-12)


def test_cc_is_the_published_formula(pair):
    truth, prediction = pair
    for j, result in enumerate(concordance_correlation(truth, prediction)):
        y, guess = truth[:, j], prediction[:, j]
        rho = np.corrcoef(y, guess)[0, 1]
        spread = np.var(y) + np.var(guess) + (np.mean(y) - np.mean(guess)) ** 2
        assert result == pytest.approx(2 * rho * np.std(y) * np.std(guess) / spread, abs=1e-6)


@given(pairs())
def test_mae_is_the_mean_absolute_difference(pair):
    truth, prediction = pair
    expected = [
        sum(abs(p - t) for p, t in zip(prediction[:, j], truth[:, j], strict=True)) / len(truth)
        for j in range(truth.shape[1])
    ]
    np.testing.assert_allclose(mean_absolute_error(truth, prediction), expected, atol=1e-6)


@given(pairs())
def test_cc_lies_between_minus_one_and_one_and_is_symmetric(pair):
    cc = concordance_correlation(*pair)
    assert np.all(np.abs(cc) <= 1 + 1e-9)
    np.testing.assert_allclose(cc, concordance_correlation(*pair[::-1]), atol=1e-9)


@given(pairs())
def test_correlations_lie_between_minus_one_and_one(pair):
    for measure in (pearson_correlation, spearman_correlation):
        assert np.all(np.abs(measure(*pair)) <= 1)


def test_a_perfect_prediction_is_the_best_there_is(pair):
    truth, _ = pair
    for measure in (mean_absolute_error, root_mean_squared_error):
        np.testing.assert_array_equal(measure(truth, truth), 0.0)
    for name in ("concordance", "pearson", "spearman"):
        measure = MEASURES[f"{name}_correlation"]
        np.testing.assert_allclose(measure(truth, truth), 1.0)
    np.testing.assert_array_equal(determination(truth, truth), 1.0)


def test_cc_punishes_a_shift_that_correlation_forgives(pair):
    truth, _ = pair
    assert (concordance_correlation(truth, truth + 1.0) < 0.9).all()
    np.testing.assert_allclose(pearson_correlation(truth, truth + 1.0), 1.0)


# --- constants ------------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e-8, 1e8])
@pytest.mark.parametrize("name", ["concordance", "pearson", "spearman"])
def test_a_constant_prediction_or_truth_has_correlation_zero_whatever_its_value(
    pair, constant, name
):
    truth, _ = pair
    flat = np.full_like(truth, constant)
    for pairing in ((truth, flat), (flat, truth), (flat, flat)):
        np.testing.assert_array_equal(MEASURES[f"{name}_correlation"](*pairing), 0.0)


def test_r2_is_zero_where_the_truth_is_constant_and_below_it_for_a_shifted_constant(pair):
    truth, prediction = pair
    flat = np.full_like(truth, 0.1)
    np.testing.assert_array_equal(determination(flat, prediction), 0.0)
    np.testing.assert_allclose(determination(truth, 0 * truth + truth.mean(axis=0)), 0.0)
    assert (determination(truth, flat + 1) < 0).all()


@EVERY_MEASURE
@given(pairs())
def test_no_measure_is_ever_nan(measure, pair):
    truth, prediction = pair
    for given_pair in (pair, (truth, 0 * truth), (np.full_like(truth, 0.1), prediction)):
        assert np.isfinite(measure(*given_pair)).all()


@given(pairs())
def test_what_varies_is_what_has_more_than_one_value(pair):
    values = np.round(pair[0] / 40)
    expected = [len(np.unique(column)) > 1 for column in values.T]
    np.testing.assert_array_equal(varies(values), expected)


# --- terms ----------------------------------------------------------------------------------------

TERMS = pytest.mark.parametrize(
    ("terms", "measure"),
    [(absolute_errors, mean_absolute_error), (concordance_terms, concordance_correlation)],
    ids=["mae", "cc"],
)


def reweighted_cc(truth, prediction, weights):
    """CC under weights of the profiles, by numpy's weighted mean."""
    y, guess = np.average(truth, 0, weights), np.average(prediction, 0, weights)
    covariance = np.average((truth - y) * (prediction - guess), 0, weights)
    spread = np.average((truth - prediction) ** 2, 0, weights) + 2 * covariance
    return 2 * covariance / spread


@TERMS
@given(pair=pairs())
def test_the_mean_of_the_terms_is_the_value(terms, measure, pair):
    np.testing.assert_allclose(terms(*pair).mean(axis=0), measure(*pair), atol=1e-6)


def test_the_terms_of_mae_answer_to_any_weights_exactly(pair):
    truth, prediction = pair
    weights = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60)) / 60
    expected = np.average(np.abs(truth - prediction), 0, weights)
    np.testing.assert_allclose(weights @ absolute_errors(truth, prediction), expected)


def test_the_terms_of_cc_answer_to_a_small_change_of_weights_up_to_its_square(pair):
    truth, prediction = pair
    change = np.random.default_rng(1).normal(size=60)
    change -= change.mean()
    errors = []
    for step in (1e-3, 1e-4):
        weights = (1 + step * change) / 60
        result = weights @ concordance_terms(truth, prediction)
        errors.append(np.abs(result - reweighted_cc(truth, prediction, weights)).max())
    assert errors[0] < 1e-5
    assert errors[1] == pytest.approx(errors[0] / 100, rel=0.1)


def test_the_terms_of_cc_are_the_infinitesimal_jackknife(pair):
    """The derivative in the direction of each profile, by central differences."""
    truth, prediction = pair
    cc = concordance_correlation(truth, prediction)
    step = 1e-5
    for profile in range(len(truth)):
        towards = np.eye(len(truth))[profile] - 1 / 60
        ahead, behind = (
            reweighted_cc(truth, prediction, 1 / 60 + sign * step * towards) for sign in (1, -1)
        )
        influence = concordance_terms(truth, prediction)[profile] - cc
        np.testing.assert_allclose(influence, (ahead - behind) / (2 * step), atol=1e-7)


def test_terms_of_a_constant_gene_are_its_zero_cc(pair):
    truth, prediction = pair
    flat = np.full_like(truth, 0.1)
    np.testing.assert_array_equal(concordance_terms(truth, flat), 0.0)
    np.testing.assert_array_equal(concordance_terms(flat, prediction), 0.0)
