"""Terms of RMSE, R² and correlations, against derivatives and permutations by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from genebench.analysis.bootstrap import PairedBootstrap, Sample
from genebench.metrics import agreement, influence

MEASURES = {
    "rmse": (influence.root_mean_squared_error_terms, agreement.root_mean_squared_error),
    "r2": (influence.determination_terms, agreement.determination),
    "pearson": (influence.pearson_terms, agreement.pearson_correlation),
    "spearman": (influence.spearman_terms, agreement.spearman_correlation),
}
COPIES = 400
"""Copies of the data, to which one profile is added: a weight that is nearly infinitesimal."""


def drawn(seed=0, profiles=30, genes=6):
    random = np.random.default_rng(seed)
    truth = random.normal(size=(profiles, genes)) * 2 + 1
    prediction = 0.5 * truth + random.normal(size=truth.shape)
    return truth, prediction


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("decimals", [6, 0], ids=["", "ties"])
def test_means_of_terms_are_the_measure(name, decimals):
    terms, measure = MEASURES[name]
    pair = [values.round(decimals) for values in drawn()]
    np.testing.assert_allclose(terms(*pair).mean(axis=0), measure(*pair), atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("decimals", [6, 0], ids=["", "ties"])
def test_a_term_is_the_effect_of_a_little_more_of_its_profile(name, decimals):
    terms, measure = MEASURES[name]
    truth, prediction = (values.round(decimals) for values in drawn())
    value, found = measure(truth, prediction), terms(truth, prediction)
    many = np.tile(truth, (COPIES, 1)), np.tile(prediction, (COPIES, 1))
    share = 1 / (len(many[0]) + 1)
    for profile in (0, 7, 29):
        more = [
            np.vstack([all_, one[profile]])
            for all_, one in zip(many, (truth, prediction), strict=True)
        ]
        effect = (measure(*more) - value) / share
        np.testing.assert_allclose(found[profile] - value, effect, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("name", MEASURES)
def test_constants_have_the_terms_of_no_agreement(name):
    terms, measure = MEASURES[name]
    truth, prediction = drawn(genes=3)
    truth[:, 0], prediction[:, 1], prediction[:, 2] = 0.1, 0.1, truth[:, 2]
    found = terms(truth, prediction)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.mean(axis=0), measure(truth, prediction), atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("better", [0.0, 0.1, 0.25])
def test_the_test_agrees_with_a_permutation_that_scores_anew(name, better):
    """Exchange both predictions of random profiles, and compute the measure from scratch."""
    terms, measure = MEASURES[name]
    random = np.random.default_rng(5)
    truth, a = drawn(seed=3, profiles=60, genes=12)
    b = 0.5 * truth + random.normal(size=truth.shape) * (1 + better)
    shares = [terms(truth, guess).mean(axis=1) for guess in (a, b)]
    samples = [Sample(share, (float(share.mean()),)) for share in shares]
    estimate = PairedBootstrap(samples, np.full(60, "")).difference(0, 1)

    def difference(flips):
        swapped = np.where(flips, b, a), np.where(flips, a, b)
        first, second = (measure(truth, guess).mean() for guess in swapped)
        return first - second

    observed = difference(np.zeros((60, 1), dtype=bool))
    assert estimate.value == pytest.approx(observed, abs=1e-12)
    draws = [difference(random.random((60, 1)) < 0.5) for _ in range(1000)]
    p = np.mean(np.abs(draws) >= abs(observed))
    assert estimate.p == pytest.approx(p, abs=0.01 + 0.25 * p)
