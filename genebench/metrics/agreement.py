"""Measures of agreement: truth and prediction are profiles × genes, read-only, float64.

Gene-wise ones give one value for each gene (column); ``profile_…`` are the same measures of each
profile over all genes. Where truth or prediction is constant nothing can agree: correlations are
0, and so is R² where the truth is; no measure is ever NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Measure = Callable[[Values, Values], Values]


def absolute_errors(truth: Values, prediction: Values) -> Values:
    """``|ŷ_ij − y_ij|``, profiles × genes: the terms of the mean absolute error (Eq. 11)."""
    errors = prediction - truth
    np.abs(errors, out=errors)
    return errors


def concordance_terms(truth: Values, prediction: Values) -> Values:
    """Profiles × genes whose mean over profiles is the CC of each gene (Eq. 12).

    The term of a profile is CC plus the profile's influence on it, the infinitesimal jackknife
    (Efron 1982). With a and b the deviations from the means, and D the denominator of CC, that is
    ``CC + (2 (1 − CC) a b − CC (ŷ − y)²) / D``.
    """
    terms: Values = truth - truth.mean(axis=0)
    terms *= prediction - prediction.mean(axis=0)
    errors = prediction - truth
    errors *= errors
    covariance = terms.mean(axis=0)
    spread = errors.mean(axis=0) + 2 * covariance
    varying = varies(truth) & varies(prediction)
    cc = _ratio(2 * covariance, spread, varying)
    terms *= _ratio(2 * (1 - cc), spread, varying)
    errors *= _ratio(cc, spread, varying)
    terms -= errors
    terms += cc
    return terms


def mean_absolute_error(truth: Values, prediction: Values) -> Values:
    """``mean_i |ŷ_ij − y_ij|`` of each gene j (Wang et al. 2018, Eq. 11)."""
    return np.asarray(absolute_errors(truth, prediction).mean(axis=0))


def concordance_correlation(truth: Values, prediction: Values) -> Values:
    """``2 ρ σ_y σ_ŷ / (σ_y² + σ_ŷ² + (μ_y − μ_ŷ)²)`` of each gene (Lin 1989; Eq. 12), ddof 0.

    ``ρ σ_y σ_ŷ`` is the covariance, so a constant prediction has CC 0, and so has a gene whose
    truth is constant: nothing varies, nothing can concord.
    """
    means = truth.mean(axis=0), prediction.mean(axis=0)
    a, b = truth - means[0], prediction - means[1]
    n_profiles = len(truth)
    spread = (_products(a, a) + _products(b, b)) / n_profiles + (means[0] - means[1]) ** 2
    return _ratio(2 * _products(a, b) / n_profiles, spread, varies(truth) & varies(prediction))


def root_mean_squared_error(truth: Values, prediction: Values) -> Values:
    """``√ mean_i (ŷ_ij − y_ij)²`` of each gene."""
    errors = prediction - truth
    return np.sqrt(_products(errors, errors) / len(truth))


def pearson_correlation(truth: Values, prediction: Values) -> Values:
    """Pearson's correlation of each gene; 0 where truth or prediction is constant."""
    a, b = truth - truth.mean(axis=0), prediction - prediction.mean(axis=0)
    scale = np.sqrt(_products(a, a)) * np.sqrt(_products(b, b))
    correlation = _ratio(_products(a, b), scale, varies(truth) & varies(prediction))
    return np.clip(correlation, -1, 1, out=correlation)


def spearman_correlation(truth: Values, prediction: Values) -> Values:
    """Spearman's rank correlation of each gene, ties at their average rank; 0 where constant."""
    from scipy.stats import rankdata

    return pearson_correlation(rankdata(truth, axis=0), rankdata(prediction, axis=0))


def determination(truth: Values, prediction: Values) -> Values:
    """``R² = 1 − Σ(ŷ − y)² / Σ(y − μ_y)²`` of each gene; 0 where the truth is constant.

    It is below 0 for a prediction that is worse than the mean of the very profiles it is tested
    on, and is no square of a correlation.
    """
    errors, a = prediction - truth, truth - truth.mean(axis=0)
    varying = varies(truth)
    return varying - _ratio(_products(errors, errors), _products(a, a), varying)


def varies(values: Values) -> NDArray[np.bool_]:
    """Which columns have more than one value.

    Judged by value: the rounded variance of a constant need not be exactly 0.
    """
    found: NDArray[np.bool_] = values[0] != values[-1]
    # Two values settle nearly every column.
    rest = np.flatnonzero(~found)
    found[rest] = np.ptp(values[:, rest], axis=0) > 0
    return found


def _of_profiles(measure: Measure) -> Measure:
    @wraps(measure)
    def turned(truth: Values, prediction: Values) -> Values:
        return measure(truth.T, prediction.T)

    return turned


profile_mean_absolute_error = _of_profiles(mean_absolute_error)
profile_concordance_correlation = _of_profiles(concordance_correlation)
profile_root_mean_squared_error = _of_profiles(root_mean_squared_error)
profile_pearson_correlation = _of_profiles(pearson_correlation)
profile_spearman_correlation = _of_profiles(spearman_correlation)
profile_determination = _of_profiles(determination)


def _products(a: Values, b: Values) -> Values:
    """The sum of products of each column."""
    products: Values = np.einsum("ij,ij->j", a, b)
    return products


def _ratio(numerator: Values, denominator: Values, where: NDArray[np.bool_]) -> Values:
    """The quotient, 0 where it is not wanted."""
    ratio = np.zeros_like(denominator)
    np.divide(numerator, denominator, out=ratio, where=where & (denominator > 0))
    return ratio
