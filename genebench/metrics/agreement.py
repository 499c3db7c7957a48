"""Measures of agreement between measured and predicted expression.

Truth and prediction are matrices, profiles × genes, read-only, float64. Notation: y_ij is the truth
of profile i and gene j, ŷ_ij its prediction; μ, σ and ρ are a gene's mean, standard deviation
(ddof 0) and Pearson's correlation over profiles.

A gene-wise measure returns one value for each gene (column). The ``profile_…`` functions are the
same measures of each profile over all genes. A constant cannot agree with anything: correlations
are 0 where truth or prediction is constant, and R² is 0 where the truth is. No measure returns NaN.

Equations 11 and 12 are those of Wang, Ghasedi Dizaji and Huang 2018, Conditional generative
adversarial network for gene expression inference.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np
from numpy.typing import NDArray

from genebench.metrics.pairs import Values

Measure = Callable[[Values, Values], Values]
"""Truth and prediction → one value for each gene."""


def absolute_errors(truth: Values, prediction: Values) -> Values:
    """Return ``|ŷ_ij − y_ij|``, profiles × genes: the terms of the mean absolute error (Eq. 11)."""
    errors = prediction - truth
    np.abs(errors, out=errors)
    return errors


def concordance_terms(truth: Values, prediction: Values) -> Values:
    """Return terms, profiles × genes, whose mean over profiles is the CC of each gene (Eq. 12).

    The term of a profile is CC plus the profile's influence on CC, the infinitesimal jackknife
    (Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6). Let a and b be
    the deviations of truth and prediction from their means, and D the denominator of CC. Then the
    term is ``CC + (2 (1 − CC) a b − CC (ŷ − y)²) / D``.
    """
    # In place, with two matrices: each further one would compete for the processor's cache.
    terms: Values = truth - truth.mean(axis=0)
    terms *= prediction - prediction.mean(axis=0)
    errors = prediction - truth
    errors *= errors
    covariance = terms.mean(axis=0)
    # D = σ_y² + σ_ŷ² + (μ_y − μ_ŷ)² equals mean (ŷ − y)² + 2 cov(y, ŷ).
    denominator = errors.mean(axis=0) + 2 * covariance
    varying = varies(truth) & varies(prediction)
    cc = ratio(2 * covariance, denominator, varying)
    terms *= ratio(2 * (1 - cc), denominator, varying)
    errors *= ratio(cc, denominator, varying)
    terms -= errors
    terms += cc
    return terms


def mean_absolute_error(truth: Values, prediction: Values) -> Values:
    """Return ``mean_i |ŷ_ij − y_ij|`` of each gene j (Wang et al. 2018, Eq. 11)."""
    return np.asarray(absolute_errors(truth, prediction).mean(axis=0))


def concordance_correlation(truth: Values, prediction: Values) -> Values:
    """Return Lin's concordance correlation of each gene, ddof 0 (Wang et al. 2018, Eq. 12).

    ``CC = 2 ρ σ_y σ_ŷ / (σ_y² + σ_ŷ² + (μ_y − μ_ŷ)²)`` (Lin 1989, Biometrics 45, 255–268). It is
    Pearson's correlation, lowered where location or scale of the prediction differ from the truth.
    ``ρ σ_y σ_ŷ`` is the covariance, so a constant truth or prediction has CC 0.
    """
    means = truth.mean(axis=0), prediction.mean(axis=0)
    a, b = truth - means[0], prediction - means[1]
    n_profiles = len(truth)
    denominator = (_products(a, a) + _products(b, b)) / n_profiles + (means[0] - means[1]) ** 2
    return ratio(2 * _products(a, b) / n_profiles, denominator, varies(truth) & varies(prediction))


def root_mean_squared_error(truth: Values, prediction: Values) -> Values:
    """Return ``√ mean_i (ŷ_ij − y_ij)²`` of each gene j."""
    errors = prediction - truth
    return np.sqrt(_products(errors, errors) / len(truth))


def pearson_correlation(truth: Values, prediction: Values) -> Values:
    """Return Pearson's correlation of each gene, 0 where truth or prediction is constant."""
    a, b = truth - truth.mean(axis=0), prediction - prediction.mean(axis=0)
    # Two square roots: the product of two sums of squares could underflow to 0.
    scale = np.sqrt(_products(a, a)) * np.sqrt(_products(b, b))
    correlation = ratio(_products(a, b), scale, varies(truth) & varies(prediction))
    # Rounding can give 1 + 2e-16.
    return np.clip(correlation, -1, 1, out=correlation)


def spearman_correlation(truth: Values, prediction: Values) -> Values:
    """Return Spearman's rank correlation of each gene, 0 where truth or prediction is constant.

    Equal values have the average of their ranks.
    """
    from scipy.stats import rankdata

    return pearson_correlation(rankdata(truth, axis=0), rankdata(prediction, axis=0))


def determination(truth: Values, prediction: Values) -> Values:
    """Return ``R² = 1 − Σ(ŷ − y)² / Σ(y − μ_y)²`` of each gene, 0 where the truth is constant.

    R² is negative for a prediction that is worse than the mean of the same test profiles. It is
    not the square of a correlation.
    """
    errors, a = prediction - truth, truth - truth.mean(axis=0)
    varying = varies(truth)
    return varying - ratio(_products(errors, errors), _products(a, a), varying)


def varies(values: Values) -> NDArray[np.bool_]:
    """Return which columns have more than one value.

    The values are compared, not their variance: the rounded variance of a constant may not be 0.
    """
    varying: NDArray[np.bool_] = values[0] != values[-1]
    # The first and the last value settle nearly every column, so few columns are read whole.
    rest = np.flatnonzero(~varying)
    varying[rest] = np.ptp(values[:, rest], axis=0) > 0
    return varying


def _of_profiles(measure: Measure) -> Measure:
    """Return the same measure of each profile over all genes."""

    @wraps(measure)
    def of_profiles(truth: Values, prediction: Values) -> Values:
        return measure(truth.T, prediction.T)

    return of_profiles


profile_mean_absolute_error = _of_profiles(mean_absolute_error)
profile_concordance_correlation = _of_profiles(concordance_correlation)
profile_root_mean_squared_error = _of_profiles(root_mean_squared_error)
profile_pearson_correlation = _of_profiles(pearson_correlation)
profile_spearman_correlation = _of_profiles(spearman_correlation)
profile_determination = _of_profiles(determination)


def _products(a: Values, b: Values) -> Values:
    """Return the sum of products of each column, without a matrix of the products."""
    products: Values = np.einsum("ij,ij->j", a, b)
    return products


def ratio(numerator: Values, denominator: Values, where: NDArray[np.bool_]) -> Values:
    """Return the quotient, and 0 outside ``where`` or where the denominator is not positive."""
    ratio = np.zeros_like(denominator)
    np.divide(numerator, denominator, out=ratio, where=where & (denominator > 0))
    return ratio
